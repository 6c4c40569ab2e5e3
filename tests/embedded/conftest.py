"""Folders for the servers of these tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, not below pytest's own, which other system users may not enter."""
    path = Path(tempfile.mkdtemp(prefix="relink-test-"))
    yield path
    shutil.rmtree(path)
