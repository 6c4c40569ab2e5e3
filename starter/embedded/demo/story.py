"""The story of one disconnection, step by step; every line is told because it was seen."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from rich.console import Console

from starter.embedded.demo.observer import Json, NotSeenError, Observer
from starter.embedded.demo.product import Product
from starter.embedded.demo.stage import PERSON

TECHCORP: Json = {
    "name": "TechCorp",
    "arr": 200_000,
    "health_score": 82,
    "csm": {
        "name": "Maria Santos",
        "email": "maria.santos@acme.example",
        "timezone": "America/New_York",
        "manager": {"name": "James Okafor", "email": "james.okafor@acme.example", "timezone": "America/New_York"},
    },
    "technical_contacts": [
        {"name": "Bob Smith", "email": PERSON, "role": "IT Admin", "timezone": "America/Chicago", "locale": "en"}
    ],
}
BYSTANDERS: dict[str, Json] = {
    "globex": {"name": "Globex", "arr": 48_000, "health_score": 74},
    "initech": {"name": "Initech", "arr": 9_500, "health_score": 91},
}


class Teller:
    """Prints a line with the time since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def tell(self, step: str, text: str) -> None:
        """`step` is one of the names in contract.md; what is told was seen."""
        self._console.print(f"[dim]{self.elapsed:5.1f} s[/]  [bold green]✔[/] [bold]{step:<14}[/] ", end="")
        self._console.print(text, markup=False)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began


