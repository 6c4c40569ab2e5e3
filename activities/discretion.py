"""What activities raise is kept in histories, which anybody with the Temporal UI may read."""

from __future__ import annotations

import traceback
from typing import Any

from temporalio import activity
from temporalio.exceptions import TemporalError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.db.pool import UNAVAILABLE
from activities.errors import unexpected


class Discretion(Interceptor):
    """Unexpected exceptions go on as their type alone: their texts may hold names, addresses or secrets (a validation
    error repeats its input). Those that we raise on purpose, from activities/errors.py, say nothing of the kind."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Discreet(super().intercept_activity(next))


class _Discreet(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        try:
            return await super().execute_activity(input)
        except TemporalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not go on
            note_unexpected(error)
            raise unexpected(error) from None


def note_unexpected(error: Exception) -> None:
    """One line for a server that is away; for the rest where it happened, without what it said."""
    if isinstance(error, UNAVAILABLE):
        activity.logger.warning("a server is away", extra={"error": type(error).__name__})
    else:
        where = "".join(traceback.format_tb(error.__traceback__)[-6:])
        activity.logger.error("unexpected", extra={"error": type(error).__name__, "where": where})
