"""Every named statement of `activities/db/queries` is run by some test: a whole run fails if one is not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from activities.db import sql

_used: set[str] = set()


class _Recorded(dict[str, str]):
    """The statements of one file; looking one up is running it."""

    def __getitem__(self, name: str) -> str:
        statement = super().__getitem__(name)
        _used.add(statement)
        return statement


# The stores keep what `queries` returned, so this module has to be imported before any of them.
assert "activities.db.ledger" not in sys.modules
sql.MappingProxyType = _Recorded  # type: ignore[assignment,misc]


def everything() -> Iterator[tuple[str, str]]:
    """All of them, "file.sql: name" and the statement; this does not count as running them."""
    for file in sorted(path.stem for path in sql._FOLDER.glob("*.sql")):
        for name, statement in sql.queries(file).items():
            yield f"{file}.sql: {name}", statement


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of xdist: tells the controller; else, after a run of all tests, complains."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["statements"] = sorted(_used)
    elif _is_whole(session):
        never = [name for name, statement in everything() if statement not in _used]
        if never:
            print("\nnever run by any test:", *never, sep="\n  ")  # noqa: T201
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_testnodedown(node: Any) -> None:
    _used.update(_told(node))


def _told(node: Any) -> Iterable[str]:
    return getattr(node, "workeroutput", {}).get("statements", ())


def _is_whole(session: pytest.Session) -> bool:
    option = session.config.option
    is_selected = option.keyword or option.markexpr or getattr(option, "lf", False) or option.collectonly
    names_nothing = session.config.args == session.config.getini("testpaths")
    return names_nothing and not is_selected and session.exitstatus == pytest.ExitCode.OK
