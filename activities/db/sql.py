"""SQL lives in `queries/*.sql`, in blocks that begin with `-- name: something`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent / "queries"
_BLOCK = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def queries(file: str) -> Mapping[str, str]:
    """The named statements of `queries/{file}.sql`. Raises KeyError on an unknown name when one is looked up."""
    _, *parts = _BLOCK.split((_FOLDER / f"{file}.sql").read_text(encoding="utf-8"))
    return MappingProxyType(dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True)))
