"""Probes go only to public addresses, and a forbidden one sees no connection at all."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from activities.probes.addresses import ForbiddenAddressError, is_public, refuse_by_name
from activities.probes.http import NoAnswerError, ProbeClient, UnaskableError
from activities.probes.monitor import MONITOR, refused_urls
from tests.probes.peers import Peer, http, peer, says

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
    "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "1::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2001:10::1",
    "2002:7f00:1::", "2002:808:808::", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "not-an-address",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]  # fmt: skip
SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "0x7f.1",
    "127.0.0.1.", "0", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
    "[64:ff9b::7f00:1]", "[::]", "localhost", "LOCALHOST", "localhost.", "some.localhost", "ip6-localhost",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    """Private, shared, local, reserved, documentation, multicast; and IPv6 that carries or tunnels to such."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """The public internet, through NAT64 as well."""
    assert is_public(address)


@pytest.mark.parametrize("host", ["metadata.google.internal", "printer.local", "router.home.arpa", "", "127.1"])
def test_local_names(host: str) -> None:
    """Some names are local by definition; nobody needs to be asked."""
    with pytest.raises(ForbiddenAddressError):
        refuse_by_name(host)


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_reaches_this_machine(host: str) -> None:
    """However it is written: refused, and the server behind it never sees a connection."""
    async with peer(says(http(200))) as inside, ProbeClient() as client:
        with pytest.raises((UnaskableError, NoAnswerError)) as refused:
            await client.request("GET", f"http://{host}:{inside.port}/")
        assert inside.connections == 0
    if host not in {"0177.0.0.1", "ip6-localhost"}:  # not a valid URL; a name that not every machine knows
        assert refused.type is ForbiddenAddressError


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A name server of our own: `answers` are given one after the other, the last one for ever."""
    real = socket.getaddrinfo

    def set_up(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: Any, *args: Any, **more: Any) -> Any:
            if not host.endswith(".example"):
                return real(host, port, *args, **more)
            addresses = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            family = {True: socket.AF_INET6, False: socket.AF_INET}
            return [(family[":" in a], socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return set_up


async def _refused(inside: Peer) -> None:
    async with ProbeClient() as client:
        with pytest.raises(ForbiddenAddressError, match=r"evil\.example is not a public address"):
            await client.request("GET", f"http://evil.example:{inside.port}/")
    assert inside.connections == 0


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
async def test_a_public_name_of_a_private_address(names: Callable[..., list[str]], addresses: list[str]) -> None:
    """One forbidden address among several is enough."""
    names(addresses)
    async with peer(says(http(200))) as inside:
        await _refused(inside)


async def test_rebinding(names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is saved and private when it is asked is refused; and it is looked up once a
    connection, so that there is no second answer to give between the check and the connection."""
    monkeypatch.setattr("activities.probes.network._MOST_TRIES", 0)  # let nothing leave this machine
    asked = names(["8.8.8.8"], ["8.8.8.8"], ["127.0.0.1"])
    monitor = MONITOR.validate_python({"kind": "oidc", "issuer": "http://evil.example/"})
    assert await refused_urls(monitor) == {}
    async with ProbeClient() as client:
        with pytest.raises(NoAnswerError):
            await client.request("POST", "http://evil.example/")
    assert asked == ["evil.example"] * 2
    async with peer(says(http(200))) as inside:
        await _refused(inside)
    assert asked == ["evil.example"] * 3


async def test_the_name_stays_in_the_request(client: ProbeClient) -> None:
    """The connection goes to a number; the Host header keeps the name."""
    async with peer(says(http(200))) as server:
        await client.request("GET", f"{server.url}/path?q=1")
    head = server.requests[0].lower()
    assert head.startswith(b"get /path?q=1 http/1.1\r\n")
    assert f"host: localhost:{server.port}".encode() in head


async def test_at_save() -> None:
    """Every address of a monitor is looked at, and the message names its field."""
    monitor = MONITOR.validate_python(
        {
            "kind": "api",
            "endpoints": [
                {"url": "https://no-such-name.invalid/"},
                {"url": "http://2130706433/"},
                {"url": "http://[::1]/"},
            ],
        }
    )
    refused = await refused_urls(monitor)
    assert set(refused) == {"endpoints[1].url", "endpoints[2].url"}
    assert refused["endpoints[1].url"] == "2130706433 is not a public address; monitors ask only public addresses"
    fields = {
        "token_url": {"kind": "oauth2", "token_url": "http://10.0.0.1/", "client_id": "x", "refresh_token": "y"},
        "test_url": {"kind": "webhook", "window": "1h", "failure_budget": 0.5, "test_url": "http://localhost/"},
        "metadata_url": {"kind": "saml", "metadata_url": "http://169.254.169.254/latest/"},
        "issuer": {"kind": "oidc", "issuer": "http://100.64.0.1/"},
    }
    for field, body in fields.items():
        assert list(await refused_urls(MONITOR.validate_python(body))) == [field]
