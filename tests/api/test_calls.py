"""Schedule Tech Call with times: from the API and from Slack's dialog, into the mail's row, timeline and thread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.db.ledger import NOTE, TECH_CALL
from tests.api.calling import Api
from tests.api.slack_person import Slack, chosen, texts

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
AFTER = TOMORROW + timedelta(hours=3)


async def _details(api: Api, incident: str, template: str) -> dict[str, Any]:
    query = "select details from deliveries where incident_id = $1 and template = $2"
    found: dict[str, Any] = await api.pool.fetchval(query, incident, template)
    return found


async def test_times_are_proposed_and_recorded(apart: Api) -> None:
    """In the mail's row, the timeline and the note of the thread; as instants, whatever zone they were written in."""
    incident = await apart.incident()
    written = [TOMORROW.isoformat(), (AFTER - timedelta(hours=5)).isoformat()[:19] + "-05:00"]
    response = await apart.act(incident, "schedule-tech-call", times=written, minutes=45)
    assert response.status_code == 202, response.text
    for details in (
        await _details(apart, incident, TECH_CALL),
        await _details(apart, incident, NOTE),
        response.json()["timeline"][-1]["details"],
    ):
        assert [datetime.fromisoformat(at) for at in details["times"]] == [TOMORROW, AFTER]
        assert details["minutes"] == 45


async def test_without_times_nothing_is_proposed(apart: Api) -> None:
    incident = await apart.incident()
    assert (await apart.act(incident, "schedule-tech-call")).status_code == 202
    assert "times" not in await _details(apart, incident, TECH_CALL)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"times": []}, "times"),
        ({"times": [(TOMORROW + timedelta(hours=n)).isoformat() for n in range(6)]}, "times"),
        ({"times": ["2020-01-01T00:00:00Z"]}, "times"),
        ({"times": [TOMORROW.isoformat(), TOMORROW.isoformat()]}, "times"),
        ({"times": [(TOMORROW + timedelta(days=400)).isoformat()]}, "times"),
        ({"times": ["2030-01-01T00:00:00"]}, "times[0]"),
        ({"times": [1_900_000_000]}, "times[0]"),
        ({"times": ["tomorrow"]}, "times[0]"),
        ({"times": TOMORROW.isoformat()}, "times"),
        ({"times": [TOMORROW.isoformat()], "minutes": 0}, "minutes"),
        ({"times": [TOMORROW.isoformat()], "minutes": 1000}, "minutes"),
        ({"times": [TOMORROW.isoformat()], "where": "here"}, "where"),
    ],
)
async def test_times_that_cannot_be_meant_are_422_by_name(apart: Api, body: dict[str, Any], field: str) -> None:
    incident = await apart.incident()
    response = await apart.act(incident, "schedule-tech-call", **body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field), response.text
    assert await _details(apart, incident, TECH_CALL) is None


async def test_the_dialog_proposes_times(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("schedule_tech_call", incident)
    modal = dana.opened()
    assert "asks for times that suit" in texts(modal)
    pickers = [b for b in modal["blocks"] if b.get("element", {}).get("type") == "datetimepicker"]
    assert [block["block_id"] for block in pickers] == ["time_1", "time_2", "time_3"]
    bob = next(b for b in modal["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]["value"]
    past = await dana.submit({"contact": chosen(bob), "time_2": _at(datetime(2020, 1, 1, tzinfo=UTC))})
    assert past.json()["response_action"] == "errors"
    assert list(past.json()["errors"]) == ["time_2"]
    times = {"time_1": _at(TOMORROW), "time_2": _at(None), "time_3": _at(AFTER)}
    response = await dana.submit({"contact": chosen(bob), **times, "minutes": chosen("60")})
    assert (response.status_code, response.text) == (200, "")
    details = await _details(dana.api, incident, TECH_CALL)
    assert [datetime.fromisoformat(at) for at in details["times"]] == [TOMORROW, AFTER]
    assert details["minutes"] == 60


@pytest.mark.parametrize(
    "rubbish", [-1, 0.5, "soon", "", True, 10**12, 10**30, float("inf"), {"at": 1}, [1], "1e9", "٣", None]
)
async def test_rubbish_in_the_dialog_offers_nothing_by_it(dana: Slack, rubbish: Any) -> None:
    """A picker of another version, or of nobody's: an error at its field, or no time at all; never a wrong one."""
    incident = await dana.api.incident()
    await dana.click("schedule_tech_call", incident)
    bob = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]["value"]
    entered = {"contact": chosen(bob), "time_1": {"type": "datetimepicker", "selected_date_time": rubbish}}
    answer = await dana.submit(entered)
    assert answer.status_code == 200
    details = await _details(dana.api, incident, TECH_CALL)
    if answer.text:
        assert list(answer.json()["errors"]) == ["time_1"]
        assert details is None
    else:
        assert "times" not in details


@pytest.mark.parametrize("entered", [{"minutes": chosen("100000")}, {"contact": chosen(str(UUID(int=1)))}])
async def test_what_the_dialog_did_not_offer_is_refused_kindly(dana: Slack, entered: dict[str, Any]) -> None:
    """A length, or somebody, that is not (or no longer) in the menu."""
    incident = await dana.api.incident()
    await dana.click("schedule_tech_call", incident)
    bob = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]["value"]
    answer = await dana.submit({"contact": chosen(bob), "time_1": _at(TOMORROW)} | entered)
    assert "Nothing was changed." in texts(answer.json()["view"])
    assert await _details(dana.api, incident, TECH_CALL) is None


def _at(at: datetime | None) -> dict[str, Any]:
    return {"type": "datetimepicker", "selected_date_time": int(at.timestamp()) if at else None}
