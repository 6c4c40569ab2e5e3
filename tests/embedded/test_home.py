"""Ports and settings of `make run`: kept, private, and never mistaken for somebody else's."""

from __future__ import annotations

import os
import re
import shlex
import socket
from pathlib import Path

import pytest
from dotenv import dotenv_values

from starter.embedded.home import DEFAULT_PORTS, Home, PortTakenError

NO_DOTENV = Path("/nonexistent/.env")


@pytest.fixture
def home(folder: Path) -> Home:
    return Home(folder / ".relink")


def test_secrets_and_ports_are_kept_for_the_next_run(home: Home) -> None:
    """The second run has the same keys and, as they are free, the same ports."""
    first = home.choose({}, NO_DOTENV)
    second = home.choose({}, NO_DOTENV)
    assert second == first
    assert set(first.ports) == set(DEFAULT_PORTS)
    assert re.fullmatch(r"k1:[A-Za-z0-9+/]{43}=", first.settings["RELINK_ENCRYPTION_KEYS"])
    assert len(first.settings["RELINK_SECRET_KEY"]) >= 32


def test_the_settings_are_readable_by_shell_and_dotenv_and_by_us_only(home: Home) -> None:
    """`.relink/env` has every setting of the run, mode 600, and means the same to both its readers."""
    settings = dict(home.choose({"RELINK_PRODUCT_NAME": "A \"B\" \\ 'C'"}, NO_DOTENV).settings)
    path = home.folder / "env"
    assert path.stat().st_mode & 0o777 == 0o600
    assert dotenv_values(path) == settings
    shell = [shlex.split(line)[0].partition("=") for line in path.read_text().splitlines()[1:]]
    assert {name: value for name, _, value in shell} == settings


def test_a_setting_from_outside_replaces_the_embedded_server(home: Home) -> None:
    """Each of the four servers; what comes from outside is passed on unchanged."""
    given = {
        "RELINK_DATABASE_URL": "postgresql://me@db:5432/relink",
        "TEMPORAL_ADDRESS": "temporal:7233",
        "TEMPORAL_NAMESPACE": "mine",
        "RELINK_SMTP_URL": "smtp://mail:25?tls=none",
        "RELINK_SLACK_BOT_TOKEN": "xoxb-real",
    }
    choice = home.choose(given, NO_DOTENV)
    assert choice.embedded == frozenset()
    assert set(choice.ports) == {"api"}
    assert {name: choice.settings[name] for name in given} == given
    assert "RELINK_SLACK_API_URL" not in choice.settings


def test_the_file_dotenv_counts_as_outside_and_the_environment_wins(home: Home, folder: Path) -> None:
    """`.env` as for every other command."""
    dotenv = folder / ".env"
    dotenv.write_text("RELINK_DATABASE_URL=postgresql://from-file/x\nRELINK_PRODUCT_NAME=File\n")
    choice = home.choose({"RELINK_PRODUCT_NAME": "Environment"}, dotenv)
    assert choice.settings["RELINK_DATABASE_URL"] == "postgresql://from-file/x"
    assert choice.settings["RELINK_PRODUCT_NAME"] == "Environment"
    assert "postgres" not in choice.embedded


def test_a_shell_that_read_in_our_own_file_demands_nothing(home: Home) -> None:
    """After `source .relink/env` the servers are still embedded; what was changed since does count."""
    first = home.choose({}, NO_DOTENV)
    sourced = dict(first.settings) | {"RELINK_SMTP_URL": "smtp://mail:25?tls=none"}
    choice = home.choose(sourced, NO_DOTENV)
    assert choice.embedded == {"postgres", "temporal", "slack"}
    assert choice.settings["RELINK_DATABASE_URL"] == first.settings["RELINK_DATABASE_URL"]


def test_a_taken_port_gives_way_unless_it_was_asked_for(home: Home) -> None:
    """A usual port moves to a free one; RELINK_API_PORT is refused, naming the port and who has it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        home.choose({}, NO_DOTENV)  # makes the folder
        (home.folder / "state.json").write_text(f'{{"ports": {{"slack": {taken}}}, "own": {{}}}}')
        second = home.choose({}, NO_DOTENV)
        assert second.ports["slack"] not in (taken, 0)
        assert len(set(second.ports.values())) == len(second.ports)
        assert taken not in second.ports.values()
        with pytest.raises(PortTakenError, match=rf"Port {taken} \(RELINK_API_PORT\) is taken by .*{os.getpid()}"):
            home.choose({"RELINK_API_PORT": str(taken)}, NO_DOTENV)
    with pytest.raises(PortTakenError, match="not a port"):
        home.choose({"RELINK_API_PORT": "http"}, NO_DOTENV)
