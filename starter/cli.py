"""`relink`: the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import NoReturn

import asyncpg
from cyclopts import App, CycloptsError
from temporalio.service import RPCError

from activities.db.migrate import MigrationError
from activities.policy import PolicyError
from activities.rendering_templates import TemplatesError
from activities.secrets import SecretsError
from activities.settings import SettingsError
from starter.commands import incidents, policy, records, report, service, staff, tools
from starter.commands.output import CommandError, complain

EXPECTED = (SettingsError, PolicyError, SecretsError, TemplatesError, MigrationError, CommandError)
UNREACHABLE = (OSError, asyncpg.PostgresError, RPCError, TimeoutError)

app = App(
    name="relink",
    help="Notices a disconnected customer integration within minutes and runs the whole response.",
    version="0.1.0",
)
for commands in (service, records, incidents, policy, report, staff, tools):
    commands.register(app)


def main() -> NoReturn:
    """Runs one command and leaves with its exit code."""
    code = _run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # A process that has opened a Temporal client may abort in its exit handlers (temporalio/sdk-python#300).
    os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        done = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return 2
    except EXPECTED as error:
        complain(str(error))
        return 1
    except UNREACHABLE as error:
        complain(f"{error or type(error).__name__}\n`relink doctor` looks at everything and says what to do.")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return done if isinstance(done, int) else 0
