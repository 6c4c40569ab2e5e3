"""The folder `.relink`: what `make run` keeps between runs, and the settings that it chooses."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from starter.embedded import ports
from starter.embedded.postgres import database_url
from starter.embedded.temporal import NAMESPACE

DEFAULT_PORTS = {
    "api": 8080,
    "postgres": 54329,
    "temporal": 7233,
    "temporal_ui": 8233,
    "codec": 8234,
    "smtp": 2525,
    "inbox": 8025,
    "slack": 8090,
}
# Any of these from outside replaces the embedded server.
REPLACED_BY = {
    "postgres": ("RELINK_DATABASE_URL",),
    "temporal": ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"),
    "inbox": ("RELINK_SMTP_URL",),
    "slack": ("RELINK_SLACK_BOT_TOKEN",),
}
_OURS = re.compile(r"(RELINK|TEMPORAL)_")


class PortTakenError(Exception):
    """A port that was asked for is taken; the message says which, and by whom if that can be known."""


@dataclass(frozen=True)
class Choice:
    """What one run uses: ports by part, every setting, and which servers are embedded."""

    ports: Mapping[str, int]
    settings: Mapping[str, str]
    embedded: frozenset[str]

    def environment(self) -> dict[str, str]:
        """The whole environment of a child: ours, with these settings and no others of Relink or Temporal."""
        return {name: value for name, value in os.environ.items() if not _OURS.match(name)} | dict(self.settings)


@dataclass(frozen=True)
class Home:
    """The folder. `env` is for other `relink` commands, `state.json` (ports, secrets) for the next run."""

    folder: Path

    @property
    def pids(self) -> Path:
        """The processes that run now, for a later run to end if this one is killed."""
        return self.folder / "pids.json"

    def log(self, name: str) -> Path:
        """The log of a part."""
        return self.folder / "logs" / f"{name}.log"

    def choose(
        self, environ: Mapping[str, str], dotenv: Path, *, usual_ports: Mapping[str, int] = DEFAULT_PORTS
    ) -> Choice:
        """Settles ports and settings for a run and writes them to `env` and `state.json`, readable by us only.

        What comes from outside (the environment, then the file `dotenv`) wins. Ports are those of the last run if
        free, else the usual ones, else any. Raises PortTakenError if RELINK_API_PORT asks for one that is taken.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        state = self._state()
        own = state.get("own", {})
        outside = _outside(environ, dotenv, own)
        embedded = frozenset(part for part, names in REPLACED_BY.items() if not any(name in outside for name in names))
        chosen = _ports(outside, state.get("ports", {}), usual_ports, embedded)
        settings = _settings(chosen, embedded, own, outside)
        ours = {name: value for name, value in settings.items() if name not in outside}
        _write_privately(self.folder / "state.json", json.dumps({"ports": chosen, "own": own | ours}, indent=1))
        _write_privately(self.folder / "env", _env_file(settings))
        return Choice(chosen, settings, embedded)

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


def _outside(environ: Mapping[str, str], dotenv: Path, own: Mapping[str, str]) -> dict[str, str]:
    """The settings that are not ours, of Relink and of Temporal."""
    # A shell that has read in the `env` of an earlier run has our secret key, and asks for nothing by what it got so.
    sourced = "RELINK_SECRET_KEY" in own and environ.get("RELINK_SECRET_KEY") == own["RELINK_SECRET_KEY"]
    asked = {name: value for name, value in environ.items() if not sourced or own.get(name) != value}
    given = {**dotenv_values(dotenv), **asked}
    return {name: value for name, value in given.items() if _OURS.match(name) and value}


