"""Commands that look into things: diagnose, probe, doctor, replay, templates."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from cyclopts import App
from temporalio.converter import DefaultFailureConverter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer

from activities.db.connections import ConnectionStore
from activities.db.pool import create_pool
from activities.playbooks import load_catalogue
from activities.probes.check import Prober
from activities.probes.http import ProbeClient
from activities.secrets import SecretBox
from activities.settings import Settings
from starter.commands.output import complain, console, print_json, print_rows
from starter.diagnosing import DEFAULT_PRODUCT, diagnose_batch, diagnose_one
from starter.doctor import examine
from starter.previewing import preview
from starter.temporal import connect
from workflows.contracts import Check
from workflows.disconnection import IntegrationDisconnectionResponse
from workflows.monitoring import MonitorIntegrations, SendNotices, WarnOfExpiry
from workflows.reconciling import ReconcileIncidents
from workflows.reporting import SendDigests

templates = App(name="templates", help="The words and layouts of messages and pages.")


def register(app: App) -> None:
    """Adds these commands."""
    for command in (diagnose, probe, doctor, replay):
        app.command(command)
    templates.command(preview_templates, name="preview")
    app.command(templates)


def diagnose(
    *,
    batch: Path | None = None,
    provider: str | None = None,
    surface: str | None = None,
    http_status: int | None = None,
    error_code: str | None = None,
    error_description: str | None = None,
    body: str | None = None,
    json: bool = False,
) -> int:
    """Say what a failure means, who fixes it and how. Needs no settings.

    Parameters
    ----------
    batch
        A file of JSON lines, or - for standard input; answers with one JSON line each, in order.
    surface
        token_endpoint, rest_api, webhook, saml, oidc or network.
    """
    given = {
        "provider": provider,
        "surface": surface,
        "http_status": http_status,
        "error_code": error_code,
        "error_description": error_description,
        "body": body,
    }
    product_name = os.environ.get("RELINK_PRODUCT_NAME") or DEFAULT_PRODUCT
    if batch is None:
        answer = diagnose_one(**given, as_json=json, product_name=product_name)  # type: ignore[arg-type]  # by name
        sys.stdout.write(answer.text + "\n")
        return answer.exit_code
    if any(value is not None for value in given.values()):
        complain("--batch stands alone: the failures are in the file")
        return 2
    if str(batch) != "-" and not batch.is_file():
        complain(f"--batch: there is no file {batch}")
        return 2
    all_read = True
    with sys.stdin if str(batch) == "-" else batch.open(encoding="utf-8", errors="replace") as lines:
        for line, was_read in diagnose_batch(lines, product_name):
            sys.stdout.write(line + "\n")
            all_read = all_read and was_read
    return 0 if all_read else 1


async def probe(integration: UUID, *, json: bool = False) -> int:
    """Look at one integration's connection now and say what was seen; changes nothing but a rotated token."""
    settings = Settings.load("database_url")
    async with (
        create_pool(str(settings.database_url), size=2) as pool,
        ProbeClient(allow_private=settings.probe_allow_private) as client,
    ):
        seen = await ConnectionStore(pool, SecretBox(settings.encryption_keys)).look(
            integration, Prober(client, load_catalogue()), force=True
        )
    if json:
        shown = {"check": seen.check, "detail": seen.detail, "diagnosis": seen.diagnosis}
        print_json({"integration": integration, **shown})
    else:
        console.print(f"[bold]{seen.check.replace('_', ' ')}[/bold]: {seen.detail}")
        if seen.diagnosis:
            console.print(seen.diagnosis.explanation, markup=False)
    return 0 if seen.check is Check.WORKING else 1


async def doctor(*, json: bool = False) -> int:
    """Check database, Temporal, Slack, SMTP, clock and policy; say what to do about what is wrong."""
    findings = await examine(Settings.load())
    if json:
        print_json({"ok": all(f.ok for f in findings), "findings": findings})
    else:
        for finding in findings:
            mark = "[green]ok[/green]   " if finding.ok else "[red]wrong[/red]"
            console.print(f"{mark} [bold]{finding.part}[/bold]: ", end="")
            console.print(finding.detail, markup=False)
    return 0 if all(f.ok for f in findings) else 1


async def replay(*, json: bool = False) -> int:
    """Replay all open histories on this code; run it before a deploy. 1 if any can't be replayed."""
    client = await asyncio.wait_for(connect(Settings.load()), 15)
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # each problem is told once, below
    replayer = Replayer(
        workflows=[
            IntegrationDisconnectionResponse,
            ReconcileIncidents,
            MonitorIntegrations,
            WarnOfExpiry,
            SendNotices,
            SendDigests,
        ],
        # Nothing is written, so problems can be told in clear: that a key is missing, for one.
        data_converter=replace(client.data_converter, failure_converter_class=DefaultFailureConverter),
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
    )
    open_runs = client.list_workflows("ExecutionStatus = 'Running'", page_size=1000)
    results = await replayer.replay_workflows(open_runs.map_histories(), raise_on_replay_failure=False)
    failed = [{"run": run, "problem": _in_a_line(problem)} for run, problem in results.replay_failures.items()]
    if json:
        print_json({"failed": failed})
    elif failed:
        print_rows(failed, "run", "problem")
    else:
        console.print("All open histories replay on this code.")
    return 1 if failed else 0


def _in_a_line(problem: Exception) -> str:
    """Core wraps the reason in the text of a structure; the innermost message tells it."""
    messages = re.findall(r'message: "((?:[^"\\]|\\.)*)"', str(problem))
    return (messages[-1] if messages else str(problem)).replace("\\n", " ")[:300]


def preview_templates(folder: Path) -> None:
    """Render every message, mail and page with sample data into FOLDER."""
    settings = Settings.load()
    for path in preview(folder, product_name=settings.product_name, templates_dir=settings.templates_dir):
        console.print(path, markup=False)
