"""Reads the policy: the shipped `policy.toml` with the company's own file laid over it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from activities.settings import ROOT
from workflows.domain.policy import Policy


class PolicyError(Exception):
    """The policy file can't be used; the message names the file, the key and what is wrong with it."""


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in over.items()
    }
    return {**base, **both}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"RELINK_POLICY_FILE: {path} can't be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: not valid TOML: {error}") from None


def load_policy(own: Path | None = None) -> Policy:
    """The shipped policy, with `own` (if given) read over it: tables merged key by key, arrays replaced.

    Raises PolicyError naming every unknown key and wrong value.
    """
    table = _read(ROOT / "policy.toml")
    if own is not None:
        table = _merged(table, _read(own))
    try:
        return Policy.model_validate(table)
    except ValidationError as error:
        wrong = [
            f"{own or 'policy.toml'}: {'.'.join(map(str, e['loc']))}: "
            + ("unknown key" if e["type"] == "extra_forbidden" else e["msg"])
            for e in error.errors()
        ]
        raise PolicyError("\n".join(wrong)) from None


class PolicySource:
    """The policy in force; `reload` (on SIGHUP) takes a changed file, or keeps the old policy and raises."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = own
        self.current = load_policy(own)

    def reload(self) -> None:
        """Reads the file again. Raises PolicyError and changes nothing if it is wrong."""
        self.current = load_policy(self._own)
