"""FR-3.4: sent, delivered or bounced, opened, reconnected, verified; in the API, and bounces that come later."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from activities.db.intents import CUSTOMER, NOTE, TECH_CALL, Intent, intend
from activities.email import without_addresses
from tests.api.calling import Api

REASON = "550 5.1.1 <bob@techcorp.example>: no such user\r\nhere"


async def _mail(api: Api, incident: str, status: str = "sent", template: str = CUSTOMER, who: str = "bob") -> str:
    """A mail to a contact, as its row stands afterwards; returns its key."""
    contact = await api.pool.fetchval(
        "select p.id from people p join customers c on c.id = p.customer_id"
        " where c.external_id = $1 and p.email like $2 || '@%'",
        api.name,
        who,
    )
    intent = Intent(UUID(incident), "email", template, "technical_contact", f"{who}@techcorp.example", contact)
    async with api.pool.acquire() as connection:
        await intend(connection, intent)
    await api.pool.execute(
        "update deliveries set status = $2, sent_at = case when $2 = 'sent' then now() end where delivery_key = $1",
        intent.key,
        status,
    )
    return intent.key


async def _two_contacts(api: Api) -> None:
    contacts = [{"name": "Bob", "email": "bob@techcorp.example"}, {"name": "Ann", "email": "ann@techcorp.example"}]
    await api.customer(technical_contacts=contacts)


async def _bounce(api: Api, key: str, reason: str = REASON.replace("\r\n", " "), **headers: str) -> Any:
    return await api.http.post(f"/v1/deliveries/{key}/bounced", json={"reason": reason}, headers=headers)


async def _funnel(api: Api, incident: str) -> list[str]:
    steps = (await api.show(incident))["funnel"]
    assert all((step["at"] is not None) == (step["state"] == "done") for step in steps)
    return [f"{step['step']} {step['state']}" for step in steps]


async def test_the_funnel_of_a_repair(apart: Api) -> None:
    """Each step as it is reached; a relapse takes the reconnection back."""
    incident = await apart.incident()
    assert await _funnel(apart, incident) == []
    await _mail(apart, incident, "pending")
    assert await _funnel(apart, incident) == []
    await _mail(apart, incident)
    after_sending = ["sent done", "delivered done", "opened waiting", "reconnected waiting", "verified waiting"]
    assert await _funnel(apart, incident) == after_sending
    await apart.pool.execute("update deliveries set opened_at = now() where incident_id = $1", incident)
    line = """insert into incident_timeline (incident_id, kind, actor, details)
      values ($1, $2, 'relink', jsonb_build_object('evidence', $3::text))"""
    await apart.pool.execute(line, incident, "recovering", "verified")
    reached = ["sent done", "delivered done", "opened done", "reconnected done", "verified waiting"]
    assert await _funnel(apart, incident) == reached
    await apart.pool.execute(line, incident, "relapsed", None)
    assert (await _funnel(apart, incident))[3] == "reconnected waiting"
    await apart.pool.execute(line, incident, "recovering", "verified")
    await apart.pool.execute(
        "update incidents set status = 'closed', resolution = 'verified', closed_at = now() where id = $1", incident
    )
    assert (await _funnel(apart, incident))[4] == "verified done"


async def test_what_nobody_checked_is_not_called_verified(apart: Api) -> None:
    """Without a monitor the last step is what it is: reported."""
    incident = await apart.incident()
    await _mail(apart, incident)
    line = """insert into incident_timeline (incident_id, kind, actor, details)
      values ($1, 'recovering', 'relink', '{"evidence": "reported"}')"""
    await apart.pool.execute(line, incident)
    assert (await _funnel(apart, incident))[3:] == ["reconnected done", "reported waiting"]
    await apart.pool.execute(
        "update incidents set status = 'closed', resolution = 'reported', closed_at = now() where id = $1", incident
    )
    assert (await _funnel(apart, incident))[3:] == ["reconnected done", "reported done"]


async def test_what_is_over_without_a_repair_skips_the_rest(apart: Api) -> None:
    incident = await apart.incident()
    await _mail(apart, incident)
    await apart.act(incident, "resolve", reason="no_longer_used")
    assert (await _funnel(apart, incident))[2:] == ["opened skipped", "reconnected skipped", "verified skipped"]


@pytest.mark.parametrize(("status", "delivered"), [("failed", "failed"), ("unknown", "waiting")])
async def test_a_mail_that_was_not_taken_is_not_delivered(apart: Api, status: str, delivered: str) -> None:
    incident = await apart.incident()
    await _mail(apart, incident, status)
    assert (await _funnel(apart, incident))[:2] == ["sent done", f"delivered {delivered}"]


async def test_what_was_told_together_counts_by_the_mail_that_told_it(apart: Api) -> None:
    first = await apart.incident(integration_id="a")
    second = await apart.incident(integration_id="b")
    lead = await _mail(apart, first)
    along = await _mail(apart, second, "suppressed")
    await apart.pool.execute("update deliveries set told_with = $2 where delivery_key = $1", along, lead)
    assert (await _funnel(apart, second))[:2] == ["sent done", "delivered done"]
    (delivery,) = (await apart.show(second))["deliveries"]
    assert (delivery["status"], delivery["told_with"]) == ("suppressed", lead)


async def test_a_bounce_that_comes_later_moves_to_the_next_contact(apart: Api) -> None:
    """Once; the row keeps the reason without addresses, the CSM's thread says it, the response is rung."""
    await _two_contacts(apart)
    incident = await apart.incident()
    key = await _mail(apart, incident)
    rung = apart.rung(incident)
    for _ in range(2):
        response = await _bounce(apart, key)
        assert (response.status_code, response.json()["status"]) == (202, "failed")
    assert apart.rung(incident) == rung + 1
    shown = await apart.show(incident)
    bob, ann = [d for d in shown["deliveries"] if d["channel"] == "email"]
    assert (bob["status"], bob["error"]) == ("failed", "550 5.1.1 <(address)>: no such user here")
    assert bob["sent_at"] is not None
    assert (ann["recipient"], ann["status"]) == ("ann@techcorp.example", "pending")
    assert (await apart.timeline(incident)).count("notice_failed") == 1
    notes = "select details from deliveries where incident_id = $1 and template = $2"
    (note,) = await apart.pool.fetch(notes, incident, NOTE)
    assert note["details"]["kind"] == "mail_failed"
    assert note["details"]["next_person"] is not None
    assert (await _funnel(apart, incident))[1] == "delivered failed"
    assert "(address)" in without_addresses(REASON)


