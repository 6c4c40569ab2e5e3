"""`relink incidents`: what a person on a terminal reads."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.api.calling import SECRET_KEY, Api
from tests.api.story import begin


async def relink(database: str, *arguments: str) -> str:
    """The real command on this database."""
    settings = {
        "RELINK_DATABASE_URL": database,
        "RELINK_SECRET_KEY": SECRET_KEY,
        "RELINK_PUBLIC_URL": "https://relink.test",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starter", *arguments, stdout=-1, stderr=-1, env=os.environ | settings
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_incident_reads_like_its_status_page(api: Api, database: str) -> None:
    """What and whose it is, who was told, and what happened, in words; a name that looks like markup stays a name."""
    await api.customer(name="[red]TechCorp[/red]")
    story = await begin(api, display_name="Salesforce CRM Sync")
    await api.pool.execute("update deliveries set status = 'sent', sent_at = now(), attempts = 1")
    await api.act(story.incident, "acknowledge", by="dana@acme.example")
    said = " ".join((await relink(database, "incidents", "show", story.incident)).split())
    for words in (
        "Salesforce CRM Sync at [red]TechCorp[/red]: DISCONNECTED",
        "error code INVALID_GRANT",
        "acknowledged",
        "by Dana Kim",
        "contact Bob Smith (IT Admin)",
        "Delivered: 20",
        "Opened: waiting",
        "Fix instructions Bob Smith email sent",
        "Acknowledged Dana Kim",
    ):
        assert words in said
    assert "{" not in said
