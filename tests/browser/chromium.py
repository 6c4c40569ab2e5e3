"""Which Chromium the browser tests drive. `python -m tests.browser.chromium` sees to it that there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "chromium-sandbox", "fonts-liberation")


def on_path() -> str | None:
    return next(filter(None, map(shutil.which, COMMANDS)), None)


def make_sure() -> None:
    """One on PATH, else Debian's package, else playwright's own download. Raises CalledProcessError if all fail."""
    if not on_path() and not _from_debian():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _from_debian() -> bool:
    """Where there is apt-get and we may use it without being asked for a password."""
    apt = shutil.which("apt-get")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if apt is None or (as_root and not shutil.which("sudo")):
        return False
    install = [apt, "install", "-qq", "-y", "--no-install-recommends", *PACKAGES]
    steps = ([*as_root, apt, "update", "-qq"], [*as_root, *install])
    return all(subprocess.run(step, check=False).returncode == 0 for step in steps) and on_path() is not None


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Headless; without a sandbox only for root, whom Chromium refuses one."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=on_path(), chromium_sandbox=os.geteuid() != 0)
        yield browser
        await browser.close()


if __name__ == "__main__":
    make_sure()