def _ports(
    outside: Mapping[str, str], last: Mapping[str, int], usual: Mapping[str, int], embedded: frozenset[str]
) -> dict[str, int]:
    needed = {"api", *embedded}
    needed |= {"temporal_ui", "codec"} if "temporal" in embedded else set()
    needed |= {"smtp"} if "inbox" in embedded else set()
    chosen: dict[str, int] = {}
    if "RELINK_API_PORT" in outside:
        chosen["api"] = _demanded(outside["RELINK_API_PORT"])
    for name in sorted(needed - chosen.keys()):
        wanted = [port for port in (last.get(name, 0), usual.get(name, 0)) if port not in (0, *chosen.values())]
        free = [port for port in wanted if ports.is_free(port)]
        chosen[name] = free[0] if free else ports.free_port()
    return chosen


def _demanded(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= 65535:
        raise PortTakenError(f"RELINK_API_PORT={value} is not a port: give a number from 1 to 65535.")
    port = int(value)
    if not ports.is_free(port):
        owner = ports.owner(port)
        by = f" by {owner}" if owner else ""
        raise PortTakenError(
            f"Port {port} (RELINK_API_PORT) is taken{by}. Stop that, or choose another: RELINK_API_PORT=8081 make run"
        )
    return port


def _settings(
    chosen: Mapping[str, int], embedded: frozenset[str], own: Mapping[str, str], outside: Mapping[str, str]
) -> dict[str, str]:
    def kept(name: str, fresh: str) -> str:
        return own.get(name) or fresh

    here = f"http://{ports.HOST}"
    settings = {
        "RELINK_SECRET_KEY": kept("RELINK_SECRET_KEY", secrets.token_hex(32)),
        "RELINK_ENCRYPTION_KEYS": kept(
            "RELINK_ENCRYPTION_KEYS", f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        ),
        "RELINK_API_PORT": str(chosen["api"]),
        "RELINK_PUBLIC_URL": f"{here}:{chosen['api']}",
        "RELINK_EMAIL_FROM": "Relink <relink@relink.example>",
        "RELINK_PROBE_ALLOW_PRIVATE": "true",
    }
    if "postgres" in embedded:
        settings["RELINK_DATABASE_URL"] = database_url(chosen["postgres"])
    if "temporal" in embedded:
        settings["TEMPORAL_ADDRESS"] = f"{ports.HOST}:{chosen['temporal']}"
        settings["TEMPORAL_NAMESPACE"] = NAMESPACE
        settings["RELINK_TEMPORAL_UI_URL"] = f"{here}:{chosen['temporal_ui']}"
    if "inbox" in embedded:
        settings["RELINK_SMTP_URL"] = f"smtp://{ports.HOST}:{chosen['smtp']}?tls=none"
        settings["RELINK_INBOX_URL"] = f"{here}:{chosen['inbox']}"
    if "slack" in embedded:
        token, secret = "RELINK_SLACK_BOT_TOKEN", "RELINK_SLACK_SIGNING_SECRET"
        settings[token] = kept(token, f"xoxb-local-{secrets.token_hex(12)}")
        settings[secret] = kept(secret, secrets.token_hex(16))
        settings["RELINK_SLACK_API_URL"] = f"{here}:{chosen['slack']}/api/"
        settings["RELINK_SLACK_PAGE_URL"] = f"{here}:{chosen['slack']}"
    return settings | {name: value for name, value in outside.items() if not _is_fixed(name, embedded)}


def _is_fixed(name: str, embedded: frozenset[str]) -> bool:
    """Whether it must be what the embedded server says."""
    if name.startswith("TEMPORAL_"):
        return "temporal" in embedded
    return name == "RELINK_SLACK_API_URL" and "slack" in embedded


def _env_file(settings: Mapping[str, str]) -> str:
    lines = [f"{name}={_quoted(value)}" for name, value in sorted(settings.items())]
    return "\n".join(["# Written by `make run` at every start.", *lines, ""])


def _quoted(value: str) -> str:
    """As both a shell and python-dotenv read it."""
    if re.fullmatch(r"[\w./:@%+,=-]+", value):
        return value
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'


def _write_privately(path: Path, content: str) -> None:
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    unfinished.replace(path)