@dataclass
class Story:
    """Plays the customer, the provider and the product, and watches what Relink does."""

    product: Product
    see: Observer
    teller: Teller
    incident: UUID = field(default_factory=lambda: UUID(int=0))

    async def play(self) -> None:
        """Tells it to the end. Raises NotSeenError naming the step that did not happen."""
        await self._load_customers()
        await self._connect_for_the_first_time()
        await self._revoke()
        await self._people_learn_of_it()
        await self._escalation()
        await self._customer_reconnects()
        await self._resolution()
        await self._nothing_twice()

    async def _load_customers(self) -> None:
        for external_id, customer in {"techcorp": TECHCORP, **BYSTANDERS}.items():
            (await self.product.relink.put(f"/v1/customers/{external_id}", json=customer)).raise_for_status()
        count = await self.see.database.fetchval("select count(*) from customers")
        self.teller.tell("customers", f"{count} loaded; TechCorp: ARR $200,000, CSM Maria Santos, IT admin Bob Smith")

    async def _connect_for_the_first_time(self) -> None:
        await self._authorise(self.product.authorisation_url(""))
        synced = await self.product.sync()
        if synced.status_code != 200:
            raise NotSeenError(f"A first sync did not work: the provider answered {synced.status_code}.")
        self.teller.tell("connected", "Bob authorised Salesforce CRM Sync at the OAuth provider; a first sync worked")

    async def _revoke(self) -> None:
        revoke = f"{self.product.provider_url}/users/{PERSON}/revoke-tokens"
        (await self.see.web.post(revoke)).raise_for_status()
        refused = await self.product.sync()
        if refused.status_code != 400 or refused.json().get("error") != "invalid_grant":
            raise NotSeenError(f"The refused refresh was not seen: the provider answered {refused.status_code}.")
        self.teller.tell("revoked", "the provider revoked the token: its next refresh got 400 invalid_grant")
        reported_at = datetime.now(UTC)
        accepted = (await self.product.report(refused)).raise_for_status().json()
        incident = accepted["results"][0]["incident"]
        if incident is None:
            raise NotSeenError("An incident in the answer to the event was not seen.")
        self.incident = UUID(incident)
        row = await self.see.row(
            "The detected incident",
            "select i.number, i.category, i.detected_at, h.status as health from incidents i"
            " join integration_health h on h.id = i.integration_health_id where i.id = $1",
            self.incident,
        )
        what = f"incident {row['number']}, {row['category']}: integration {row['health']}"
        self.teller.tell("detected", f"{what}, {_ms(row['detected_at'] - reported_at)} after the report")

    async def _people_learn_of_it(self) -> None:
        signal = await self.see.row(
            "The risk signal", "select * from risk_signals where incident_id = $1", self.incident
        )
        self.teller.tell("severity", f"{signal['severity']} (critical integration, ARR $200,000); {signal['type']}")
        alert = await self._slack_alert()
        self.teller.tell("Slack message", f"to Maria: “{_heading(alert)}” [{'] ['.join(_buttons(alert))}]")
        mail = await self._first_mail()
        self.teller.tell("email", f"to {', '.join(mail['recipients'])}: “{mail['subject']}”")
        task = await self.see.row("The task", "select * from tasks where incident_id = $1", self.incident)
        due = _hours(task["due_at"] - task["created_at"])
        self.teller.tell("task", f"“{task['title']}”, {task['priority']}, due in {due}")
        score = await self._score("Critical integration disconnected")
        self.teller.tell("health score", f"{score['adjustment']:+d}, now {score['health_score']}")

    async def _escalation(self) -> None:
        manager = TECHCORP["csm"]["manager"]["email"]
        call = await self.see.direct_message("The escalation to the CSM's manager", manager)
        after = call["at"] - (await self._alerted_at()).timestamp()
        self.teller.tell(
            "escalation", f"to James, Maria's manager, {after:.1f} s after the first notice: nobody reacted"
        )

    async def _customer_reconnects(self) -> None:
        mail = await self._first_mail()
        link = next((link for link in mail["links"] if "/r/" in link), None)
        if link is None:
            raise NotSeenError("A reconnect link in the mail was not seen.")
        before = await self._hint()
        page = (await self.see.web.get(link)).raise_for_status()
        if await self._hint() != before:
            raise NotSeenError("A page that only opens was not seen: opening it started a verification.")
        consent = await self.see.web.post(page.url, follow_redirects=True)
        if consent.url.path != "/oauth2/authorize":
            raise NotSeenError(f"The provider's consent page was not seen: the link led to {consent.url}.")
        self.teller.tell("reconnect", "Bob clicked “Reconnect” in the mail and came to the provider's consent page")
        await self._authorise(str(consent.url))
        self.teller.tell("authorised", "the provider granted a new token; the product stored it and called back")

    async def _resolution(self) -> None:
        await self.see.row(
            "The verified repair",
            "select 1 from incidents where id = $1 and evidence = 'verified' and status in ('recovering', 'closed')",
            self.incident,
        )
        self.teller.tell("verified", "Relink refreshed the new token itself: it works; now it must hold")
        closed = await self.see.row(
            "The resolution",
            "select i.*, h.status as health, h.resolved_at from incidents i"
            " join integration_health h on h.id = i.integration_health_id where i.id = $1 and i.status = 'closed'",
            self.incident,
        )
        down = (closed["closed_at"] - closed["opened_at"]).total_seconds()
        self.teller.tell("resolved", f"{closed['resolution']} after {down:.1f} s; integration {closed['health']}")
        await self._all_clear(closed["closed_at"])
        task = await self.see.row(
            "The completed task", "select * from tasks where incident_id = $1 and status <> 'open'", self.incident
        )
        score = await self._score("Critical integration reconnected")
        self.teller.tell("score back", f"{score['adjustment']:+d}, now {score['health_score']}; task {task['status']}")

    async def _all_clear(self, closed_at: datetime) -> None:
        """Only what was said after the end counts."""
        ts = (await self._slack_alert())["response"]["ts"]
        end = closed_at.timestamp()
        await self.see.slack_call(
            "The edited Slack message", "chat.update", lambda call: call["arguments"]["ts"] == ts and call["at"] > end
        )
        reply = await self.see.slack_call(
            "The answer in the Slack thread",
            "chat.postMessage",
            lambda call: call["arguments"].get("thread_ts") == ts and call["at"] > end,
        )
        mail = await self.see.mail(
            "The all-clear mail",
            lambda mail: PERSON in mail["recipients"] and datetime.fromisoformat(mail["received_at"]) > closed_at,
        )
        said = reply["arguments"]["text"].splitlines()[0].split(". ")[0]
        self.teller.tell("all-clear", f"Slack message edited, in its thread “{said}”; mail to Bob: “{mail['subject']}”")

    async def _nothing_twice(self) -> None:
        """Each once: that is the promise, so it is looked at as well."""
        posts, mails = await self.see.slack_calls("chat.postMessage"), await self.see.mails()
        keys = [call["arguments"]["metadata"]["event_payload"]["delivery_key"] for call in posts]
        ids = [mail["message_id"] for mail in mails]
        counts = await self.see.database.fetchrow(
            "select (select count(*) from incidents) as incidents, (select count(*) from tasks) as tasks,"
            " (select count(*) from risk_signals) as signals,"
            " (select count(*) from health_score_adjustments) as score_changes,"
            " (select count(*) from deliveries where status <> 'sent') as unsent"
        )
        once = len(keys) == len(set(keys)) and len(ids) == len(set(ids))
        if counts is None or tuple(counts) != (1, 1, 1, 2, 0) or not once:
            raise NotSeenError(f"Each thing once was not seen: {counts}, Slack messages {keys}, mails {ids}.")
        sent = f"{len(posts)} Slack messages, {len(mails)} mails"
        self.teller.tell("nothing twice", f"1 incident, 1 task, 1 risk signal, 2 score changes, {sent}")

    async def _slack_alert(self) -> Json:
        return await self.see.direct_message("The Slack message to the CSM", TECHCORP["csm"]["email"])

    async def _first_mail(self) -> Json:
        return await self.see.mail("The mail to the technical contact", lambda mail: PERSON in mail["recipients"])

    async def _score(self, reason: str) -> Json:
        row = await self.see.row(
            f"The health score change “{reason}”",
            "select a.adjustment, c.health_score from health_score_adjustments a"
            " join customers c on c.id = a.customer_id where a.incident_id = $1 and a.reason = $2",
            self.incident,
            reason,
        )
        return dict(row)

    async def _alerted_at(self) -> datetime:
        query = "select alerted_at from incidents where id = $1 and alerted_at is not null"
        row = await self.see.row("The time of the first notice", query, self.incident)
        alerted_at: datetime = row["alerted_at"]
        return alerted_at

    async def _hint(self) -> object:
        return await self.see.database.fetchval("select hint_seq from incidents where id = $1", self.incident)

    async def _authorise(self, consent_url: str) -> httpx.Response:
        """Bob consents on the provider's page and follows it back to the product."""
        answer = await self.see.web.post(consent_url, data={"sub": PERSON}, follow_redirects=True)
        if answer.status_code != 200 or not self.product.refresh_token:
            raise NotSeenError(
                f"The way back from the consent page was not seen: {answer.status_code} {answer.text[:300]}"
            )
        return answer


def _heading(call: Json) -> str:
    blocks = call["arguments"].get("blocks", [])
    headings = [block["text"]["text"] for block in blocks if block["type"] == "header"]
    return str((headings or [call["arguments"]["text"]])[0])


def _buttons(call: Json) -> list[str]:
    return [
        element["text"]["text"]
        for block in call["arguments"].get("blocks", [])
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    ]


def _ms(took: timedelta) -> str:
    return f"{took.total_seconds() * 1000:.0f} ms"


def _hours(time_left: timedelta) -> str:
    return f"{time_left.total_seconds() / 3600:.0f} h"