async def test_the_last_contact_bounces(apart: Api) -> None:
    """Nobody at the customer was reached: the CSM is told so."""
    incident = await apart.incident()
    await _bounce(apart, await _mail(apart, incident))
    notes = "select details from deliveries where incident_id = $1 and template = $2"
    (note,) = await apart.pool.fetch(notes, incident, NOTE)
    assert (note["details"]["kind"], note["details"]["next_person"]) == ("mail_failed", None)


async def test_a_mail_about_several_bounces_for_all_of_them(apart: Api) -> None:
    await _two_contacts(apart)
    first = await apart.incident(integration_id="a")
    second = await apart.incident(integration_id="b")
    lead = await _mail(apart, first)
    along = await _mail(apart, second, "suppressed")
    await apart.pool.execute("update deliveries set told_with = $2 where delivery_key = $1", along, lead)
    await _bounce(apart, lead)
    for incident in (first, second):
        mails = [d for d in (await apart.show(incident))["deliveries"] if d["channel"] == "email"]
        statuses = {mail["recipient"]: mail["status"] for mail in mails}
        assert statuses == {"bob@techcorp.example": "failed", "ann@techcorp.example": "pending"}
    assert "message_requested" in await apart.doorbells(second)


async def test_a_bounce_after_the_end_asks_nobody_else(apart: Api) -> None:
    """The row tells the truth; there is nothing left to be told."""
    await _two_contacts(apart)
    incident = await apart.incident()
    key = await _mail(apart, incident)
    await apart.act(incident, "resolve", reason="no_longer_used")
    assert (await _bounce(apart, key)).status_code == 202
    mails = [d for d in (await apart.show(incident))["deliveries"] if d["channel"] == "email"]
    assert [d["status"] for d in mails] == ["failed"]


@pytest.mark.parametrize("status", ["pending", "sending", "suppressed"])
async def test_what_was_not_sent_cannot_bounce(apart: Api, status: str) -> None:
    incident = await apart.incident()
    response = await _bounce(apart, await _mail(apart, incident, status, TECH_CALL))
    assert response.status_code == 409
    assert status in response.json()["detail"]


async def test_unknown_deliveries_and_wrong_bodies(apart: Api) -> None:
    incident = await apart.incident()
    key = await _mail(apart, incident)
    assert (await _bounce(apart, "nothing/of/the/kind")).status_code == 404
    assert (await _bounce(apart, key, "")).status_code == 422
    assert (await _bounce(apart, key, **(await apart.key("read")))).status_code == 403
    assert (await apart.show(incident))["deliveries"][0]["status"] == "sent"


async def test_a_warning_that_belongs_to_no_incident_bounces(apart: Api) -> None:
    """Only its row changes."""
    integration = (await apart.integration())["id"]
    key = f"ending/{integration}/email"
    await apart.pool.execute(
        "insert into deliveries (delivery_key, integration_health_id, channel, template, recipient, role, status)"
        " values ($1, $2, 'email', 'credential_expiring_customer', 'bob@techcorp.example', 'technical_contact',"
        " 'sent')",
        key,
        UUID(integration),
    )
    assert (await _bounce(apart, key)).json() == {"delivery_key": key, "status": "failed", "incident": None}
    assert await apart.pool.fetchval("select status from deliveries where delivery_key = $1", key) == "failed"
