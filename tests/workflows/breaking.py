"""Several integrations of TechCorp that break, and what their contact reads of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from activities.events import Event
from starter.embedded.inbox import Mail
from tests.workflows.world import CUSTOMER_MAIL, World

BOB, ANN = "bob@techcorp.example", "ann@techcorp.example"
ERROR = {"code": "invalid_grant", "message": "expired", "http_status": 400, "surface": "token_endpoint"}


async def broken(world: World, *names: str, ring: bool = True) -> list[UUID]:
    """Integrations of these names fail in one array of events; returns their incidents."""
    events = [
        {
            "customer_external_id": "techcorp",
            "integration_type": name,
            "integration_id": name,
            "event_type": "auth_failure",
            "error": ERROR,
        }
        for name in names
    ]
    outcomes, _ = await world.events.take([Event.model_validate(event) for event in events])
    incidents = [outcome.incident for outcome in outcomes]
    for incident in incidents if ring else []:
        assert incident is not None
        await world.ring.incident(incident)
    return [incident for incident in incidents if incident]


async def first_mails(world: World, incidents: Sequence[UUID]) -> list[tuple[str, str, str | None]]:
    """What became of the incidents' first mails: recipient, status, and the rest in a word."""
    rows = await world.pool.fetch(
        "select d.*, o.incident_id as lead from deliveries d left join deliveries o on o.delivery_key = d.told_with"
        " where d.template = $1 and d.incident_id = any($2)"
        " order by array_position($2, d.incident_id), d.created_at, d.delivery_key",
        CUSTOMER_MAIL,
        incidents,
    )
    names = {incident: str(i) for i, incident in enumerate(incidents)}
    return [
        (row["recipient"].partition("@")[0], row["status"], f"with {names[row['lead']]}" if row["lead"] else None)
        for row in rows
    ]


def told_of(mail: Mail) -> list[str]:
    """The integrations that a mail tells of."""
    text = mail.text.replace("\r\n", "\n")
    several = re.findall(r"^\d+\) (.+)$", text, re.MULTILINE)
    return several or re.findall(r"your (.+?) integration", text)[:1]


def links_in(mail: Mail) -> set[str]:
    """The reconnect links."""
    return set(re.findall(r"https://relink\.example/r/\S+", mail.text))
