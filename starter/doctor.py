"""Looks at everything that Relink depends on and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from activities.db.migrate import pending
from activities.db.pool import create_pool
from activities.db.resealing import Resealing
from activities.db.sql import queries
from activities.email import SmtpServer
from activities.phrases import counted
from activities.policy import load_policy
from activities.secrets import SecretBox
from activities.settings import Settings
from starter.schedules import set_up
from starter.temporal import connect

_PATIENCE = 10  # seconds for each look
_CLOCK_LEEWAY = 5  # seconds


class Finding(BaseModel):
    model_config = ConfigDict(frozen=True)

    part: str
    ok: bool
    detail: str


async def examine(settings: Settings) -> list[Finding]:
    """Each part is looked at by itself, at most 10 s; never raises."""
    return [await _look(part, check(settings)) for part, check in PARTS.items()]


class WrongError(Exception):
    """Something is wrong; the message says what to do."""


async def _look(part: str, check: Awaitable[str]) -> Finding:
    try:
        return Finding(part=part, ok=True, detail=await asyncio.wait_for(check, _PATIENCE))
    except TimeoutError:
        return Finding(part=part, ok=False, detail=f"no answer within {_PATIENCE} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what we are here to say
        return Finding(part=part, ok=False, detail=str(error) or type(error).__name__)


async def _settings(settings: Settings) -> str:
    Settings.load("database_url", "secret_key", "public_url", "smtp_url", "email_from")
    return (
        "complete"
        if SecretBox(settings.encryption_keys).can_seal
        else "complete; without RELINK_ENCRYPTION_KEYS monitors can't hold secrets"
    )


async def _keys(settings: Settings) -> str:
    async with create_pool(_database_url(settings), size=1) as pool:
        count, problem = await Resealing(pool, SecretBox(settings.encryption_keys)).unreadable()
    if count:
        raise WrongError(f"{count} monitors' secrets can't be read: {problem}")
    return "what is stored can be read"


async def _policy(settings: Settings) -> str:
    people = load_policy(settings.policy_file).people
    unset = [
        name
        for name in ("cs_leadership", "engineering", "fallback_csm")
        if not any(getattr(people, name).model_dump().values())
    ]
    return f"valid; nobody is set as {', '.join(unset)}, so they are skipped" if unset else "valid"


async def _database(settings: Settings) -> str:
    async with create_pool(_database_url(settings), size=1) as pool, pool.acquire() as connection:
        if missing := await pending(connection):
            raise WrongError(f"{len(missing)} migrations are missing: run `relink migrate`")
        skew = (await connection.fetchval("select clock_timestamp()") - datetime.now(UTC)).total_seconds()
    if abs(skew) > _CLOCK_LEEWAY:
        raise WrongError(f"its clock differs from this machine's by {skew:.0f} s: synchronise them (NTP)")
    return f"reachable, up to date, clock within {abs(skew):.1f} s"


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise WrongError("RELINK_DATABASE_URL is not set")
    return settings.database_url


async def _people(settings: Settings) -> str:
    fallback = load_policy(settings.policy_file).people.fallback_csm
    async with create_pool(_database_url(settings), size=1) as pool:
        unheard, without = [await pool.fetchval(queries("reading")[name]) for name in ("told_nobody", "without_a_csm")]
    if unheard:
        raise WrongError(
            f"nobody was told of {counted(unheard, 'open incident')} (`relink incidents list`): give their customers a "
            "CSM with an email or a Slack user id, or set people.fallback_csm in the policy"
        )
    if not without:
        return "every customer has a CSM who can be told"
    hears = "people.fallback_csm is told" if fallback.slack or fallback.email else "set people.fallback_csm"
    return f"{counted(without, 'customer')} without a CSM who can be told: {hears}"


async def _deliveries(settings: Settings) -> str:
    async with create_pool(_database_url(settings), size=1) as pool:
        rows = await pool.fetch(
            "select status, count(*) from deliveries where status in ('unknown', 'failed') group by 1"
        )
        counts = {row["status"]: row["count"] for row in rows}
        unrung = await pool.fetchval("select count(*) from doorbells where created_at < now() - interval '2 minutes'")
    if unrung:
        raise WrongError(f"{unrung} bells have waited for over 2 minutes: is a worker running, is Temporal reachable?")
    return f"{counts.get('failed', 0)} failed, {counts.get('unknown', 0)} with unknown outcome; see their incidents"


async def _temporal(settings: Settings) -> str:
    done = await set_up(await connect(settings))
    if done.commands:
        raise WrongError("run: " + "; ".join(done.commands))
    return f"reachable and set up; search attributes: {', '.join(done.search_attributes) or 'being added'}"


async def _slack(settings: Settings) -> str:
    if settings.slack_bot_token is None:
        return "not configured: everybody is told by email"
    client = AsyncWebClient(
        settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url.rstrip("/") + "/",
        retry_handlers=[],
    )
    try:
        answer = await client.auth_test()
    except SlackApiError as error:
        raise WrongError(
            f"Slack refuses the token ({error.response.get('error')}): check RELINK_SLACK_BOT_TOKEN"
        ) from None
    if settings.slack_signing_secret is None:
        raise WrongError("RELINK_SLACK_SIGNING_SECRET is not set, so buttons do not work")
    return f"signed in as {answer.get('user')} of {answer.get('team')}"


async def _smtp(settings: Settings) -> str:
    if settings.smtp_url is None:
        raise WrongError("RELINK_SMTP_URL is not set")
    server = SmtpServer.parse(settings.smtp_url.get_secret_value())
    async with server.client() as client:
        await client.noop()
    return f"{server.host}:{server.port} takes our connection"


PARTS: dict[str, Callable[[Settings], Awaitable[str]]] = {
    "settings": _settings,
    "policy": _policy,
    "database": _database,
    "keys": _keys,
    "people": _people,
    "deliveries": _deliveries,
    "temporal": _temporal,
    "slack": _slack,
    "smtp": _smtp,
}
"""What is looked at, in this order. Each says how it is, or raises: WrongError with what to do, or anything."""
