"""Histories hold no text of an exception that we did not write ourselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.discretion import Discretion
from activities.errors import incident_unknown

SECRET = "bob@techcorp.example"


class _Raising(ActivityInboundInterceptor):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        raise self._error


def _validation_error() -> Exception:
    with pytest.raises(ValueError, match=SECRET) as caught:
        TypeAdapter(int).validate_python(SECRET)
    return caught.value


@pytest.mark.parametrize("error", [_validation_error(), ConnectionRefusedError(SECRET), KeyError(SECRET)])
async def test_an_unexpected_error_is_told_by_its_type(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Also in the log; and nothing is chained behind it, where the history would keep it."""
    nothing: Any = None
    with pytest.raises(ApplicationError) as told:
        await Discretion().intercept_activity(_Raising(error)).execute_activity(nothing)
    assert told.value.type == type(error).__name__
    assert told.value.__cause__ is None
    assert SECRET not in str(told.value)
    assert SECRET not in caplog.text
    assert not told.value.non_retryable


async def test_what_we_raise_on_purpose_goes_on_as_it_is() -> None:
    ours, nothing = incident_unknown("0"), None
    with pytest.raises(ApplicationError) as told:
        await Discretion().intercept_activity(_Raising(ours)).execute_activity(nothing)  # type: ignore[arg-type]
    assert told.value is ours
