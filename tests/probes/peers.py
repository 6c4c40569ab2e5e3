"""Peers for the probes: an OpenID provider from npm, one from PyPI, and servers that misbehave on the wire."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.npm import npm_package


@dataclass
class RotatingProvider:
    """npm oidc-provider: rotates refresh tokens, and ends the grant when a used one comes back."""

    url: str
    secret: str = "a client secret/with+odd characters"

    def grant(self, client: str = "basic") -> str:
        return httpx.post(f"{self.url}/-/grant", params={"client": client}).text

    def revoke(self, token: str) -> None:
        httpx.post(f"{self.url}/-/revoke", params={"token": token}).raise_for_status()

    @property
    def refreshes(self) -> int:
        return int(httpx.get(f"{self.url}/-/count").text)

    @contextmanager
    def slow(self, milliseconds: int) -> Iterator[None]:
        httpx.post(f"{self.url}/-/delay", params={"ms": milliseconds})
        yield
        httpx.post(f"{self.url}/-/delay", params={"ms": 0})

    def monitor(self, token: str, client: str = "basic", *, introspect: bool = False) -> dict[str, object]:
        more = {"introspection_url": f"{self.url}/token/introspection"} if introspect else {}
        return {
            "kind": "oauth2",
            "token_url": f"{self.url}/token",
            "client_id": client,
            "client_secret": self.secret,
            "refresh_token": token,
            **more,
        }


@contextmanager
def rotating_provider() -> Iterator[RotatingProvider]:
    """Runs it in a Node process of its own."""
    script = Path(__file__).with_name("provider.mjs")
    command = ["node", str(script), str(npm_package("oidc-provider@9.13.3"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "oidc-provider did not start"
        yield RotatingProvider(address)
    finally:
        process.terminate()
        process.communicate(timeout=120)


@contextmanager
def mock_provider() -> Iterator[str]:
    """The issuer address of oidc-provider-mock."""
    with warnings.catch_warnings(record=True):  # it warns about its own libraries, whatever the filters say
        from oidc_provider_mock import run_server_in_thread  # noqa: PLC0415
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # it speaks plain HTTP
        with run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


async def mock_grant(issuer: str, user: str) -> str:
    """A refresh token of oidc-provider-mock, through its authorization code flow."""
    client = {"client_id": "relink", "redirect_uri": "https://product.example/callback"}
    async with httpx.AsyncClient(base_url=issuer, timeout=120) as http:
        query = {**client, "response_type": "code", "scope": "openid", "state": "s"}
        answer = await http.post("/oauth2/authorize", params=query, data={"sub": user})
        code = httpx.URL(answer.headers["location"]).params["code"]
        form = {**client, "client_secret": "secret", "grant_type": "authorization_code", "code": code}
        return str((await http.post("/oauth2/token", data=form)).json()["refresh_token"])


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server of which every byte is decided here; `requests` are the heads that it was sent."""

    port: int
    scheme: str = "http"
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"


@asynccontextmanager
async def peer(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Listens on the loopback address; `talk` is called after a request's head has been read."""
    server_peer = Peer(0, "https" if tls else "http")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_peer.connections += 1
        try:
            server_peer.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server_peer.port = server.sockets[0].getsockname()[1]
    try:
        yield server_peer
    finally:
        server.close()


def says(response: bytes | str, *, pause: float = 0, then: bytes = b"") -> Talk:
    """Answers with these bytes, and after a pause with the rest."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response.encode() if isinstance(response, str) else response)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)
        writer.write(then)
        await writer.drain()

    return talk


def http(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """A whole HTTP response."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
