"""What a person does about an incident: a fact, a line in the timeline, a note, a bell; once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.db.ledger import ALL_CLEAR, CUSTOMER, NOTE, TECH_CALL, Intent, intend
from tests.api.calling import Api

ACTIONS: dict[str, dict[str, Any]] = {
    "acknowledge": {},
    "snooze": {"for": "4h"},
    "resolve": {"reason": "fixed"},
    "send-fix-instructions": {},
    "schedule-tech-call": {},
}


async def notes(api: Api, incident: str) -> list[dict[str, Any]]:
    rows = await api.pool.fetch(
        "select details from deliveries where incident_id = $1 and template = $2 order by created_at", incident, NOTE
    )
    return [row["details"] for row in rows]


async def mails(api: Api, incident: str, template: str = CUSTOMER) -> list[str]:
    rows = await api.pool.fetch(
        "select recipient from deliveries where incident_id = $1 and template = $2 order by created_at",
        incident,
        template,
    )
    return [row["recipient"] for row in rows]


async def person(api: Api, email: str) -> UUID:
    query = "select p.id from people p join customers c on c.id = p.customer_id where c.external_id = $1 and email = $2"
    found: UUID = await api.pool.fetchval(query, api.name, email)
    return found


async def age_mails(api: Api, incident: str) -> None:
    """As if they had been sent some minutes ago."""
    await api.pool.execute(
        "update deliveries set status = 'sent', sent_at = now(), created_at = created_at - interval '2 minutes'"
        " where incident_id = $1 and channel = 'email'",
        incident,
    )


async def test_every_action_answers_202_with_the_incident_and_rings(apart: Api) -> None:
    bells = {"resolve": "reconnected", "snooze": "snoozed", "acknowledge": "acknowledged"}
    for i, (action, body) in enumerate(ACTIONS.items()):
        incident = await apart.incident(integration_id=f"i{i}")
        response = await apart.act(incident, action, **body)
        assert response.status_code == 202, response.text
        assert response.json()["id"] == incident
        assert response.json()["timeline"][-1]["actor"] == f"person:{await person(apart, 'dana@acme.example')}"
        assert (await apart.doorbells(incident))[-1] == bells.get(action, "message_requested")
        assert apart.rung(incident) == 2  # the event's, and this one


async def test_a_closed_incident_is_409_whatever_is_done(apart: Api) -> None:
    incident = await apart.incident()
    await apart.act(incident, "resolve", reason="no_longer_used")
    before = await apart.timeline(incident)
    for action, body in ACTIONS.items():
        response = await apart.act(incident, action, **body)
        assert response.status_code == 409, action
        assert "over" in response.json()["detail"]
    assert await apart.timeline(incident) == before


async def test_an_unknown_incident_is_404(shared: Api) -> None:
    for action, body in ACTIONS.items():
        assert (await shared.act(str(uuid4()), action, **body)).status_code == 404


async def test_who_acts_must_be_said(shared: Api) -> None:
    for action, body in ACTIONS.items():
        for by in ({}, {"by": ""}, {"by": "a\r\nb"}, {"by": 7}):
            response = await shared.http.post(f"/v1/incidents/{uuid4()}/{action}", json=body | by)
            assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "by"), action


@pytest.mark.parametrize("by", ["dana@acme.example", "DANA@acme.example", "U0DANA", "Dana Kim", " dana kim "])
async def test_one_of_the_customers_people_is_recognised(apart: Api, by: str) -> None:
    """By address, Slack id or name; the timeline holds the id only."""
    incident = await apart.incident()
    shown = (await apart.act(incident, "acknowledge", by=by)).json()
    entry = shown["timeline"][-1]
    assert (entry["kind"], entry["actor"]) == ("acknowledged", f"person:{await person(apart, 'dana@acme.example')}")
    assert shown["acknowledged_by"] == by


async def test_somebody_else_is_an_operator_and_not_named_in_the_timeline(apart: Api) -> None:
    incident = await apart.incident()
    shown = (await apart.act(incident, "acknowledge", by="Ops Olga <olga@example.com>")).json()
    assert shown["timeline"][-1]["actor"] == "operator"
    rows = await apart.pool.fetch("select * from incident_timeline where incident_id = $1", incident)
    assert "olga" not in str([dict(row) for row in rows]).lower()
    assert "olga" not in str(await notes(apart, incident)).lower()


async def test_the_first_acknowledgement_counts(apart: Api) -> None:
    incident = await apart.incident()
    answers = await asyncio.gather(*(apart.act(incident, "acknowledge", by=f"person {i}") for i in range(8)))
    assert {a.status_code for a in answers} == {202}
    assert len({(a.json()["acknowledged_by"], a.json()["acknowledged_at"]) for a in answers}) == 1
    assert (await apart.timeline(incident)).count("acknowledged") == 1
    assert len(await notes(apart, incident)) == 1


async def test_an_acknowledgement_that_expired_can_be_given_again(apart: Api) -> None:
    incident = await apart.incident()
    await apart.act(incident, "acknowledge")
    await apart.pool.execute(
        "update incidents set acknowledged_at = acknowledged_at - interval '5 hours',"
        " ack_expired_at = acknowledged_at - interval '5 hours' where id = $1",
        incident,
    )
    shown = (await apart.act(incident, "acknowledge", by="max@acme.example")).json()
    assert shown["acknowledged_by"] == "max@acme.example"
    assert (await apart.timeline(incident)).count("acknowledged") == 2


async def test_the_note_of_an_acknowledgement_says_until_when(apart: Api) -> None:
    """The policy's ack_timeout from now; without a ladder there is nothing to pause."""
    incident = await apart.incident()
    await apart.act(incident, "acknowledge")
    (note,) = await notes(apart, incident)
    assert note["kind"] == "acknowledged"
    until = datetime.fromisoformat(note["until"])
    assert timedelta(hours=3, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=4)


