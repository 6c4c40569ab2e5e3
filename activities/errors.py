"""Errors that activities raise; their types are what an operator sees and retries are decided by."""

from __future__ import annotations

from datetime import timedelta

from temporalio.exceptions import ApplicationError


def lease_held(delay: timedelta) -> ApplicationError:
    """Another attempt may still be sending: come back when its lease has run out."""
    return ApplicationError("another attempt may still be sending", type="LeaseHeld", next_retry_delay=delay)


def incident_unknown(incident: object) -> ApplicationError:
    """No such row: nothing to work on, and waiting does not help."""
    return ApplicationError(f"no incident {incident}", type="UnknownIncident", non_retryable=True)


def edit_later(delay: timedelta | None) -> ApplicationError:
    """Slack does not take the edit now; it said when to come back, or nothing."""
    return ApplicationError("Slack does not take the edit now", type="EditLater", next_retry_delay=delay)


def unexpected(error: Exception) -> ApplicationError:
    """Something that we did not foresee, or a server of ours that is away: tried again, and told by its type only."""
    name = type(error).__name__
    return ApplicationError(f"{name}; the worker's log says where", type=name)


def look_again(detail: str, delay: timedelta) -> ApplicationError:
    """A check could not tell; look again after `delay`."""
    return ApplicationError(detail, type="CheckInconclusive", next_retry_delay=delay)
