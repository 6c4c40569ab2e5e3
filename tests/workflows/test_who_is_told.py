"""Who hears of it, and who does not: by policy, by cause, and by who is on file."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from starter.doctor import PARTS, WrongError
from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT, World, ago
from workflows.contracts import Bell, Resolution

ENGINEERING = "integration_disconnected_engineering"
OUR_FAULT = {"code": "invalid_client", "message": "invalid client credentials", "http_status": 401}


async def test_everybody_hears_once(world: World) -> None:
    """The CSM in Slack, the technical contact by mail; one task due in four hours; the score; the risk signal."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    assert sorted(await world.deliveries(incident)) == [
        ("email", CUSTOMER_MAIL, "sent"),
        ("slack", SLACK_ALERT, "sent"),
    ]
    row = await world.row(incident)
    task = await world.pool.fetchrow("select * from tasks")
    assert task is not None
    assert task["title"] == "Integration disconnected: salesforce for TechCorp"
    assert (task["priority"], task["status"], task["assignee"]) == ("critical", "open", "maria@vendor.example")
    assert abs(task["due_at"] - row["detected_at"] - timedelta(hours=4)) < timedelta(seconds=10)
    signal = await world.pool.fetchrow("select * from risk_signals")
    assert signal is not None
    assert (signal["type"], signal["severity"], signal["status"]) == ("integration_disconnected", "critical", "open")
    assert set(signal["details"]) == {
        "integration_type",
        "failure_reason",
        "error_code",
        "impact_scope",
        "troubleshooting_steps",
    }
    assert signal["details"]["error_code"] == "invalid_grant"
    adjustment = await world.pool.fetchrow("select adjustment, reason from health_score_adjustments")
    assert adjustment is not None
    assert tuple(adjustment) == (-10, "Critical integration disconnected")
    assert await world.value("select health_score from customers") == 72


@pytest.mark.history
async def test_the_alert_shows_how_far_the_mail_got(world: World) -> None:
    """FR-3.4: sent, then opened, without anybody having to ask; and the thread says when the customer acts."""

    async def says(text: str) -> bool:
        return any(text in str(alert["blocks"]) for alert in world.alerts())

    async with world.make_worker():
        incident = await world.disconnect()
        await world.until(lambda: says("Fix instructions sent to Bob Smith"))
        assert await says("not opened yet")
        bob = await world.value("select id from people where name = 'Bob Smith'")
        assert await world.actions.page_opened(incident, bob)
        await world.ring.incident(incident)
        await world.until(lambda: says(", opened <!date"))
        await world.until_delivery(incident, "integration_disconnected_note", "slack", "sent")
    assert "The reconnect button behind the mail to Bob Smith was pressed." in world.thread()[0]


async def test_a_score_is_touched_only_for_critical_integrations(world: World) -> None:
    """Whatever the severity: here it is high, because of the ARR."""
    await world.pool.execute("update integration_health set is_critical = false")
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    assert (await world.row(incident))["severity"] == "high"
    assert await world.value("select health_score from customers") == 82
    assert await world.value("select priority from tasks") == "high"


async def test_without_a_csm_the_policys_fallback_is_told(world: World) -> None:
    """`people.fallback_csm` stands in for a customer without a CSM."""
    world.set_policy(people={"fallback_csm": {"email": "pool@vendor.example"}})
    await world.pool.execute("delete from people where role = 'csm'")
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    assert await world.value("select recipient from deliveries where role = 'csm'") == "pool@vendor.example"
    assert len(world.alerts()) == 1


async def test_a_csm_who_cannot_be_reached_is_stood_in_for(world: World) -> None:
    """A CSM with a name only: the policy's fallback is told, and the timeline says why it wasn't the CSM."""
    world.set_policy(people={"fallback_csm": {"email": "pool@vendor.example"}})
    await world.pool.execute("update people set email = null where role = 'csm'")
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    assert await world.value("select recipient from deliveries where role = 'csm'") == "pool@vendor.example"
    (held,) = await world.told_of(incident, "notice_held")
    assert held["rule"] == "the csm has neither Slack nor an email address: people.fallback_csm is told instead"


