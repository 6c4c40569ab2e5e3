"""The API as a process: starts whatever is away, drains on SIGTERM, reads the policy again on SIGHUP."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import structlog
import uvicorn

from activities.db.migrate import MigrationError, until_migrated
from activities.db.pool import Pool, create_pool
from activities.policy import PolicyError, PolicySource
from activities.settings import Settings, SettingsError
from starter.api.resources import Resources
from starter.ring import Ring
from starter.temporal import connect

DRAIN = 20  # seconds that running requests are given after SIGTERM
NOTICE = 2.0  # seconds of SIGTERM in which /readyz already says no, and requests are still taken
PATIENCE = 4  # seconds for a statement; whoever asks has a time-out of their own
_log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; running requests are finished first. Needs database_url, secret_key, public_url.

    PostgreSQL and Temporal may be away: then requests are answered with 503, or their bells rung later.
    Raises SettingsError, PolicyError, SecretsError or TemplatesError before the first request.
    """
    from starter.api.app import create_app  # noqa: PLC0415  (app re-exports this function)

    if settings.slack_bot_token and not settings.slack_signing_secret:
        _log.warning("RELINK_SLACK_SIGNING_SECRET is not set, so the buttons in Slack do not work")
    async with opened(settings) as resources:
        listener = _listen(settings.api_host, settings.api_port)
        config = uvicorn.Config(
            create_app(resources),
            log_config=None,
            access_log=False,  # addresses of pages carry tokens
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=DRAIN,
        )
        server = _Server(config)
        with _signals(server, resources):
            host, port = listener.getsockname()[:2]
            _log.info("the API listens", address=f"http://{host}:{port}", docs=f"http://{host}:{port}/docs")
            waiting = asyncio.create_task(_say_what_is_missing(resources.pool))
            await server.serve(sockets=[listener])
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Resources]:
    """The collaborators of the API, closed at the end."""
    assert settings.database_url is not None  # Settings.load insisted on it
    policy = PolicySource(settings.policy_file)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(create_pool(settings.database_url, patience=PATIENCE))
        client = await connect(settings, lazy=True)
        yield Resources.assemble(settings, pool=pool, policy=policy, bells=Ring(client, pool), temporal=client)


async def _say_what_is_missing(pool: Pool) -> None:
    """Logs what requests are refused for, also what will not pass: a wrong password, a changed migration."""
    try:
        await until_migrated(pool)
    except (MigrationError, asyncpg.PostgresError) as error:
        _log.error("PostgreSQL can't be used; /readyz tells when it can", problem=str(error))


class _Server(uvicorn.Server):
    """uvicorn raises a signal again once it has drained, which would kill us before anything is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise SettingsError(
            f"RELINK_API_HOST, RELINK_API_PORT: can't listen on {host}:{port} ({error.strerror})"
        ) from None


@contextlib.contextmanager
def _signals(server: uvicorn.Server, resources: Resources) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def stop_soon() -> None:
        """Whoever shares out the requests is told first, so that none is sent to where nobody listens any more."""
        resources.stopping.set()
        loop.call_later(NOTICE, stop)

    def reload() -> None:
        try:
            resources.policy.reload()
        except PolicyError as error:
            _log.error("the policy was not reloaded; the old one stays in force", problem=str(error))
        else:
            _log.info("the policy was reloaded")

    handlers = {signal.SIGTERM: stop_soon, signal.SIGINT: stop, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
