"""The oauth2 monitor (FR-1.1), at providers that nobody here wrote and at ones with odd manners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from activities.probes.check import Grant, Known, Prober, Seen
from activities.probes.monitor import MONITOR
from tests.probes.peers import Peer, RotatingProvider, http, mock_grant, peer, says
from workflows.contracts import Check
from workflows.domain.diagnosis import Category, WhoFixes

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "the-refresh-token"


async def look(prober: Prober, monitor: Mapping[str, Any], known: Known | None = None, **more: Any) -> Seen:
    return await prober.look(more.pop("provider", "custom_crm"), MONITOR.validate_python(dict(monitor)), known, **more)


def at(server: Peer, **more: Any) -> dict[str, Any]:
    return {"kind": "oauth2", "token_url": f"{server.url}/token", "client_id": "us", "refresh_token": SECRET, **more}


async def test_a_living_and_a_revoked_grant(prober: Prober, mock: str) -> None:
    """oidc-provider-mock: accepted until the user's tokens are revoked, then broken, and a person has to reconnect."""
    body = {"kind": "oauth2", "token_url": f"{mock}/oauth2/token", "client_id": "relink", "client_secret": "secret"}
    monitor = {**body, "refresh_token": await mock_grant(mock, "alice")}
    seen = await look(prober, monitor)
    assert (seen.check, seen.detail) == (Check.WORKING, "the refresh token was accepted")
    assert seen.renewal is not None
    assert seen.renewal.refresh_token is None
    ends = seen.renewal.grant.access_expires_at
    assert ends is not None
    assert timedelta(minutes=55) < ends - datetime.now(UTC) < timedelta(minutes=65)
    async with httpx.AsyncClient(timeout=120) as admin:
        (await admin.post(f"{mock}/users/alice/revoke-tokens")).raise_for_status()
    seen = await look(prober, monitor)
    assert (seen.check, seen.detail) == (Check.BROKEN, "the token endpoint answered 400")
    assert seen.diagnosis is not None
    assert seen.diagnosis.category is Category.REFRESH_FAILED
    assert seen.diagnosis.self_serve_reconnect