async def test_the_doctor_counts_what_nobody_heard_of(world: World) -> None:
    """No CSM, no fallback, no contact: the timeline says it, and so does the command that looks after the whole."""
    settings = world.settings.model_copy(update={"database_url": world.database})
    await world.pool.execute("delete from people")
    assert "1 customer without a CSM who can be told: set people.fallback_csm" in await PARTS["people"](settings)
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        with pytest.raises(WrongError, match="nobody was told of 1 open incident "):
            await PARTS["people"](settings)
        await world.pool.execute(
            "insert into people (customer_id, role, name, email) select id, 'csm', 'Al', 'al@v.example' from customers"
        )
        await world.close_by_hand(incident, Resolution.FALSE_ALARM)
        await world.result(incident)
    assert "every customer has a CSM who can be told" in await PARTS["people"](settings)


async def test_without_anybody_the_timeline_says_so(world: World) -> None:
    """No CSM, no fallback, no contact: nothing is sent, the task stands, and each silence is a line."""
    await world.pool.execute("delete from people")
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "escalation_skipped")
    assert await world.deliveries(incident) == [
        ("slack", "integration_disconnected_note", "suppressed"),
    ]
    held = {(line["role"], line["rule"]) for line in await world.told_of(incident, "notice_held")}
    assert held == {
        ("csm", "nobody is set as csm"),
        ("technical_contact", "no technical contact has an email address"),
    }
    assert await world.value("select count(*) from tasks") == 1


async def test_without_a_technical_contact_the_csm_is_told_so(world: World) -> None:
    """The CSM's message says that nobody at the customer was told."""
    await world.pool.execute("delete from people where role = 'technical_contact'")
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    (alert,) = world.alerts()
    assert "no technical contact is on file" in str(alert["blocks"])
    assert world.inbox.messages() == []


@pytest.mark.history
async def test_our_own_fault_pages_engineering_and_spares_the_customer(world: World) -> None:
    """`who_fixes` our_engineering: the engineers hear, the customer is not asked to act."""
    world.set_policy(people={"engineering": {"slack": "#oncall", "email": "oncall@vendor.example"}})
    async with world.make_worker():
        incident = await world.disconnect(error=OUR_FAULT)
        await world.until_timeline(incident, "informed")
    assert (await world.row(incident))["who_fixes"] == "our_engineering"
    assert sorted(await world.deliveries(incident)) == [
        ("slack", SLACK_ALERT, "sent"),
        ("slack", ENGINEERING, "sent"),
    ]
    assert "Nobody in our engineering has been paged" not in str(world.alerts())
    assert {"role": "technical_contact", "rule": "the fault is ours: the customer is not asked to act"} in (
        await world.told_of(incident, "notice_held")
    )
    assert world.inbox.messages() == []


async def test_our_own_fault_with_nobody_on_call_is_said(world: World) -> None:
    """An unset role is skipped, and the timeline says so; the CSM hears that only they can tell them."""
    async with world.make_worker():
        incident = await world.disconnect(error=OUR_FAULT)
        await world.until_timeline(incident, "informed")
    assert {"role": "engineering", "rule": "nobody is set as engineering"} in (
        await world.told_of(incident, "notice_held")
    )
    assert "Nobody in our engineering has been paged" in str(world.alerts())


async def test_auto_send_off_leaves_the_mail_to_the_csm(world: World) -> None:
    """Not mailed until the CSM presses the button; then exactly once."""
    world.set_policy(customer={"auto_send": False})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        assert world.inbox.messages() == []
        assert await world.actions.send_fix_instructions(incident, "maria@vendor.example")
        await world.ring.incident(incident)
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    assert len(world.mails_to("bob@techcorp.example")) == 1


@pytest.mark.history
async def test_recovered_within_the_hold_window_nobody_hears_of_it(world: World) -> None:
    """A blip: neither alert nor mail, task, score or risk signal, and no all-clear either."""
    world.set_policy(notify={"hold": "15m"})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "confirmed")
        await world.until_waiting(incident)
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    assert world.posted() == []
    assert world.inbox.messages() == []
    assert await world.value("select count(*) from tasks") == 0
    assert await world.value("select count(*) from risk_signals") == 0
    assert await world.value("select count(*) from health_score_adjustments") == 0
    assert (await world.row(incident))["alerted_at"] is None


