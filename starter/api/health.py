"""For machines: alive, ready, and figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response
from temporalio.service import RPCError

from activities.db.migrate import MigrationError, pending
from activities.db.pool import UNAVAILABLE
from starter.api.models import Health, Readiness
from starter.api.problems import RETRY_AFTER, Problem, answers
from starter.api.resources import Resources, Use

PATIENCE = 2.0  # seconds for each part

router = APIRouter(tags=["Health"])


@router.get("/healthz", summary="Alive", response_model=Health)
async def healthz() -> object:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", summary="Ready to serve", response_model=Readiness, responses=answers(503))
async def readyz(use: Use) -> object:
    """The database can be reached and is up to date, and so can Temporal. 503 says which is not, in `checks`.

    Also 503 as soon as this process was asked to stop: it still serves for two seconds.
    """
    if use.stopping.is_set():
        raise Problem(503, "this process is stopping; others serve", headers={"Retry-After": str(RETRY_AFTER)})
    database, temporal = await asyncio.gather(_bounded(_database(use)), _bounded(_temporal(use)))
    migrations = "ok" if database == "ok" else "unknown"
    if database.startswith("migrations: "):
        database, migrations = "ok", database.removeprefix("migrations: ")
    checks = {"database": database, "migrations": migrations, "temporal": temporal}
    wrong = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
    if wrong:
        raise Problem(503, "; ".join(wrong), headers={"Retry-After": str(RETRY_AFTER)}, checks=checks)
    return {"status": "ready", "checks": checks}


async def _bounded(check: Awaitable[str]) -> str:
    try:
        return await asyncio.wait_for(check, PATIENCE)
    except TimeoutError:
        return f"no answer within {PATIENCE:.0f} s"
    except (RPCError, RuntimeError, *UNAVAILABLE):
        return "can't be reached"


async def _database(use: Resources) -> str:
    async with use.pool.acquire() as connection:
        try:
            missing = await pending(connection)
        except MigrationError as error:
            return f"migrations: {error}"
    if missing:
        return f"migrations: {len(missing)} are missing; run `relink migrate`"
    return "ok"


async def _temporal(use: Resources) -> str:
    if use.temporal is None:
        return "can't be reached"
    return "ok" if await use.temporal.service_client.check_health() else "not serving"


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=answers(503))
async def metrics(use: Use) -> Response:
    """Read from the database, so that every API process says the same."""
    lines: list[str] = []
    described: set[str] = set()
    for row in await use.reader.gauges():
        if row["name"] not in described:
            described.add(row["name"])
            lines += [f"# HELP {row['name']} {row['help']}.", f"# TYPE {row['name']} gauge"]
        pairs = zip(row["labels"][::2], row["labels"][1::2], strict=True)
        labels = ",".join(f'{name}="{value}"' for name, value in pairs)
        lines.append(f"{row['name']}{{{labels}}} {row['value']}" if labels else f"{row['name']} {row['value']}")
    return Response("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4; charset=utf-8")