async def test_snooze_for_and_until(apart: Api) -> None:
    incident = await apart.incident()
    until = datetime.now(UTC) + timedelta(days=2)
    shown = (await apart.act(incident, "snooze", until=until.astimezone().isoformat())).json()
    assert datetime.fromisoformat(shown["snoozed_until"]) == until
    again = (await apart.act(incident, "snooze", **{"for": "4h"})).json()
    left = datetime.fromisoformat(again["snoozed_until"]) - datetime.now(UTC)
    assert timedelta(hours=3, minutes=59) < left <= timedelta(hours=4)
    assert (await apart.timeline(incident)).count("snoozed") == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "until"),
        ({"for": "4h", "until": "2999-01-01T00:00:00Z"}, "until"),
        ({"for": "4 hours"}, "for"),
        ({"for": 4}, "for"),
        ({"for": "0h"}, "for"),
        ({"for": "31d"}, "for"),
        ({"for": "999999999d"}, "for"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": "2999-01-01T00:00:00Z"}, "until"),
        ({"until": "2026-12-01T00:00:00"}, "until"),
        ({"until": 1800000000}, "until"),
    ],
)
async def test_a_snooze_needs_one_sensible_time(shared: Api, body: dict[str, Any], field: str) -> None:
    response = await shared.act(str(uuid4()), "snooze", **body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


async def test_fixed_starts_a_check_and_closes_nothing(apart: Api) -> None:
    incident = await apart.incident()
    await apart.pool.execute("update incidents set informed_kind = kind where id = $1", incident)
    shown = (await apart.act(incident, "resolve", reason="fixed")).json()
    assert (shown["status"], shown["resolution"]) == ("open", None)
    assert shown["next_action"]["kind"] == "recovery_hinted"
    hint = await apart.pool.fetchval("select hint_kind from incidents where id = $1", incident)
    assert hint == "person"
    await apart.act(incident, "resolve", reason="fixed")  # still to be checked: nothing new
    assert (await apart.timeline(incident)).count("recovery_hinted") == 1


async def test_what_recovers_already_is_not_hinted_at(apart: Api) -> None:
    """A hint that nobody would follow up must not wake the workflow for ever."""
    incident = await apart.incident()
    await apart.pool.execute("update incidents set status = 'recovering', quiet_until = now() where id = $1", incident)
    assert (await apart.act(incident, "resolve", reason="fixed")).status_code == 202
    row = await apart.pool.fetchrow("select hint_seq, checked_seq from incidents where id = $1", incident)
    assert row is not None
    assert row["hint_seq"] == row["checked_seq"] == 0


@pytest.mark.parametrize("reason", ["no_longer_used", "false_alarm"])
async def test_closing_by_hand_ends_everything_and_mutes_until_a_success(apart: Api, reason: str) -> None:
    incident = await apart.incident()
    shown = (await apart.act(incident, "resolve", reason=reason, note="they left")).json()
    assert (shown["status"], shown["resolution"]) == ("closed", reason)
    row = await apart.pool.fetchrow("select closed_by, resolution_note from incidents where id = $1", incident)
    assert row is not None
    assert tuple(row) == ("dana@acme.example", "they left")
    assert (await apart.doorbells(incident))[-1] == "closed"
    assert await mails(apart, incident, ALL_CLEAR) == []
    assert (await apart.event())["incident"] is None  # muted
    await apart.event(event_type="sync_succeeded")
    assert (await apart.event())["incident"] not in {None, incident}


async def test_a_recovering_incident_can_be_closed_by_hand(apart: Api) -> None:
    """From any state."""
    incident = await apart.incident()
    await apart.pool.execute("update incidents set status = 'recovering' where id = $1", incident)
    assert (await apart.act(incident, "resolve", reason="false_alarm")).json()["status"] == "closed"


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "reason"), ({"reason": "bored"}, "reason"), ({"reason": "fixed", "note": "x" * 2001}, "note")],
)
async def test_a_resolution_needs_a_reason(shared: Api, body: dict[str, Any], field: str) -> None:
    response = await shared.act(str(uuid4()), "resolve", **body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


async def test_fix_instructions_go_to_the_first_contact_once_however_often_it_is_clicked(apart: Api) -> None:
    incident = await apart.incident()
    for _ in range(3):
        assert (await apart.act(incident, "send-fix-instructions")).status_code == 202
    assert await mails(apart, incident) == ["bob@techcorp.example"]
    (note,) = await notes(apart, incident)
    assert (note["kind"], note["person"]) == ("mail_sent", str(await person(apart, "bob@techcorp.example")))
    assert apart.rung(incident) == 2


async def test_the_first_mail_by_hand_is_the_workflows_own(apart: Api) -> None:
    """One intent per notice (promise 5): whichever comes first, it is sent once."""
    incident = await apart.incident()
    await apart.act(incident, "send-fix-instructions")
    to, bob = "bob@techcorp.example", await person(apart, "bob@techcorp.example")
    async with apart.pool.acquire() as connection:
        assert not await intend(connection, Intent(UUID(incident), "email", CUSTOMER, "technical_contact", to, bob))


async def test_they_are_sent_again_when_asked_for_later(apart: Api) -> None:
    incident = await apart.incident()
    for _ in range(3):
        await apart.act(incident, "send-fix-instructions")
        await age_mails(apart, incident)
    assert await mails(apart, incident) == ["bob@techcorp.example"] * 3


async def test_a_failed_mail_can_be_sent_again_at_once(apart: Api) -> None:
    incident = await apart.incident()
    await apart.act(incident, "send-fix-instructions")
    await apart.pool.execute(
        "update deliveries set status = 'failed' where incident_id = $1 and channel = 'email'", incident
    )
    await apart.act(incident, "send-fix-instructions")
    assert len(await mails(apart, incident)) == 2


async def test_the_recipient_can_be_chosen_or_added(apart: Api) -> None:
    incident = await apart.incident()
    await apart.customer(
        technical_contacts=[{"email": "bob@techcorp.example"}, {"email": "eve@techcorp.example"}, {"name": "No Mail"}]
    )
    eve = str(await person(apart, "eve@techcorp.example"))
    await apart.act(incident, "send-fix-instructions", contact_id=eve)
    new = {"email": "Ida@techcorp.example", "name": "Ida"}
    await apart.act(incident, "send-fix-instructions", contact=new)
    await apart.act(incident, "send-fix-instructions", contact={"email": "ida@techcorp.example"})  # the same person
    assert await mails(apart, incident) == ["eve@techcorp.example", "Ida@techcorp.example"]
    contacts = (await apart.http.get(f"/v1/customers/{apart.name}")).json()["technical_contacts"]
    assert [c["name"] for c in contacts] == [None, None, "No Mail", "Ida"]


async def test_without_a_contact_it_says_how_to_add_one(apart: Api) -> None:
    incident = await apart.incident()
    await apart.customer(technical_contacts=[{"name": "No Mail"}])
    for action in ("send-fix-instructions", "schedule-tech-call"):
        response = await apart.act(incident, action)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "contact")
        assert "technical_contacts" in response.json()["detail"]
    assert await apart.timeline(incident) == ["detected"]


