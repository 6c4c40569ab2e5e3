"""A machine without Chromium gets one; the programs that would bring it are stubs that say how they were called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.browser import chromium

STUB = """#!/bin/sh
echo "$(/usr/bin/basename "$0") $*" >> {log}
case "$*" in *{succeeds}*) /bin/cp "$0" {bin}/chromium ;; *update*) ;; *) exit 1 ;; esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def put(machine: Path, name: str, *, succeeds: str = "nothing") -> str:
    path = machine / "bin" / name
    path.write_text(STUB.format(log=machine / "log", bin=machine / "bin", succeeds=succeeds))
    path.chmod(0o755)
    return str(path)


def calls(machine: Path) -> list[str]:
    log = machine / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_the_one_on_path_is_taken(machine: Path) -> None:
    expected = put(machine, "google-chrome")
    put(machine, "apt-get")
    chromium.make_sure()
    assert (chromium.on_path(), calls(machine)) == (expected, [])


def test_else_debians_package_is_installed(machine: Path) -> None:
    put(machine, "apt-get", succeeds="install")
    chromium.make_sure()
    assert chromium.on_path() == str(machine / "bin" / "chromium")
    assert [call.split()[1] for call in calls(machine)] == ["update", "install"]


def test_whoever_is_not_root_asks_sudo_without_a_password(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    put(machine, "apt-get")
    put(machine, "sudo", succeeds="install")
    chromium.make_sure()
    assert all(call.startswith("sudo -n ") for call in calls(machine))
    assert chromium.on_path()


@pytest.mark.parametrize("has_apt", [True, False])
def test_else_playwright_downloads_its_own(machine: Path, monkeypatch: pytest.MonkeyPatch, has_apt: bool) -> None:
    if has_apt:
        put(machine, "apt-get")
    monkeypatch.setattr(sys, "executable", put(machine, "python", succeeds="playwright"))
    chromium.make_sure()
    assert calls(machine)[-1] == "python -m playwright install chromium"
