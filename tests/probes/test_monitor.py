"""Monitors as they are taken, parted from their secrets, and put together again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from activities.probes.monitor import MONITOR, MissingSecretError, join, part, secrets_of

OAUTH2 = {"kind": "oauth2", "token_url": "https://a.example/token", "client_id": "c", "refresh_token": "r1"}


def api(**headers: str) -> dict[str, Any]:
    return {"kind": "api", "headers": headers, "endpoints": [{"url": "https://a.example/me"}]}


def test_secrets_are_parted_and_joined() -> None:
    """What is shown holds no secret; both together are the monitor again."""
    monitor = MONITOR.validate_python(
        {**OAUTH2, "client_secret": "s", "client_secret_expires_at": "2027-01-01T00:00:00Z"}
    )
    shown, secrets = part(monitor, {})
    assert shown["refresh_token"] == shown["client_secret"] == {"set": True}
    assert secrets == {"refresh_token": "r1", "client_secret": "s"}
    assert secrets_of(join(shown, secrets)) == secrets
    assert "r1" not in repr(monitor)


def test_what_is_not_given_stays() -> None:
    """A PUT without the secrets keeps the stored ones; a header or token that was never given is asked for."""
    shown, _ = part(MONITOR.validate_python(OAUTH2), {})
    assert part(MONITOR.validate_python(shown), {"refresh_token": "r2"})[1] == {"refresh_token": "r2"}
    with pytest.raises(MissingSecretError, match="refresh_token"):
        part(MONITOR.validate_python(shown), {})
    kept, secrets = part(MONITOR.validate_python(api(Authorization="Bearer 1")), {})
    assert part(MONITOR.validate_python(kept), secrets)[1] == {"headers.Authorization": "Bearer 1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A\r\nX-B": "1"}, {"X A": "1"}, {"": "1"}, {"X-A": "1\r\nX-B: 2"}, {"X-A": "1\n2"}, {"X-A": "\x00"},
        {"X-A": "ü"}, {"X-A": ""}, {"X-A": " 1"}, {"X-A": "x" * 9000}, {"Host": "inside"}, {"content-length": "5"},
        {"Transfer-Encoding": "chunked"}, {"Connection": "close"}, {"X-A": "1", "x-a": "2"},
    ],
)  # fmt: skip
def test_headers_that_can_not_be_set(headers: dict[str, str]) -> None:
    """Nothing that ends a line, frames the message or belongs to the connection; the value stays out of the error."""
    with pytest.raises(ValidationError) as refused:
        MONITOR.validate_python(api(**headers))
    assert all("X-B: 2" not in str(error["msg"]) for error in refused.value.errors())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/", "https://", "https:///path", "https://user:pass@a.example/", "https://a.example:70000/",
        "http://good.example\\@127.0.0.1/", "https://a.example/ b", "https://[::1", "http://a%2eexample/", "file:///etc/passwd",
        "https://a.example/\x00", "gopher://a.example/", "//a.example/",
    ],
)  # fmt: skip
def test_addresses_that_can_not_be_asked(url: str) -> None:
    """Only plain http(s) with a host and without credentials."""
    with pytest.raises(ValidationError):
        MONITOR.validate_python({"kind": "oidc", "issuer": url})