async def test_only_contacts_of_this_customer_can_be_named(apart: Api, shared: Api) -> None:
    incident = await apart.incident()
    stranger = str(await person(shared, "bob@techcorp.example"))
    csm = str(await person(apart, "dana@acme.example"))
    for contact in (stranger, csm, str(uuid4())):
        response = await apart.act(incident, "send-fix-instructions", contact_id=contact)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "contact_id")
    for wrong, field in (
        ({"contact": {"name": "x"}}, "contact.email"),
        ({"contact": {"email": "x"}}, "contact.email"),
        ({"contact_id": csm, "contact": {"email": "x@y.example"}}, "contact_id"),
        ({"contact_id": "bob"}, "contact_id"),
    ):
        response = await apart.act(incident, "send-fix-instructions", **wrong)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field), wrong
    assert await mails(apart, incident) == []


async def test_a_call_is_offered_to_the_contact(apart: Api) -> None:
    incident = await apart.incident()
    for _ in range(2):
        assert (await apart.act(incident, "schedule-tech-call")).status_code == 202
    assert await mails(apart, incident, TECH_CALL) == ["bob@techcorp.example"]
    (note,) = await notes(apart, incident)
    assert (note["kind"], note["booking"]) == ("tech_call_requested", False)


async def test_nothing_is_mailed_while_the_connection_only_has_to_hold(apart: Api) -> None:
    incident = await apart.incident()
    await apart.pool.execute("update incidents set status = 'recovering' where id = $1", incident)
    for action in ("send-fix-instructions", "schedule-tech-call"):
        assert (await apart.act(incident, action)).status_code == 409
    assert await mails(apart, incident) == await mails(apart, incident, TECH_CALL) == []
