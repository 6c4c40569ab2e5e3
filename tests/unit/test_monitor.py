"""What a stored monitor can tell, and what becomes of its secrets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.probes.monitor import MONITOR, MissingSecretError, has_active_check, join, part

OAUTH2 = {"kind": "oauth2", "token_url": "https://idp.example/token", "client_id": "relink"}
API = {"kind": "api", "endpoints": [{"url": "https://api.example/me"}]}
HOOK = {"kind": "webhook", "window": "1h", "failure_budget": 0.1}


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        (None, False),
        ({**OAUTH2, "refresh_token": {"set": True}}, True),
        ({**OAUTH2, "paused": True}, False),
        (API, True),
        (HOOK, False),
        ({**HOOK, "test_url": "https://hooks.example/x"}, True),
        ({"kind": "saml", "metadata_url": "https://idp.example/metadata"}, True),
        ({"kind": "oidc", "issuer": "https://idp.example"}, True),
        ({"kind": "heartbeat", "every": "1h"}, False),
    ],
    ids=str,
)
def test_whether_it_can_be_asked_at_any_time(monitor: dict[str, Any] | None, expected: bool) -> None:
    """Only then is our own check what confirms a failure and what resolves it."""
    assert has_active_check(monitor) is expected


@given(st.text(min_size=1, max_size=50), st.none() | st.text(min_size=1, max_size=50))
def test_no_secret_is_left_in_what_is_shown(refresh_token: str, client_secret: str | None) -> None:
    """Parted and joined again it works as before; shown, it only says that the secret is set."""
    wanted = MONITOR.validate_python({**OAUTH2, "refresh_token": refresh_token, "client_secret": client_secret})
    shown, secrets = part(wanted, {})
    assert shown["refresh_token"] == {"set": True}
    assert shown.get("client_secret", {"set": True}) == {"set": True}
    assert set(secrets.values()) == {value for value in (refresh_token, client_secret) if value is not None}
    assert join(shown, secrets) == wanted


def test_what_was_shown_can_be_put_back() -> None:
    """GET, then PUT: `{"set": true}` keeps what is stored."""
    shown, secrets = part(MONITOR.validate_python({**OAUTH2, "refresh_token": "r", "client_secret": "c"}), {})
    assert part(MONITOR.validate_python(shown), secrets) == (shown, secrets)


def test_without_a_refresh_token_it_can_not_work() -> None:
    with pytest.raises(MissingSecretError, match="refresh_token"):
        part(MONITOR.validate_python(OAUTH2), {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {**OAUTH2, "surprise": 1},
        {**OAUTH2, "token_url": "ftp://idp.example"},
        {**OAUTH2, "token_url": "https://user:password@idp.example"},
        {**API, "endpoints": []},
        {**API, "interval": "soon"},
        {**HOOK, "failure_budget": 0},
        {"kind": "heartbeat", "every": "0s"},
    ],
    ids=str,
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MONITOR.validate_python(wrong)