async def test_recovered_before_the_worker_came_back_nobody_hears_of_it(world: World) -> None:
    """Failed and recovered while we were away: the recovery is looked into before anybody is told of a failure."""
    incident = await world.disconnect()
    await world.say("sync_succeeded")
    async with world.make_worker():
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    assert world.posted() == []
    assert world.inbox.messages() == []


@pytest.mark.history
async def test_still_broken_after_the_hold_window_people_are_told(world: World) -> None:
    """Not before it, and the ladder starts at the notice."""
    world.set_policy(notify={"hold": "15m"})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "confirmed")
        await world.pass_time(incident, timedelta(minutes=14))
        await world.until_waiting(incident)
        assert await world.deliveries(incident) == []
        await world.pass_time(incident, timedelta(minutes=2))
        await world.until_timeline(incident, "informed")
    row = await world.row(incident)
    assert row["alerted_at"] - row["detected_at"] > timedelta(minutes=14)
    assert len(world.alerts()) == 1


async def test_degraded_for_a_day_only_the_csm_hears(world: World) -> None:
    """FR-1.6: a low-severity incident with message and risk signal; no mail, task or score."""
    incident = await _long_degraded(world)
    async with world.make_worker():
        await world.until_timeline(incident, "informed")
    row = await world.row(incident)
    assert (row["kind"], row["severity"], row["number"]) == ("degraded", "low", 1)
    assert await world.deliveries(incident) == [("slack", SLACK_ALERT, "sent")]
    assert await world.value("select count(*) from risk_signals") == 1
    assert await world.value("select count(*) from tasks") == 0
    assert await world.value("select health_score from customers") == 82


@pytest.mark.history
async def test_degraded_that_becomes_disconnected_runs_the_missing_steps_once(world: World) -> None:
    """The same incident, assessed again: the customer's mail, the task, the score; the CSM hears in the thread."""
    incident = await _long_degraded(world)
    async with world.make_worker():
        await world.until_timeline(incident, "informed")
        assert await world.disconnect() == incident
        await world.until_timeline(incident, "informed", 2)
        await world.until_waiting(incident)
        row = await world.row(incident)
        assert (row["kind"], row["severity"], row["number"]) == ("disconnected", "critical", 1)
        assert len(world.alerts()) == 1
        assert len(world.mails_to("bob@techcorp.example")) == 1
        assert await world.value("select count(*) from tasks") == 1
        assert await world.value("select severity from risk_signals") == "critical"
        assert await world.value("select health_score from customers") == 72
        assert [text for text in world.thread() if "It got worse" in text] != []
        await world.pass_time(incident, timedelta(minutes=29))
        await world.until_waiting(incident)
        assert await world.told_of(incident, "escalated") == []
        await world.pass_time(incident, timedelta(minutes=2))
        await world.until_timeline(incident, "escalated")
    assert (await world.told_of(incident, "escalated"))[0]["to"] == "csm_manager"


async def test_a_worsened_incident_gives_the_csm_the_ladders_time(world: World) -> None:
    """Degraded for days and told of then: what became disconnected now escalates in half an hour, not at once."""
    incident = await _long_degraded(world)
    async with world.make_worker():
        await world.until_timeline(incident, "informed")
        await world.pool.execute("update incidents set alerted_at = alerted_at - interval '3 days'")
        await world.disconnect()
        await world.until_timeline(incident, "informed", 2)
        await world.until_waiting(incident)
        assert await world.told_of(incident, "escalated") == []
        assert await world.told_of(incident, "reminder_due") == []
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "escalated")


async def test_a_degraded_integration_that_recovers_is_closed(world: World) -> None:
    """And nobody but the CSM is told."""
    incident = await _long_degraded(world)
    async with world.make_worker():
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    assert (await world.health())["status"] == "healthy"
    assert world.inbox.messages() == []


async def _long_degraded(world: World) -> UUID:
    """An integration that has limped since yesterday, found by the round of reconciling."""
    await world.say("integration_status_changed", new_status="degraded", occurred_at=ago(hours=25))
    (incident,) = await world.events.open_long_degraded()
    await world.ring.incident(incident)
    assert await world.events.open_long_degraded() == set()
    await world.ring_bell(incident, Bell.FAILURE_RECURRED)
    return incident
