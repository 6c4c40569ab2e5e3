"""TLS as it goes wrong: certificates that a person must replace, and trouble that passes."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from activities.playbooks import load_catalogue
from activities.probes.check import Prober, Seen
from activities.probes.http import ProbeClient
from activities.probes.monitor import MONITOR
from tests.probes.certificates import DAY, NOW, Authority
from tests.probes.peers import http, peer, says
from workflows.contracts import Check
from workflows.domain.diagnosis import Category


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def look(authority: Authority, url: str) -> Seen:
    async with ProbeClient(allow_private=True, tls=authority.trust) as client:
        body = {"kind": "webhook", "window": "1h", "failure_budget": 0.5, "test_url": url}
        return await Prober(client, load_catalogue()).look("webhook", MONITOR.validate_python(body))


@pytest.mark.parametrize(
    ("name", "begins", "ends", "words"),
    [
        ("localhost", NOW - 300 * DAY, NOW - DAY, "certificate has expired"),
        ("localhost", NOW + DAY, NOW + 2 * DAY, "certificate is not yet valid"),
        ("other.example", NOW - DAY, NOW + 90 * DAY, "Hostname mismatch"),
    ],
)
async def test_a_certificate_that_does_not_verify(
    authority: Authority, name: str, begins: dt.datetime, ends: dt.datetime, words: str
) -> None:
    """Nothing but a new certificate helps, so a person is needed."""
    async with peer(says(http(204)), tls=authority.server(name, begins=begins, ends=ends)) as server:
        seen = await look(authority, server.url)
        assert server.requests == []
    assert seen.check is Check.BROKEN
    assert words in seen.detail
    assert seen.diagnosis is not None
    assert seen.diagnosis.category is Category.TLS_INVALID
    assert not seen.diagnosis.self_serve_reconnect


async def test_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    """Signed by nobody that we believe."""
    async with peer(says(http(204)), tls=Authority(tmp_path).server("localhost", ends=NOW + DAY)) as server:
        assert (await look(authority, server.url)).check is Check.BROKEN


async def test_a_certificate_that_ends_soon(authority: Authority) -> None:
    """Of a customer's own server that is worth a warning; a certificate that renews itself would have done so."""
    for days, expected in ((10, 1), (40, 0)):
        async with peer(says(http(204)), tls=authority.server("localhost", ends=NOW + days * DAY)) as server:
            seen = await look(authority, server.url)
        assert seen.check is Check.WORKING
        assert len(seen.expiries) == expected
        assert all(e.kind == "tls_certificate" and e.label == "TLS certificate of localhost" for e in seen.expiries)


async def test_no_tls_behind_the_port(authority: Authority) -> None:
    """A handshake that does not complete may be a balancer in trouble: nobody is disturbed at the first look."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(400))
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        seen = await look(authority, f"https://localhost:{server.sockets[0].getsockname()[1]}")
    assert seen.check is Check.INCONCLUSIVE
    assert "the TLS handshake did not complete" in seen.detail
    assert seen.diagnosis is not None
    assert seen.diagnosis.connection_state == "transient"
