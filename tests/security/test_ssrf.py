"""Nobody gets Relink to open a connection to where it runs: a listener there sees none, not even one cut at once.

Through the API, through the HTTP client of the probes, and through what a provider's answer leads to.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from activities.playbooks import load_catalogue
from activities.probes import addresses
from activities.probes import http as probe_http
from activities.probes.check import Prober
from activities.probes.http import NoAnswerError, ProbeClient, UnaskableError
from activities.probes.monitor import MONITOR
from tests.api.calling import Api
from tests.probes.peers import http
from workflows.contracts import Check

OUTSIDE = "127.0.0.2"  # plays the public internet in the last tests


class Canary:
    """Listens where nobody may come. A handshake completes without us, so that even a connection that is cut at once is
    found in the backlog."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port: int = self._sockets[0].getsockname()[1]
        if socket.has_ipv6:
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listener in self._sockets:
            listener.setblocking(False)

    @property
    def visitors(self) -> int:
        count = 0
        for listener in self._sockets:
            try:
                while True:
                    listener.accept()[0].close()
                    count += 1
            except BlockingIOError:
                continue
        return count

    def close(self) -> None:
        for listener in self._sockets:
            listener.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    with closing(Canary()) as listening:
        yield listening


# PORT is the canary's. What is no URL at all is refused before it means anything; the rest names this machine.
DECIMAL = ["127.0.0.1", "127.1", "127.0.1", "2130706433", "127.0.0.1.", "0", "0.0.0.0"]
OCTAL_AND_HEX = ["017700000001", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "0X7F000001", "0x7f.1", "0177.0x0.0.1"]
IPV6 = [
    "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]", "[::ffff:0:127.0.0.1]", "[fe80::1]", "[fd00::1]", "[::1%25lo]", "[fe80::1%25lo]",
]  # fmt: skip
CARRIERS = ["[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]"]
NAMES = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost"]
LOOKALIKES = ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "127.0.0.1\u200b"]
INSIDE = [*DECIMAL, *OCTAL_AND_HEX, *IPV6, *CARRIERS, *NAMES, *LOOKALIKES]
URLS = [
    *(f"http://{host}:PORT/" for host in INSIDE),
    "http://public.example@127.0.0.1:PORT/",
    "http://public.example:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@public.example/",
    "http://127.0.0.1:PORT\\@public.example/",
    "http://127.0.0.1:PORT?@public.example/",
    "https://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    " http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/\r\nHost: public.example",
    "gopher://127.0.0.1:PORT/_x",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
]


def _at(url: str, canary: Canary) -> str:
    return url.replace("PORT", str(canary.port))


@pytest.mark.parametrize("url", URLS)
async def test_no_spelling_reaches_this_machine(url: str, canary: Canary) -> None:
    """Refused, or nothing that can be asked."""
    async with ProbeClient() as client:
        with pytest.raises((UnaskableError, NoAnswerError)):
            await client.request("GET", _at(url, canary))
    assert canary.visitors == 0


ELSEWHERE = "https://no-such-name.invalid/"
MONITORS: dict[str, dict[str, Any]] = {
    "token_url": {"kind": "oauth2", "client_id": "us", "refresh_token": "r"},
    "introspection_url": {"kind": "oauth2", "token_url": ELSEWHERE, "client_id": "us", "refresh_token": "r"},
    "endpoints[0].url": {"kind": "api"},
    "test_url": {"kind": "webhook", "window": "1h", "failure_budget": 0.5},
    "metadata_url": {"kind": "saml"},
    "issuer": {"kind": "oidc"},
}  # fmt: skip


