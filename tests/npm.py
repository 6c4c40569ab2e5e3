"""Packages from npm that tests need: peers and judges that nobody here wrote."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path


def npm_package(package: str) -> Path:
    """The folder whose node_modules has the pinned package, such as `caniemail@2.0.2`; installs it on the first use.

    Raises CalledProcessError if npm can't.
    """
    # Beside the virtual environment that it belongs to: made once, ignored by git, gone with `make clean`.
    folder = Path(sys.prefix) / "node" / package.replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may come at once
        if not (folder / "node_modules" / package.rpartition("@")[0]).exists():
            subprocess.run(
                ["npm", "install", "--prefix", str(folder), "--no-package-lock", "--no-audit", "--no-fund",
                 "--ignore-scripts", package],
                check=True, capture_output=True, timeout=300,
            )  # fmt: skip
    return folder