async def test_a_replaced_token(prober: Prober, rotating: RotatingProvider) -> None:
    """npm oidc-provider replaces the refresh token; the new one is handed to the store, and shown to nobody."""
    before = rotating.refreshes
    seen = await look(prober, rotating.monitor(rotating.grant()))
    assert (seen.check, seen.detail) == (Check.WORKING, "the refresh token was accepted and replaced")
    assert seen.renewal is not None
    assert seen.renewal.refresh_token is not None
    assert seen.renewal.refresh_token not in repr(seen)
    seen = await look(prober, rotating.monitor(seen.renewal.refresh_token), Known(grant=seen.renewal.grant))
    assert (seen.check, rotating.refreshes - before) == (Check.WORKING, 2)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [(401, '{"error":"invalid_client"}'), (400, '{"status":"BAD_CLIENT_ID","message":"missing or unknown client id"}')],
)
async def test_where_the_client_secret_goes(prober: Prober, status: int, refusal: str) -> None:
    """A server that takes the secret only in the body is asked that way once it has said no, and from then on."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = parse_qs((await reader.read(1000)).decode())
        known = fields.get("client_id") == ["us"] and fields.get("client_secret") == ["s+/ü"]
        writer.write(http(200, '{"access_token":"a"}') if known else http(status, refusal))
        await writer.drain()

    async with peer(talk) as server:
        seen = await look(prober, at(server, client_secret="s+/ü"))
        assert (seen.check, server.connections) == (Check.WORKING, 2)
        assert seen.renewal is not None
        seen = await look(prober, at(server, client_secret="s+/ü"), Known(grant=seen.renewal.grant))
        assert (seen.check, server.connections) == (Check.WORKING, 3)
    assert b"Authorization: Basic dXM6cyUyQiUyRiVDMyVCQw==" in server.requests[0]  # us:s%2B%2F%C3%BC, section 2.3.1
    assert b"uthorization" not in server.requests[1]


async def test_a_wrong_client_is_our_fault(prober: Prober, rotating: RotatingProvider) -> None:
    """A wrong client secret pages our engineers; no customer can mend that, and the grant is not used up by it."""
    token = rotating.grant()
    seen = await look(prober, {**rotating.monitor(token), "client_secret": "wrong"})
    assert seen.check is Check.BROKEN
    assert seen.diagnosis is not None
    assert seen.diagnosis.who_fixes is WhoFixes.OUR_ENGINEERING
    assert (await look(prober, rotating.monitor(token))).check is Check.WORKING


async def test_introspection_spares_a_refresh_until_one_is_due(prober: Prober, rotating: RotatingProvider) -> None:
    """RFC 7662: between two refreshes a question is enough; a dead grant, a due one and `force` are refreshed."""
    seen = await look(prober, rotating.monitor(rotating.grant(), introspect=True))
    assert seen.renewal is not None
    monitor = rotating.monitor(str(seen.renewal.refresh_token), introspect=True)
    fresh, before = Known(grant=seen.renewal.grant), rotating.refreshes
    seen = await look(prober, monitor, fresh)
    assert (seen.check, seen.detail) == (Check.WORKING, "introspection says that the grant is active")
    assert rotating.refreshes == before
    later = Known(now=fresh.now + timedelta(minutes=59, seconds=30), grant=fresh.grant)
    seen = await look(prober, monitor, later)
    assert (seen.detail, rotating.refreshes) == ("the refresh token was accepted and replaced", before + 1)
    assert seen.renewal is not None
    monitor = rotating.monitor(str(seen.renewal.refresh_token), introspect=True)
    seen = await look(prober, monitor, fresh, force=True)
    assert (seen.check, rotating.refreshes) == (Check.WORKING, before + 2)
    assert seen.renewal is not None
    token = str(seen.renewal.refresh_token)
    rotating.revoke(token)
    seen = await look(prober, rotating.monitor(token, introspect=True), fresh)
    assert (seen.check, rotating.refreshes) == (Check.BROKEN, before + 3)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("status", "body", "kind", "check"),
    [
        (200, '{"access_token":"a","expires_in":"3600"}', "application/json", Check.WORKING),
        (201, '{"access_token":"a"}', "text/plain", Check.WORKING),
        (200, "access_token=a&scope=&token_type=bearer", FORM, Check.WORKING),
        (200, '{"ok":true,"authed_user":{"access_token":"a","refresh_token":"b"}}', "application/json", Check.WORKING),
        (200, "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.", FORM,
         Check.BROKEN),
        (200, '{"error":"bad_refresh_token","access_token":""}', "application/json", Check.BROKEN),
        (200, '{"ok":false,"error":"invalid_refresh_token"}', "application/json", Check.BROKEN),
        (400, '{"error":"invalid_grant"}', "application/json", Check.BROKEN),
        (400, '{"error":"invalid_grant","error_description":"Token has been expired or revoked."}', "text/html",
         Check.BROKEN),
        # Whatever is not clear proves nothing: a page of a gateway, an empty answer, a redirect, trouble on their side.
        (200, "<html><title>Sign in</title></html>", "text/html", Check.INCONCLUSIVE),
        (200, "", "application/json", Check.INCONCLUSIVE),
        (200, "[]", "application/json", Check.INCONCLUSIVE),
        (204, "", "application/json", Check.INCONCLUSIVE),
        (400, "<html>Bad Request</html>", "text/html", Check.INCONCLUSIVE),
        (403, "<html>Access denied by our firewall</html>", "text/html", Check.INCONCLUSIVE),
        (301, "", "text/html", Check.INCONCLUSIVE),
        (404, "", "text/html", Check.INCONCLUSIVE),
        (500, '{"error":"server_error"}', "application/json", Check.INCONCLUSIVE),
        (503, '{"error":"temporarily_unavailable"}', "application/json", Check.INCONCLUSIVE),
        (429, '{"error":"slow_down"}', "application/json", Check.INCONCLUSIVE),
        (400, "[" * 100_000, "application/json", Check.INCONCLUSIVE),
        (400, '{"error":' + '{"a":' * 50_000, "application/json", Check.INCONCLUSIVE),
    ],
)  # fmt: skip
async def test_answers_of_every_shape(prober: Prober, status: int, body: str, kind: str, check: Check) -> None:
    """Success and failure are told apart by what the answer says, not only by its status."""
    async with peer(says(http(status, body, Content_Type=kind))) as server:
        seen = await look(prober, at(server))
    assert seen.check is check, seen
    assert (seen.failure is None) == (check is Check.WORKING)
    if status == 429:
        assert seen.diagnosis is not None
        assert seen.diagnosis.is_rate_limit


async def test_the_request(prober: Prober) -> None:
    """RFC 6749 section 6, for a public client: its id in the body, JSON wanted, the wished scopes."""
    sent = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        sent = await reader.read(1000)
        writer.write(http(200, '{"access_token":"a"}'))
        await writer.drain()

    async with peer(talk) as server:
        await look(prober, at(server, scopes=["a", "b"]))
    fields = {"grant_type": "refresh_token", "refresh_token": SECRET, "client_id": "us", "scope": "a b"}
    assert {name: values[0] for name, values in parse_qs(sent.decode()).items()} == fields
    assert b"accept: application/json" in server.requests[0].lower()


async def test_no_answer_is_no_verdict(prober: Prober) -> None:
    """Nobody is asked to reconnect because a server was away."""
    async with peer(says(b"")) as gone:
        monitor = at(gone)
    seen = await look(prober, monitor)
    assert (seen.check, seen.detail) == (Check.INCONCLUSIVE, "no answer from the token endpoint: connection refused")
    assert seen.diagnosis is not None
    assert seen.diagnosis.connection_state == "transient"


async def test_secrets_do_not_come_back(prober: Prober) -> None:
    """A provider that repeats what it was sent puts no secret into our records; the body is cut to 4,000 characters."""
    said = json.dumps({"error": "invalid_grant", "you_sent": f"{SECRET} client_secret=s3cr3t-of-ours", "x": "y" * 9000})
    async with peer(says(http(400, said))) as server:
        seen = await look(prober, at(server, client_secret="s3cr3t-of-ours"))
    assert seen.check is Check.BROKEN
    assert seen.failure is not None
    assert seen.failure.body is not None
    assert SECRET not in repr(seen)
    assert "s3cr3t" not in repr(seen)
    assert len(seen.failure.body) == 4000


@pytest.mark.parametrize(
    ("provider", "answer", "grant_before", "expected"),
    [
        ("xero", {}, Grant(since=NOW), [(NOW + timedelta(days=60), "us")]),
        ("jira", {}, Grant(since=NOW - timedelta(days=300)),
         [(NOW + timedelta(days=90), "us"), (NOW + timedelta(days=65), "customer")]),
        ("github", {"refresh_token_expires_in": 15_897_600}, Grant(), [(NOW + timedelta(days=184), "customer")]),
        ("custom", {"refresh_expires_in": 86_400}, Grant(refresh_expires_at=NOW + timedelta(hours=20)),
         [(NOW + timedelta(days=1), "us")]),
        ("custom", {"refresh_expires_in": 0}, Grant(), []),
        ("custom", {"refresh_expires_in": 1e300, "expires_in": "soon"}, Grant(), []),
        ("custom", {"refresh_expires_in": True, "expires_in": -5}, Grant(), []),
    ],
)  # fmt: skip
async def test_known_ends(
    prober: Prober,
    provider: str,
    answer: dict[str, Any],
    grant_before: Grant,
    expected: list[tuple[datetime, str]],
) -> None:
    """From the answer, else from what the provider documents; one that moves with every refresh is ours to renew."""
    async with peer(says(http(200, json.dumps({"access_token": "a", **answer})))) as server:
        seen = await look(prober, at(server), Known(now=NOW, grant=grant_before), provider=provider)
    assert [(e.at, e.renewed_by) for e in seen.expiries if e.kind == "refresh_token"] == expected


async def test_the_client_secret_has_an_end_too(prober: Prober) -> None:
    """It is in the calendar whatever the look showed, and ours to renew."""
    async with peer(says(http(503))) as server:
        seen = await look(prober, at(server, client_secret_expires_at="2026-12-24T00:00:00Z"))
    assert [(e.kind, e.at, e.renewed_by) for e in seen.expiries] == [
        ("client_secret", datetime(2026, 12, 24, tzinfo=UTC), "us")
    ]