@pytest.mark.parametrize("field", MONITORS)
async def test_no_monitor_is_saved_with_such_an_address(shared: Api, field: str, canary: Canary) -> None:
    """In whichever field: 422 that names it, nothing stored, nobody asked."""
    path = "/v1/customers/techcorp/integrations/custom/ssrf"
    for url in URLS:
        given = {"endpoints": [{"url": _at(url, canary)}]} if "[" in field else {field: _at(url, canary)}
        response = await shared.http.put(path, json={"monitor": MONITORS[field] | given})
        if response.status_code == 201:  # a name that this machine does not know leads nowhere, now
            assert "localhost" in url, url
            await shared.http.delete(path)
            continue
        assert response.status_code == 422, url
        assert response.json()["errors"][0]["field"].startswith(f"monitor.{field}"), url
    assert canary.visitors == 0


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "192.168.1.1"])
async def test_the_neighbours_are_not_asked_either(shared: Api, host: str) -> None:
    """The metadata services of clouds, and private networks."""
    monitor = {"kind": "oidc", "issuer": f"http://{host}/latest/meta-data"}
    response = await shared.http.put("/v1/customers/techcorp/integrations/custom/ssrf", json={"monitor": monitor})
    assert response.status_code == 422
    assert "is not a public address" in response.json()["detail"]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address of this machine counts as public, so that a provider can be there."""
    real = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: address == OUTSIDE or real(address))


@dataclass
class Provider:
    """Somebody at the public address; answers every request with `answer`."""

    url: str
    answer: bytes = b""


@asynccontextmanager
async def provider(answer: bytes = b"") -> AsyncIterator[Provider]:
    made = Provider("", answer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(made.answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, OUTSIDE, 0)
    made.url = f"http://{OUTSIDE}:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


async def _look(monitor: dict[str, Any]) -> Any:
    async with ProbeClient() as client:
        return await Prober(client, load_catalogue()).look("custom", MONITOR.validate_python(monitor), force=True)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_not_followed(canary: Canary, status: int) -> None:
    """By no monitor."""
    location = f"http://127.0.0.1:{canary.port}/"
    async with provider(http(status, Location=location)) as there:
        url = there.url
        for monitor in (
            {"kind": "api", "endpoints": [{"url": url}]},
            {"kind": "oauth2", "token_url": url, "client_id": "us", "refresh_token": "r", "introspection_url": url},
            {"kind": "oidc", "issuer": url},
            {"kind": "saml", "metadata_url": url},
            {"kind": "webhook", "window": "1h", "failure_budget": 0.5, "test_url": url},
        ):
            seen = await _look(monitor)
            assert seen.check is not Check.WORKING, monitor
    assert canary.visitors == 0


@pytest.mark.usefixtures("outside")
async def test_a_discovery_document_leads_nowhere_inside(canary: Canary) -> None:
    """Its key set is an address of the provider's choosing."""
    async with provider() as there:
        for inside in (f"http://127.0.0.1:{canary.port}/keys", f"http://localhost:{canary.port}/", "http://[::1]/"):
            there.answer = http(200, json.dumps({"issuer": there.url, "jwks_uri": inside}))
            seen = await _look({"kind": "oidc", "issuer": there.url})
            assert seen.check is Check.INCONCLUSIVE
            assert "not a public address" in seen.detail
    assert canary.visitors == 0


@pytest.mark.usefixtures("outside")
async def test_what_a_name_says_between_check_and_connection_does_not_matter(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: the name is looked up once, and the connection goes to the address that was checked."""
    asked = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        address = host if host[0].isdigit() else OUTSIDE if not asked else "127.0.0.1"
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with ProbeClient() as client:
        with pytest.raises(NoAnswerError):  # nobody listens there
            await client.request("POST", f"http://rebinding.example:{canary.port}/")
        assert asked.count("rebinding.example") == 1
        with pytest.raises(UnaskableError):  # and by now the name is a trap
            await client.request("POST", f"http://rebinding.example:{canary.port}/")
    assert canary.visitors == 0


@pytest.mark.usefixtures("outside")
async def test_the_canary_would_sing(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is allowed, the same request reaches it."""
    monkeypatch.setattr(probe_http, "REQUEST_CAP", 0.5)  # it answers nobody
    async with ProbeClient(allow_private=True) as client:
        with pytest.raises((NoAnswerError, httpx.HTTPError)):
            await client.request("POST", f"http://127.0.0.1:{canary.port}/", content="x")
    assert canary.visitors == 1
