"""A whole life of incidents with marked secrets, names, addresses and tokens, and then a search for every mark.

Secrets are nowhere in clear. Names and addresses are where people are told things, and nowhere else: not in Temporal,
not in a log, and in the database only where the row is about that person.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio
from temporalio.client import WorkflowHistory

from tests.probes.peers import Peer, http, peer, says
from tests.security.installation import Installation, installation
from tests.security.payloads import decrypted

# Whatever is secret has SECRET in it, whatever belongs to a person PERSON.
SECRET, PERSON = "zqsecretqz", "zqpersonqz"
WHSEC = "whsec_" + base64.b64encode(f"{SECRET}0123456789abcdef".encode()).decode()
CUSTOMER = {
    "name": f"Corp {PERSON}",
    "arr": 200_000,
    "csm": {
        "name": f"Maria {PERSON}",
        "email": f"maria.{PERSON}@acme.example",
        "timezone": "America/New_York",
        "manager": {"name": f"Max {PERSON}", "email": f"max.{PERSON}@acme.example"},
    },
    "technical_contacts": [
        {"name": f"Bob {PERSON}", "email": f"bob.{PERSON}@corp.example", "role": "IT"},
        {"name": f"Ann {PERSON}", "email": f"ann.{PERSON}@corp.example", "role": "IT"},
    ],
}
LEAKY_BODY = json.dumps(
    {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked",
        "refresh_token": f"1//{SECRET}",
        "request": f"Authorization: Bearer {SECRET}.123456",
    }
)
_LINK = re.compile(r"http://127\.0\.0\.1:\d+/(?:r/|integrations/)[\w\-/?=.]+")
# Table and column: where a person's name or address may be, because the row is about that person or to them.
MAY_NAME_PEOPLE = {
    ("customers", "name"),
    ("people", "name"),
    ("people", "email"),
    ("deliveries", "recipient"),
    ("tasks", "title"),
    ("tasks", "assignee"),
    ("incidents", "acknowledged_by"),  # as they called themselves
    ("incidents", "closed_by"),
    ("incidents", "resolution_note"),  # what they wrote
}


class Marks:
    """What must not be found, with what it is."""

    def __init__(self, made: Installation, links: list[str]) -> None:
        settings = made.settings
        keys = settings["RELINK_ENCRYPTION_KEYS"].partition(":")[2]
        self.secrets = {
            "a marked secret": SECRET,
            "the webhook secret": WHSEC.removeprefix("whsec_"),
            "the API key": made.key.removeprefix("relink_"),
            "RELINK_SECRET_KEY": settings["RELINK_SECRET_KEY"],
            "RELINK_ENCRYPTION_KEYS": keys,
            "the bot token": settings["RELINK_SLACK_BOT_TOKEN"],
            "the signing secret": settings["RELINK_SLACK_SIGNING_SECRET"],
        } | {f"link {i}": link for i, link in enumerate(links)}

    def in_text(self, text: str, *, people: bool = True) -> list[str]:
        """What of it is in this text, also in base64 of any alignment."""
        found = [name for name, secret in self.secrets.items() if any(form in text for form in _forms(secret))]
        if people and any(form in text for form in _forms(PERSON)):
            found.append("a person")
        return found


def _forms(mark: str) -> Iterator[str]:
    yield mark
    for shift in range(3):  # base64 of a text that has the mark somewhere
        whole = base64.b64encode(b"-" * shift + mark.encode()).decode()
        yield whole[(0, 2, 3)[shift] : -4]


@pytest_asyncio.fixture(scope="module")
async def provider() -> AsyncIterator[Peer]:
    """Refuses every refresh, and repeats in its answer what it was sent."""
    async with peer(says(http(400, LEAKY_BODY, Content_Type="application/json"))) as refusing:
        yield refusing


@pytest_asyncio.fixture(scope="module")
async def made() -> AsyncIterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="relink-canaries-"))
    async with installation(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module")
async def marks(made: Installation, provider: Peer) -> Marks:
    """Plays everything that could leak something."""
    await _register(made, provider)
    incident = await _break(made)
    links = await _links(made)
    await _act(made, incident, links)
    await _ask_wrongly(made)
    await _let_it_end(made)
    return Marks(made, [part for link in links for part in _secret_parts(link)])


async def _register(made: Installation, provider: Peer) -> None:
    answer = await made.http.put("/v1/customers/corp", json=CUSTOMER)
    assert answer.status_code == 201, answer.text
    monitors: dict[str, dict[str, Any]] = {
        "salesforce/grant": {
            "kind": "oauth2",
            "token_url": provider.url,
            "client_id": "us",
            "client_secret": f"client-{SECRET}",
            "refresh_token": f"refresh-{SECRET}",
        },
        "custom_api/endpoints": {
            "kind": "api",
            "headers": {"Authorization": f"Bearer header-{SECRET}"},
            "endpoints": [{"name": "orders", "url": f"{provider.url}/orders"}],
        },
        "webhook/hook": {
            "kind": "webhook",
            "window": "1h",
            "failure_budget": 0.5,
            "test_url": f"{provider.url}/hook",
            "secret": WHSEC,
        },
    }
    for name, monitor in monitors.items():
        answer = await made.http.put(
            f"/v1/customers/corp/integrations/{name}", json={"is_critical": True, "monitor": monitor}
        )
        assert answer.status_code == 201, answer.text


async def _break(made: Installation) -> str:
    """A product reports a failure, with everything in it that a careless one could send."""
    event = {
        "customer_external_id": "corp",
        "integration_type": "hubspot",
        "integration_id": "crm",
        "event_type": "auth_failure",
        "event_id": "evt-1",
        "endpoint": f"https://api.example/v1?access_token={SECRET}",
        "error": {
            "code": "invalid_grant",
            "message": f"refused: Authorization: Bearer {SECRET}.42 is revoked",
            "http_status": 400,
            "surface": "token_endpoint",
            "body": LEAKY_BODY,
        },
    }
    answer = await made.http.post("/v1/events", json=event)
    assert answer.status_code == 202, answer.text
    incident = str(answer.json()["results"][0]["incident"])
    informed = "select 1 from incidents where id = $1 and informed_kind is not null"
    await made.see.row("that people are told", informed, incident)
    found = "select 1 from incidents i join integration_health h on h.id = i.integration_health_id"
    await made.see.row("the incident that the monitor finds", f"{found} where h.integration_id = 'grant'")
    return incident


async def _links(made: Installation) -> list[str]:
    """Every signed link that was mailed or posted."""

    async def mailed() -> list[str] | None:
        texts = [json.dumps(mail) for mail in await made.see.mails()]
        texts += [json.dumps(call) for call in await made.see.slack_calls("chat.postMessage")]
        found = {
            link
            for text in texts
            for link in re.findall(r"http://127\.0\.0\.1:\d+/(?:r/|integrations/)[\w\-/?=.]+", text)
        }
        return sorted(found) if any("/r/" in f for f in found) and any("?token=" in f for f in found) else None

    return await made.see.until("the mailed and posted links", mailed)


def _secret_parts(link: str) -> Iterator[str]:
    parts = urlsplit(link)
    yield parts.query.removeprefix("token=") if parts.query else parts.path.split("/")[2]


async def _act(made: Installation, incident: str, links: list[str]) -> None:
    by = {"by": f"maria.{PERSON}@acme.example"}
    for link in links:
        for method in ("GET", "POST"):
            assert (await made.see.web.request(method, link)).status_code < 500
    for action, more in (
        ("acknowledge", {}),
        ("snooze", {"for": "1s"}),
        ("schedule-tech-call", {}),
        ("send-fix-instructions", {"contact": {"name": f"Eve {PERSON}", "email": f"eve.{PERSON}@corp.example"}}),
    ):
        answer = await made.http.post(f"/v1/incidents/{incident}/{action}", json=by | more)
        assert answer.status_code == 202, answer.text
    await _bounce(made, incident)
    found = "select i.id from incidents i join integration_health h on h.id = i.integration_health_id"
    other = await made.see.row("the other incident", f"{found} where h.integration_id = 'grant'")
    told = {"reason": "false_alarm", "note": f"Bob {PERSON} said so"}
    answer = await made.http.post(f"/v1/incidents/{other['id']}/resolve", json=by | told)
    assert answer.status_code == 202, answer.text


async def _bounce(made: Installation, incident: str) -> None:
    """A mail comes back, with the address in the reason."""
    sent = "select delivery_key from deliveries where incident_id = $1 and channel = 'email' and status = 'sent'"
    row = await made.see.row("a mail of the incident", sent, incident)
    reason = {"reason": f"550 5.1.1 <bob.{PERSON}@corp.example>: no such user"}
    answer = await made.http.post(f"/v1/deliveries/{row['delivery_key']}/bounced", json=reason)
    assert answer.status_code == 202, answer.text


async def _ask_wrongly(made: Installation) -> None:
    """Requests that fail, with secrets and names where they do not belong."""
    wrong = [
        made.http.get(f"/v1/customers/{PERSON}?token={SECRET}", headers={"Authorization": f"Bearer {SECRET}"}),
        made.http.get(f"/r/{SECRET}"),
        made.http.get(f"/integrations/00000000-0000-4000-8000-000000000000?token={SECRET}"),
        made.http.get("/v1/incidents", params={"customer": PERSON, "cursor": SECRET}),
        made.http.post("/v1/events", json={"customer_external_id": PERSON, "password": SECRET}),
        made.http.post("/v1/events", content=f'{{"{SECRET}": "{PERSON}'),
        made.http.put("/v1/customers/x", json={"name": PERSON, "health_score": SECRET}),
        made.http.post("/v1/callbacks/reconnected", content=b"{}", headers={"webhook-signature": f"v1,{SECRET}"}),
        made.http.post("/slack/interactions", content=f"payload={SECRET}{PERSON}"),
        made.http.get(f"/{SECRET}/{PERSON}"),
    ]
    assert all(400 <= answer.status_code < 500 for answer in await asyncio.gather(*wrong))


async def _let_it_end(made: Installation) -> None:
    event = {"customer_external_id": "corp", "integration_type": "hubspot", "integration_id": "crm"}
    await made.http.post("/v1/events", json=event | {"event_type": "sync_succeeded"})
    await made.see.row("the end", "select 1 from incidents where closed_at is not null and announced_at is not null")


async def test_temporal_holds_no_name_address_or_secret(made: Installation, marks: Marks) -> None:
    """Neither as it keeps its histories, nor decrypted; ids, search attributes, memos and summaries too."""
    for keys in (None, made.settings["RELINK_ENCRYPTION_KEYS"]):
        client = await made.temporal(keys)
        codec = client.data_converter.payload_codec
        histories = [found async for found in client.list_workflows().map_histories()]
        assert len(histories) > 3
        responses = [history for history in histories if history.workflow_id.startswith("disconnection/")]
        assert len(responses) > 1
        for history in histories:
            text = await decrypted(history, codec) if keys else _raw(history)
            assert marks.in_text(text) == [], (history.workflow_id, keys)
        async for execution in client.list_workflows():
            description = await client.get_workflow_handle(execution.id, run_id=execution.run_id).describe()
            assert marks.in_text(str(description.raw_description)) == []


def _raw(history: WorkflowHistory) -> str:
    return "".join(event.SerializeToString().decode("latin-1") for event in history.events)


async def test_no_log_holds_any(made: Installation, marks: Marks) -> None:
    """What API, worker and commands wrote, as JSON, for every request and every failure."""
    logs = made.logs()
    assert '"event": "worker started"' in logs
    assert '"event": "the API listens"' in logs
    assert marks.in_text(logs) == [], [line for line in logs.splitlines() if marks.in_text(line)]


async def test_the_database_holds_no_secret_in_clear_and_people_only_where_they_belong(
    made: Installation, marks: Marks
) -> None:
    """Every column of every row, bytes included; the columns that name people are written down above."""
    tables = await made.database.fetch("select tablename from pg_tables where schemaname = 'public'")
    named: set[tuple[str, str]] = set()
    for (table,) in tables:
        for row in await made.database.fetch(f"select t.* from {table} t"):
            for column, value in row.items():
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                assert marks.in_text(text, people=False) == [], (table, column, text)
                if marks.in_text(text):
                    named.add((table, column))
    assert named <= MAY_NAME_PEOPLE, named - MAY_NAME_PEOPLE
    assert ("people", "email") in named


async def test_the_marks_would_be_found(made: Installation, marks: Marks) -> None:
    """In clear, in base64, and in what people were really sent."""
    assert marks.in_text(f"x{SECRET}") == ["a marked secret"]
    for shift in range(3):
        assert marks.in_text(base64.b64encode(b"x" * shift + f"to {PERSON} ".encode()).decode()) == ["a person"]
    assert "a person" in marks.in_text(json.dumps(await made.see.mails()))
    posted = json.dumps(await made.see.slack_calls("chat.postMessage"))
    assert "a person" in marks.in_text(posted)
    assert "a marked secret" not in marks.in_text(posted)
