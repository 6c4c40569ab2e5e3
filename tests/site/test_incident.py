"""One incident: everything that happened and that was decided, what comes next, and what a person can do about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.db.intents import suppress
from activities.db.ledger import ALERT, CUSTOMER, Intent, intend
from tests.api.calling import Api
from tests.api.story import begin
from tests.site.visitor import Visitor, text_of


async def add_line(api: Api, incident: str, kind: str, **details: Any) -> None:
    await api.pool.execute(
        "insert into incident_timeline (incident_id, kind, actor, details) values ($1, $2, 'relink', $3)",
        incident,
        kind,
        details,
    )


async def test_the_whole_story_is_told(apart: Api) -> None:
    """What happened, who was told, what it did to the score, what comes next and when; names instead of ids."""
    story = await begin(apart, is_critical=True, display_name="CRM Sync")
    await apart.act(story.incident, "acknowledge")
    await apart.pool.execute(
        "insert into health_score_adjustments (customer_id, incident_id, adjustment, reason)"
        " select customer_id, id, -10, 'Critical integration disconnected' from incidents where id = $1",
        UUID(story.incident),
    )
    await apart.pool.execute(
        "update incidents set informed_kind = kind, alerted_at = now() where id = $1", UUID(story.incident)
    )
    await apart.pool.execute(
        "update deliveries set status = 'sent', sent_at = now() where incident_id = $1", UUID(story.incident)
    )
    page = await Visitor.viewer(apart).get(f"/incidents/{story.incident}")
    assert page.status_code == 200
    for words in (
        "CRM Sync at TechCorp", "Critical", "Acknowledged", "Dana Kim", "$200,000", "INVALID_GRANT", "Detected",
        "-10 Critical integration disconnected", "Fix instructions", "Bob Smith", "The customer's user fixes it",
        "Escalate again, if it is not fixed", "in 4 h", "Sent", "Reconnected not yet",
    ):  # fmt: skip
        assert words in text_of(page), words
    assert f'href="/integrations/{story.integration}"' in page.text
    for raw in ("person:", "acknowledgement_expired", str(story.bob), "{product_name}"):
        assert raw not in text_of(page), raw


async def test_what_was_held_back_says_by_which_rule(apart: Api) -> None:
    """A message that was not sent is told with whom it was for, the rule that decided it, and until when."""
    story = await begin(apart)
    until = (datetime.now(UTC) + timedelta(minutes=40)).isoformat()
    about = {"template": CUSTOMER, "role": "technical_contact", "person": str(story.bob)}
    await add_line(apart, story.incident, "notice_held", **about, rule="written to a moment ago", until=until)
    await add_line(apart, story.incident, "notice_held", role="csm_manager", rule="nobody has this role")
    async with apart.pool.acquire() as connection:
        alert = Intent(UUID(story.incident), "slack", ALERT, "csm", "U0DANA")
        await intend(connection, alert)
        await suppress(connection, UUID(story.incident), alert.key, "it recovered within the hold window")
    page = text_of(await Visitor.viewer(apart).get(f"/incidents/{story.incident}"))
    for words in (
        "Fix instructions to Bob Smith waits Held back Rule: written to a moment ago; until",
        "Notice not sent to the CSM's manager Held back Rule: nobody has this role",
        "Alert not sent to the CSM Held back Rule: it recovered within the hold window",
    ):
        assert words in page, words


async def test_a_check_says_what_it_saw(apart: Api) -> None:
    story = await begin(apart)
    await add_line(apart, story.incident, "check_failed", hint="monitor", seen="the token endpoint answered <400>")
    page = await Visitor.viewer(apart).get(f"/incidents/{story.incident}")
    assert "Checked: still broken (the token endpoint answered <400>)" in text_of(page)


async def test_what_was_not_checked_is_not_called_checked(apart: Api) -> None:
    """Without a monitor the page says that it was reported, and that no success was, instead of what a check showed."""
    story = await begin(apart)
    await add_line(apart, story.incident, "confirmed", check="none: the event is the confirmation")
    await add_line(apart, story.incident, "hint_unverified", hint="callback", seen="no success since the last failure")
    page = text_of(await Visitor.viewer(apart).get(f"/incidents/{story.incident}"))
    assert "Taken as reported: there is no monitor to check it with" in page
    assert "No success has been reported since, and there is no monitor to check it with" in page
    assert "Checked" not in page
    await add_line(apart, story.incident, "confirmed", check="broken")
    assert "Confirmed by our own check" in text_of(await Visitor.viewer(apart).get(f"/incidents/{story.incident}"))


async def test_names_of_others_stay_names(apart: Api) -> None:
    """In every place of every page: nothing that a customer or a provider writes becomes markup."""
    evil = "<img src=x onerror=alert(1)>"
    await apart.customer(
        name=evil,
        csm={"name": evil, "email": "x@y.example"},
        technical_contacts=[{"name": evil, "email": "bob@techcorp.example", "role": evil}],
    )
    story = await begin(apart, display_name=evil, error={"code": evil, "message": evil})
    await apart.act(story.incident, "acknowledge", by=evil)
    for kind, details in (
        ("check_failed", {"seen": evil}),
        ("notice_held", {"rule": evil, "role": evil, "template": evil}),
        ("notice_failed", {"error": evil, "bounced": True, "template": evil, "role": evil}),
        ("escalated", {"to": evil}),
        (evil, {}),
        ("assessed", {"severity": evil}),
    ):
        await add_line(apart, story.incident, kind, **details)
    await apart.pool.execute("update deliveries set error = $1, recipient = $1 where template = $2", evil, CUSTOMER)
    for path in (f"/incidents/{story.incident}", f"/integrations/{story.integration}", "/fleet"):
        for visitor in (Visitor.operator(apart), Visitor.viewer(apart)):
            page = await visitor.get(path)
            assert page.status_code == 200
            assert "<img" not in page.text, path
            assert evil[:9] in text_of(page), path


class TestButtons:
    """What Slack's buttons do, by the signed-in person."""

    async def test_acknowledge(self, apart: Api) -> None:
        incident, dana = await apart.incident(), Visitor.operator(apart)
        answer = await dana.press(f"/incidents/{incident}/acknowledge")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/incidents/{incident}?done=acknowledge")
        page = text_of(await dana.get(answer.headers["location"]))
        assert "Acknowledged: escalation waits" in page
        assert "by Dana Kim" in page
        assert (await apart.show(incident))["acknowledged_by"] == "dana@acme.example"
        rung = apart.rung(incident)
        assert rung == 2  # for its event, and for this
        again = await dana.press(f"/incidents/{incident}/acknowledge")
        assert again.headers["location"].endswith("?done=nothing")
        assert apart.rung(incident) == rung

    async def test_acknowledge_again_what_was_forgotten(self, apart: Api) -> None:
        """An acknowledgement that ran out is no longer one: the button is back, for whoever takes over."""
        incident, dana = await apart.incident(), Visitor.operator(apart)
        button = f'action="/incidents/{incident}/acknowledge"'
        assert button in (await dana.get(f"/incidents/{incident}")).text
        await apart.act(incident, "acknowledge")
        assert button not in (await dana.get(f"/incidents/{incident}")).text
        await apart.pool.execute("update incidents set ack_expired_at = acknowledged_at where id = $1", UUID(incident))
        page = await dana.get(f"/incidents/{incident}")
        assert button in page.text
        assert "not fixed in time" in text_of(page)

    async def test_the_customer_is_not_mailed_about_what_is_ours(self, apart: Api) -> None:
        """Nothing offers to ask somebody to act who can't mend it, just as in Slack."""
        incident, dana = await apart.incident(), Visitor.operator(apart)
        for theirs in (True, False):
            page = text_of(await dana.get(f"/incidents/{incident}"))
            assert all((offer in page) is theirs for offer in ("Send fix instructions", "Offer a call"))
            await apart.pool.execute("update incidents set who_fixes = 'our_engineering' where id = $1", UUID(incident))

    @pytest.mark.parametrize("choice", ["1h", "4h", "24h", "3d", "7d"])
    async def test_snooze(self, apart: Api, choice: str) -> None:
        incident = await apart.incident()
        page = (await Visitor.operator(apart).get(f"/incidents/{incident}")).text
        assert f'<option value="{choice}">' in page
        await Visitor.operator(apart).press(f"/incidents/{incident}/snooze", **{"for": choice})
        until = datetime.fromisoformat((await apart.show(incident))["snoozed_until"])
        hours = {"1h": 1, "4h": 4, "24h": 24, "3d": 72, "7d": 168}[choice]
        assert abs(until - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=1)

    async def test_send_fix_instructions(self, apart: Api) -> None:
        """To a contact who is known, or to somebody new, who counts before the one that is chosen."""
        incident, dana = await apart.incident(), Visitor.operator(apart)
        page = (await dana.get(f"/incidents/{incident}")).text
        bob = re.search(r'<option value="([^"]+)">Bob Smith \(IT Admin\)', page)
        assert bob is not None
        await dana.press(f"/incidents/{incident}/send-fix-instructions", contact_id=bob[1], email=" ", name="")
        new = {"contact_id": bob[1], "email": "ann@techcorp.example", "name": "Ann"}
        await dana.press(f"/incidents/{incident}/send-fix-instructions", **new)
        mails = [d["recipient"] for d in (await apart.show(incident))["deliveries"] if d["template"] == CUSTOMER]
        assert mails == ["bob@techcorp.example", "ann@techcorp.example"]

    async def test_offer_a_call(self, apart: Api) -> None:
        incident, at = await apart.incident(), datetime.now(UTC) + timedelta(days=1)
        times = {"time_1": f"{at:%Y-%m-%dT%H:%M}", "time_2": "", "minutes": "45"}
        answer = await Visitor.operator(apart).press(f"/incidents/{incident}/schedule-tech-call", **times)
        assert answer.status_code == 303
        [line] = [t for t in (await apart.show(incident))["timeline"] if t["kind"] == "tech_call_requested"]
        assert line["details"]["minutes"] == 45
        assert datetime.fromisoformat(line["details"]["times"][0]) == at.replace(second=0, microsecond=0)

    async def test_close_and_fixed(self, apart: Api) -> None:
        """Fixed is checked, and closes nothing by itself; the others close at once, with the note."""
        incident, dana = await apart.incident(), Visitor.operator(apart)
        fixed = await dana.press(f"/incidents/{incident}/resolve", reason="fixed")
        assert "when it has held, this closes by itself" in text_of(await dana.get(fixed.headers["location"]))
        assert (await apart.show(incident))["status"] == "open"
        closed = await dana.press(f"/incidents/{incident}/resolve", reason="false_alarm", note="a test")
        shown = await apart.show(incident)
        assert (shown["status"], shown["resolution"]) == ("closed", "false_alarm")
        page = await dana.get(closed.headers["location"])
        for words in ("no new alert until it has worked again", "False alarm by Dana Kim,", "“a test”"):
            assert words in text_of(page), words
        assert f'action="/incidents/{incident}/' not in page.text
        assert "hx-get" not in page.text

    async def test_what_can_not_be_done_is_said_above_the_forms(self, apart: Api) -> None:
        """And nothing was changed by it."""
        incident, dana = await apart.incident(), Visitor.operator(apart)
        before = (await apart.show(incident))["timeline"]
        for action, fields, status, words in (
            ("snooze", {"for": "99d"}, 422, "Nothing was changed"),
            ("snooze", {}, 422, "exactly one of until and for"),
            ("send-fix-instructions", {"contact_id": str(uuid4())}, 422, "no technical contact"),
            ("send-fix-instructions", {"email": "nonsense"}, 422, "Nothing was changed"),
            ("schedule-tech-call", {"time_1": "2020-01-01T10:00"}, 422, "Nothing was changed"),
            ("schedule-tech-call", {"time_1": "yesterday"}, 422, "Nothing was changed"),
            ("resolve", {"reason": "boredom"}, 422, "Nothing was changed"),
            ("resolve", {"reason": "false_alarm", "note": "x" * 2001}, 422, "Nothing was changed"),
        ):
            answer = await dana.press(f"/incidents/{incident}/{action}", **fields)
            assert (answer.status_code, words in text_of(answer)) == (status, True), (action, fields, text_of(answer))
        assert (await apart.show(incident))["timeline"] == before
        await apart.act(incident, "resolve", reason="false_alarm")
        answer = await dana.press(f"/incidents/{incident}/acknowledge")
        assert (answer.status_code, "The incident is over" in text_of(answer)) == (409, True)

    async def test_strange_addresses_do_nothing(self, apart: Api) -> None:
        incident, dana = await apart.incident(), Visitor.operator(apart)
        for path in (f"/incidents/{incident}/explode", f"/incidents/{uuid4()}/acknowledge"):
            answer = await dana.press(path)
            assert (answer.status_code, "There is nothing here" in answer.text) == (404, True)
        answer = await dana.press(f"/incidents/{incident}/acknowledge", note="\x00")
        assert answer.status_code == 422

    async def test_viewers_see_no_buttons(self, apart: Api) -> None:
        """They are told who can act; pressing by hand is refused, and changes nothing."""
        incident = await apart.incident()
        vera = Visitor.viewer(apart)
        page = await vera.get(f"/incidents/{incident}")
        assert f'action="/incidents/{incident}/' not in page.text
        assert "You are looking as a viewer" in page.text
        assert (await vera.press(f"/incidents/{incident}/acknowledge")).status_code == 403
        assert (await apart.show(incident))["acknowledged_at"] is None
        assert apart.rung(incident) == 1  # for its event


async def test_looking_writes_nothing(apart: Api) -> None:
    story = await begin(apart)
    before = await story.facts()
    await Visitor.operator(apart).get(f"/incidents/{story.incident}")
    assert await story.facts() == before


async def test_a_removed_integration_keeps_its_story(apart: Api) -> None:
    incident = await apart.incident()
    await apart.http.delete(apart.address())
    page = text_of(await Visitor.viewer(apart).get(f"/incidents/{incident}"))
    assert "Removed" in page
    assert "What you can do" not in page


async def test_it_refreshes_until_it_is_over(apart: Api) -> None:
    """What happened is new after each refresh; what somebody is writing in a form stays."""
    incident = await apart.incident()
    visitor = Visitor.operator(apart)
    page = (await visitor.get(f"/incidents/{incident}")).text
    refreshed = page[page.index('id="now"') :].split(">")[0]
    assert f'hx-get="/incidents/{incident}"' in refreshed
    assert 'hx-select-oob="#story,#facts"' in refreshed
    assert "hx-get" not in (await visitor.get(f"/incidents/{incident}?refresh=off")).text
