"""The HTTP client under all probes, against servers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from statistics import median

import pytest

from activities.probes import http as probe_http
from activities.probes.http import NoAnswerError, ProbeClient, UnaskableError
from tests.probes.peers import http, peer, says


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_http, "REQUEST_CAP", 0.5)


@pytest.mark.usefixtures("short")
async def test_a_dripping_server_is_left_at_the_cap(client: ProbeClient) -> None:
    """A byte at a time keeps every read timeout fresh; the total cap ends it, again and again, without using up the
    places of that host."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with peer(drip) as slow:
        for _ in range(2):
            asked = [client.request("GET", slow.url) for _ in range(8)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {getattr(a, "code", None) for a in answers} == {"ESOCKETTIMEDOUT"}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "], ids=["says nothing", "headers never end"])
async def test_a_hanging_server(client: ProbeClient, begin: bytes) -> None:
    """Silence is a timeout, which may pass by itself."""
    async with peer(says(begin, pause=2)) as hanging:
        with pytest.raises(NoAnswerError, match=r"timed out: no complete answer within 0\.5 s"):
            await client.request("GET", hanging.url)


async def test_rubbish_and_a_cut_answer(client: ProbeClient) -> None:
    """Neither is an answer."""
    async with peer(says(b"\x00\xff rubbish \r\n\r\n")) as rubbish:
        with pytest.raises(NoAnswerError, match="not HTTP"):
            await client.request("GET", rubbish.url)
    async with peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as cut:
        with pytest.raises(NoAnswerError, match=r"ended too early|closed before"):
            await client.request("POST", cut.url, content="")
    async with peer(says(b"")) as mute:
        with pytest.raises(NoAnswerError, match="closed before"):
            await client.request("POST", mute.url)


async def test_nobody_there(client: ProbeClient) -> None:
    """A closed port and an unknown name say so, in words that the classifier takes for temporary."""
    async with peer(says(b"")) as gone:
        url = gone.url
    with pytest.raises(NoAnswerError, match="connection refused") as refused:
        await client.request("GET", url)
    assert refused.value.code == "ECONNREFUSED"
    with pytest.raises(NoAnswerError) as unknown:
        await client.request("GET", "http://no-such-name.invalid/")
    assert unknown.value.code == "EAI_AGAIN"


async def test_a_huge_body_is_cut(client: ProbeClient) -> None:
    """The rest is not even read."""
    async with peer(says(http(200, b"x" * 5_000_000))) as huge:
        answer = await client.request("GET", huge.url)
    assert answer.cut
    assert len(answer.body) == probe_http.MAX_BYTES


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")], ids=["gzip", "deflate"]
)
async def test_a_decompression_bomb_is_bounded(client: ProbeClient, pack: object, name: str) -> None:
    """50 MB in 50 KB: unpacked up to the limit and not a byte further."""
    assert callable(pack)
    bomb = pack(b"\x00" * 50_000_000)
    async with peer(says(http(200, bomb, Content_Encoding=name))) as bomber:
        answer = await client.request("GET", bomber.url)
    assert answer.cut
    assert len(answer.body) == probe_http.MAX_BYTES


async def test_a_packed_answer_is_unpacked(client: ProbeClient) -> None:
    """We ask for none, but some servers pack all the same."""
    async with peer(says(http(200, gzip.compress(b'{"ok": true}'), Content_Encoding="gzip"))) as packer:
        answer = await client.request("GET", packer.url)
        assert answer.json == {"ok": True}
        assert b"accept-encoding: identity" in packer.requests[0].lower()


async def test_redirects_cookies_and_proxies_are_not_followed(
    client: ProbeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect is a finding; a cookie of one customer's probe never travels with another's; no proxy is asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with peer(says(http(302, Location="http://elsewhere.example/", Set_Cookie="session=1; Path=/"))) as moved:
        assert (await client.request("GET", moved.url)).status == 302
        await client.request("GET", moved.url)
        assert moved.connections == 2
        assert b"cookie" not in moved.requests[1].lower()


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "1\r\nX-B: 2"}, {"X-A\r\nX-B": "1"}, {"X-A": "a\nb"}, {"X-A": "a\x00b"}, {"X A": "1"}, {"X-A": "ü\u0100"}],
)
async def test_a_header_can_not_be_injected(client: ProbeClient, headers: dict[str, str]) -> None:
    """What would begin a second header is not sent at all."""
    async with peer(says(http(200))) as target:
        with pytest.raises(UnaskableError):
            await client.request("GET", target.url, headers=headers)
        assert target.requests == []


async def test_many_hosts_and_many_requests_to_one(client: ProbeClient) -> None:
    """At most eight requests are with one host at a time, and waiting for a place is not held against it."""
    now, most = 0, 0

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        writer.write(http(204))
        await writer.drain()

    async with peer(count) as busy:
        answers = await asyncio.gather(*(client.request("GET", busy.url) for _ in range(100)))
    assert {answer.status for answer in answers} == {204}
    assert most == 8
    assert median(answer.seconds for answer in answers) < 0.4  # all of them took 1.3 s


async def test_only_so_many_hosts_are_remembered(client: ProbeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pools of hosts that are not used are closed."""
    monkeypatch.setattr(probe_http, "_MOST_HOSTS", 3)
    for _ in range(6):
        async with peer(says(http(204))) as one:
            await client.request("GET", one.url)
    assert len(client._hosts) <= 3


async def test_a_kept_connection_that_died_is_tried_again(client: ProbeClient) -> None:
    """A server that closes between two requests is no failure of a request that may be repeated."""
    calls = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        if calls == 1:
            await reader.readuntil(b"\r\n\r\n")  # takes the second request, and dies

    async with peer(once) as dying:
        assert (await client.request("GET", dying.url)).status == 204
        assert (await client.request("GET", dying.url)).status == 204
        assert dying.connections == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry_After": "120"}, 120),
        ({"Retry_After": "0"}, 1),
        ({"Retry_After": "99999999999"}, 6 * 3600),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "60"}, 60),
        ({"X_RateLimit_Remaining": "5", "X_RateLimit_Reset": "60"}, None),
        ({}, None),
    ],
)
async def test_when_to_come_back(client: ProbeClient, header: dict[str, str], seconds: int | None) -> None:
    """Retry-After in either form, and the reset time where nothing remains; within reason."""
    async with peer(says(http(429, **header))) as limited:
        answer = await client.request("GET", limited.url)
    assert (answer.retry_after.total_seconds() if answer.retry_after else None) == seconds
