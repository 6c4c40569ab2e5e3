"""Slack's buttons, against the Slack stand-in's Web API: the same as the API, and kind to everybody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from starter.api.slack_buttons import snooze_end
from tests.api.slack_person import Slack


async def test_acknowledge_is_the_same_as_in_the_api(dana: Slack) -> None:
    incident = await dana.api.incident()
    response = await dana.click("acknowledge", incident)
    assert (response.status_code, response.text) == (200, "")
    shown = await dana.api.show(incident)
    assert shown["acknowledged_by"] == "Dana Kim"
    assert shown["timeline"][-1]["actor"].startswith("person:")
    assert (await dana.api.doorbells(incident))[-1] == "acknowledged"
    for _ in range(12_000):
        if dana.api.rung(incident) == 2:
            break
        await asyncio.sleep(0.01)
    assert dana.api.rung(incident) == 2
    assert dana.server.calls("chat.postEphemeral") == []


async def test_a_second_click_is_answered_kindly_and_changes_nothing(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("acknowledge", incident)
    before = await dana.api.timeline(incident)
    await dana.click("acknowledge", incident)
    assert await dana.told() == "You have acknowledged this already, just now. Nothing was changed."
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    dana.server.clear()
    await dana.click("acknowledge", incident, user=max_.id)
    assert await dana.told() == "Dana Kim has acknowledged this already, just now. Nothing was changed."
    assert await dana.api.timeline(incident) == before


async def test_two_people_at_once(dana: Slack) -> None:
    """The first wins; the other is told who that was."""
    incident = await dana.api.incident()
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    answers = await asyncio.gather(
        dana.click("acknowledge", incident), dana.click("acknowledge", incident, user=max_.id)
    )
    assert {a.status_code for a in answers} == {200}
    assert "acknowledged this already" in await dana.told()
    assert (await dana.api.timeline(incident)).count("acknowledged") == 1


async def test_people_who_may_not_are_told_who_may(dana: Slack) -> None:
    incident = await dana.api.incident()
    stranger = dana.server.store.user_by_email("stranger@acme.example")
    assert stranger is not None
    before = await dana.api.timeline(incident)
    for action in ("acknowledge", "send_fix_instructions", "schedule_tech_call", "close"):
        dana.server.clear()
        assert (await dana.click(action, incident, user=stranger.id)).status_code == 200
        assert "Only Dana Kim (CSM), Max Boss (the CSM's manager) and CS leadership" in await dana.told()
        assert dana.server.calls("views.open") == []
    await dana.click("snooze", f"{incident}:1h", user=stranger.id, select=True)
    assert await dana.api.timeline(incident) == before


async def test_somebody_known_by_address_only_may(dana: Slack) -> None:
    """The manager has no Slack id on file: Slack is asked for their address, and the timeline knows who it was."""
    incident = await dana.api.incident()
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    await dana.click("acknowledge", incident, user=max_.id)
    shown = await dana.api.show(incident)
    assert shown["acknowledged_by"] == "Max Boss"
    people = (await dana.api.http.get(f"/v1/customers/{dana.api.name}")).json()
    assert shown["timeline"][-1]["actor"] == f"person:{people['csm']['manager']['id']}"


async def test_leadership_of_the_policy_may(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.api.pool.execute(
        "update incidents set policy = jsonb_set(policy, '{people,cs_leadership}', $2) where id = $1",
        incident,
        {"slack": "", "email": "vp@acme.example"},
    )
    boss = dana.server.store.user_by_email("vp@acme.example")
    assert boss is not None
    await dana.click("acknowledge", incident, user=boss.id)
    assert (await dana.api.show(incident))["acknowledged_by"] == "vp@acme.example"


@pytest.mark.parametrize("action", ["acknowledge", "send_fix_instructions", "schedule_tech_call", "close"])
async def test_old_messages_of_closed_incidents(dana: Slack, action: str) -> None:
    incident = await dana.api.incident()
    await dana.api.act(incident, "resolve", reason="false_alarm")
    assert (await dana.click(action, incident)).status_code == 200
    assert "over already" in await dana.told()


async def test_an_incident_that_is_not_known_any_more(dana: Slack) -> None:
    assert (await dana.click("acknowledge", str(uuid4()))).status_code == 200
    assert "does not know this incident" in await dana.told()


async def test_snooze_by_menu(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("snooze", f"{incident}:4h", select=True)
    until = datetime.fromisoformat((await dana.api.show(incident))["snoozed_until"])
    assert timedelta(hours=3, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=4)
    assert (await dana.told()).startswith("Snoozed until ")


async def test_snoozed_twice_is_once(dana: Slack) -> None:
    """A double click, or somebody else with the same choice: one note in the thread, and the second hears that it is so
    already. Another choice replaces it."""
    incident = await dana.api.incident()
    for choice, said in (("1h", "Snoozed until "), ("1h", "It is snoozed until "), ("4h", "Snoozed until ")):
        dana.server.clear()
        await dana.click("snooze", f"{incident}:{choice}", select=True)
        assert (await dana.told()).startswith(said)
    assert (await dana.api.timeline(incident)).count("snoozed") == 2


def test_tomorrow_is_nine_in_the_morning_where_that_person_lives() -> None:
    now = datetime(2026, 1, 30, 3, 0, tzinfo=UTC)  # still the 29th in New York
    assert snooze_end("tomorrow", "America/New_York", now) == datetime(2026, 1, 30, 14, 0, tzinfo=UTC)
    assert snooze_end("tomorrow", None, now) == datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
    assert snooze_end("1h", "America/New_York", now) == now + timedelta(hours=1)
    spring = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)  # the clocks change in that night
    assert snooze_end("tomorrow", "America/New_York", spring) == datetime(2026, 3, 8, 13, 0, tzinfo=UTC)


async def test_the_status_button_is_a_link_and_only_acknowledged(dana: Slack) -> None:
    for action in ("view_integration_status", "something_new"):
        assert (await dana.click(action, str(uuid4()))).status_code == 200
