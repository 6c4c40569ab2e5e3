"""Slack messages in every state: what they say, which buttons they carry, and that Slack would take them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from activities.rendering import Renderer
from activities.rendering_document import parse_document
from activities.rendering_notes import NOTES
from activities.rendering_safety import safe_url
from activities.rendering_slack import to_slack
from activities.views import CustomerMail, IncidentView, Person, SlackMessage
from starter import preview_samples as samples
from starter.previewing import as_text, slack_messages

RENDERER = Renderer(product_name="Acme", public_url="https://relink.acme.example")


def alert(view: IncidentView, reader: Person = samples.CSM) -> SlackMessage:
    return RENDERER.csm_alert(view, now=samples.NOW, reader=reader, status_url=samples.STATUS_URL)


def note(view: IncidentView, kind: str, **details: Any) -> str:
    message = RENDERER.csm_note(view, kind=kind, details=details, now=samples.NOW, reader=samples.CSM)
    return as_text(message)


def elements(message: SlackMessage) -> Iterator[Any]:
    for block in message.blocks:
        if block["type"] == "actions":
            yield from block["elements"]  # type: ignore[misc]


def sections(message: SlackMessage) -> list[str]:
    return [block["text"]["text"] for block in message.blocks if block["type"] == "section"]  # type: ignore[index]


def actions(message: SlackMessage) -> list[str]:
    return [element["action_id"] for element in elements(message)]


FIRST_ROW = ["send_fix_instructions", "schedule_tech_call", "view_integration_status"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("open", [*FIRST_ROW, "acknowledge", "snooze", "close"]),
        ("told", [*FIRST_ROW, "acknowledge", "snooze", "close"]),
        ("acknowledged", [*FIRST_ROW, "snooze", "close"]),
        ("snoozed", [*FIRST_ROW, "snooze", "close"]),
        ("degraded", [*FIRST_ROW, "acknowledge", "snooze", "close"]),
        ("recovering", ["view_integration_status", "close"]),
        ("resolved", ["view_integration_status"]),
        ("reported", ["view_integration_status"]),
        ("no_longer_used", ["view_integration_status"]),
        ("false_alarm", ["view_integration_status"]),
        ("removed", ["view_integration_status"]),
        ("no_contact", ["add_technical_contact", *FIRST_ROW, "acknowledge", "snooze", "close"]),
        ("ours", ["view_integration_status", "acknowledge", "snooze", "close"]),
    ],
)
def test_buttons_are_those_that_make_sense(state: str, expected: list[str]) -> None:
    """A button that could do nothing isn't there; when it is over only the status is left to look at."""
    assert actions(alert(samples.sample(state))) == expected


def test_a_csm_knows_whether_engineering_was_paged() -> None:
    """Where the fault is ours and the policy names nobody to page, only the CSM can tell them."""
    ours, hint = samples.sample("ours"), "Nobody in our engineering has been paged"
    assert hint not in as_text(alert(ours))
    assert hint in as_text(alert(ours.model_copy(update={"engineering_named": False})))


def test_an_acknowledgement_that_ran_out_can_be_given_again() -> None:
    """By the CSM below the alert, and by whoever it was escalated to, who still reads who had it."""
    forgotten = samples.sample("acknowledged").model_copy(update={"acknowledgement_expired": True})
    assert actions(alert(forgotten)) == [*FIRST_ROW, "acknowledge", "snooze", "close"]
    reading: dict[str, Any] = {"now": samples.NOW, "reader": samples.MANAGER, "status_url": samples.STATUS_URL}
    escalation = RENDERER.escalation(forgotten, role="csm_manager", **reading)
    assert actions(escalation) == ["acknowledge", "view_integration_status"]
    assert "acknowledged 10 minutes ago" in as_text(escalation)


def test_every_button_names_its_incident() -> None:
    """A pressed button tells which incident it belongs to; the menu also what was chosen."""
    incident = str(samples.DISCONNECTED.incident_id)
    for element in elements(alert(samples.sample())):
        if element["type"] == "static_select":
            assert [option["value"] for option in element["options"]] == [
                f"{incident}:1h",
                f"{incident}:4h",
                f"{incident}:tomorrow",
            ]
        else:
            assert element["value"] == incident


def test_view_integration_status_opens_the_page() -> None:
    """It is a link; without a usable address it is left out rather than dead."""
    view = samples.sample()
    urls = [element["url"] for element in elements(alert(view)) if "url" in element]
    assert urls == [samples.STATUS_URL]
    broken = RENDERER.csm_alert(view, now=samples.NOW, reader=samples.CSM, status_url="javascript:alert(1)")
    assert "view_integration_status" not in actions(broken)


@pytest.mark.parametrize(
    ("state", "header", "status"),
    [
        ("open", ":electric_plug: Integration Disconnected: TechCorp", "DISCONNECTED"),
        ("snoozed", ":electric_plug: Integration Disconnected: TechCorp", "DISCONNECTED"),
        ("degraded", ":warning: Integration Degraded: TechCorp", "DEGRADED"),
        ("recovering", ":hourglass_flowing_sand: Integration Recovering: TechCorp", "RECOVERING"),
        ("resolved", ":white_check_mark: Integration Restored: TechCorp", "RESOLVED"),
        ("no_longer_used", ":file_folder: Integration No Longer Used: TechCorp", "CLOSED"),
        ("false_alarm", ":file_folder: Integration False Alarm: TechCorp", "CLOSED"),
        ("removed", ":file_folder: Integration Removed: TechCorp", "REMOVED"),
    ],
)
def test_header_and_status_follow_the_state(state: str, header: str, status: str) -> None:
    """The first line and the status say how it stands."""
    lines = as_text(alert(samples.sample(state))).splitlines()
    assert lines[0] == header
    assert f"Status: {status}" in lines


def test_the_notification_names_customer_integration_and_severity() -> None:
    """What a phone shows tells who and what, before anybody opens Slack."""
    text = alert(samples.sample()).text
    assert text == ":electric_plug: Integration Disconnected: TechCorp (Salesforce CRM Sync, critical)"


def test_a_degraded_integration_is_never_called_disconnected() -> None:
    """FR-1.6: something still works, and nobody is told otherwise."""
    said = as_text(alert(samples.sample("degraded")))
    assert "disconnected" not in said.replace("Previous disconnection", "").casefold()


def test_without_a_technical_contact_the_message_says_so_and_offers_to_add_one() -> None:
    """Silence at the customer's is visible, and one press away from being mended."""
    said = as_text(alert(samples.sample("no_contact")))
    assert "- Technical Contact: none on file" in said
    assert "[Add Technical Contact]" in said


def test_what_is_not_known_is_said() -> None:
    """No ARR, no error code, no display name: words, not empty lines."""
    update = {"arr": None, "error_code": None, "display_name": None, "impact": (), "is_critical": True}
    lines = as_text(alert(samples.sample().model_copy(update=update))).splitlines()
    assert "- ARR: not known" in lines
    assert "Error Code: none given" in lines
    assert "Integration: Salesforce" in lines


def test_slack_shows_times_in_its_readers_zone_and_goes_on_counting() -> None:
    """Whoever reads it, and whenever: no message says "just now" of yesterday. Where Slack can't, our text says it."""
    said = next(text for text in sections(alert(samples.sample(), Person(name="Dana"))) if "Since:" in text)
    at = int(samples.OPENED.timestamp())
    written = "{date_short} at {time} ({ago})"
    assert f"Since: <!date^{at}^{written}|Jan 29, 2026 at 3:45 PM UTC (3 hours ago)>" in said
    assert "Times are UTC" not in as_text(alert(samples.sample(), Person(name="Dana")))


def test_a_credential_never_ends_just_now() -> None:
    """What is still to come is said as that, also where Slack can't count."""
    for name, message in slack_messages(RENDERER):
        assert not (name.startswith("ending") and "just now" in as_text(message)), name


def test_dates_are_texts_where_slack_reads_no_tokens() -> None:
    """In what a phone shows, in headers and on buttons."""
    for _, message in slack_messages(RENDERER):
        headers = [block["text"]["text"] for block in message.blocks if block["type"] == "header"]  # type: ignore[index]
        labels = [(e.get("text") or e["placeholder"])["text"] for e in elements(message)]
        assert not any("<!date" in text for text in (message.text, *headers, *labels))


def test_previous_disconnections_are_summed_up() -> None:
    """US-4: a chronic integration shows at first sight."""
    assert "- Previous disconnection: Mar 3, 2025 (fixed in 2 hours; 3 times before)" in as_text(
        alert(samples.sample("again"))
    )


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        ({}, "Fix instructions sent to Bob Smith 20 minutes ago, not opened yet"),
        ({"opened_at": samples.NOW}, "Fix instructions sent to Bob Smith 20 minutes ago, opened just now"),
        ({"status": "failed"}, "The mail to Bob Smith could not be delivered"),
        ({"name": None}, "Fix instructions sent to the technical contact 20 minutes ago, not opened yet"),
    ],
)
def test_the_customers_mail_shows_on_the_message(mail: dict[str, object], said: str) -> None:
    """FR-3.4: the CSM sees how far the fix instructions got."""
    sent = CustomerMail(status="sent", name="Bob Smith", sent_at=samples.NOW - timedelta(minutes=20), opened_at=None)
    view = samples.sample().model_copy(update={"customer_mail": sent.model_copy(update=mail)})
    assert as_text(alert(view)).splitlines()[-1] == said


def test_held_back_mails_are_explained() -> None:
    """Where nothing is sent by itself, the message says who does it."""
    assert "Bob Smith has not been mailed; Send Fix Instructions does that" in as_text(
        alert(samples.sample("held_back"))
    )


def test_a_recovery_that_nobody_checked_is_called_reported() -> None:
    """Evidence without a monitor is told as what it is, with the name of whoever gave their word."""
    assert "(as reported to us; no monitor of ours checks it)" in as_text(alert(samples.sample("reported")))
    assert "it was reported as working, and nothing failed since" in note(samples.sample("reported"), "resolved")
    assert "(Dana Kim said so; no monitor of ours checks it)" in as_text(alert(samples.sample("vouched_for")))


def test_a_snooze_that_has_ended_is_over() -> None:
    """The message offers to acknowledge again."""
    view = samples.sample().model_copy(update={"snoozed_until": samples.NOW})
    assert "acknowledge" in actions(alert(view))


@pytest.mark.parametrize("kind", NOTES)
def test_every_note_works_without_details(kind: str) -> None:
    """A note never fails, and never prints a gap, because a detail is missing."""
    said = note(samples.sample(), kind)
    assert said.strip()
    assert "None" not in said
    assert "  " not in said


def test_an_unknown_note_is_refused() -> None:
    """A typo shows in a test, not in Slack."""
    with pytest.raises(KeyError):
        note(samples.sample(), "no_such_note")


def test_the_resolved_note_says_how_long_and_who() -> None:
    """FR-3.4: how long it was down and who fixed it."""
    said = note(samples.sample("resolved"), "resolved", fixed_by="customer", task_completed=True, score_restored=10)
    assert "It was disconnected for 3 h, from Jan 29, 2026 at 10:45 AM to Jan 29, 2026 at 1:45 PM." in said
    assert "Fixed by: the customer, who reconnected it" in said
    assert "The task is completed. The health score got its 10 points back." in said


def test_an_escalation_says_who_was_told_and_what_is_needed() -> None:
    """A manager decides without opening anything else."""
    reading: dict[str, Any] = {"now": samples.NOW, "reader": samples.MANAGER, "status_url": samples.STATUS_URL}
    told = as_text(RENDERER.escalation(samples.sample("told"), role="csm_manager", **reading))
    assert "- CSM: Dana Kim, told 30 minutes ago, not acknowledged" in told
    assert "fix instructions sent 20 minutes ago, not opened yet" in told
    seen = as_text(RENDERER.escalation(samples.sample("acknowledged"), role="cs_leadership", **reading))
    assert "acknowledged 10 minutes ago" in seen
    assert "- CSM manager: Max Lee" in seen
    alone = samples.sample("told").model_copy(update={"csm": None, "contacts": (), "customer_mail": None})
    assert "none is assigned" in as_text(RENDERER.escalation(alone, role="csm_manager", **reading))


def test_engineers_are_told_that_the_customer_is_not_asked() -> None:
    """Where the fault is ours, nobody asks the customer to reconnect."""
    page = RENDERER.engineering_page(
        samples.sample("ours"), now=samples.NOW, reader=Person(), status_url=samples.STATUS_URL
    )
    said = as_text(page)
    assert "Error Code: INVALID_CLIENT" in said
    assert "The customer has not been asked to do anything." in said
    assert "What to say" not in said


def check_limits(message: SlackMessage) -> None:
    """Slack's documented limits (docs.slack.dev/reference/block-kit), written down apart from the code under test."""
    assert 0 < len(message.text) <= 4000
    assert 0 < len(message.blocks) <= 50
    for block in message.blocks:
        match block:
            case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
                assert 0 < len(text) <= 150
            case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
                assert 0 < len(text) <= 3000
            case {"type": "context", "elements": list(small)}:
                assert 0 < len(small) <= 10
                assert all(0 < len(element["text"]) <= 3000 for element in small)
            case {"type": "actions", "elements": list(buttons)}:
                assert 0 < len(buttons) <= 25
                assert all(0 < len((b.get("text") or b["placeholder"])["text"]) <= 75 for b in buttons)
                assert all(len(b.get("value", "")) <= 2000 and len(b.get("url", "")) <= 3000 for b in buttons)
                assert len({b["action_id"] for b in buttons}) == len(buttons)
            case _:
                pytest.fail(f"unexpected block {block}")


def test_everything_stays_inside_slacks_limits() -> None:
    """All messages in all states."""
    for _, message in slack_messages(RENDERER):
        check_limits(message)


@pytest.mark.parametrize("letter", ["x", "&", "<", "ش", "a b "])
def test_names_of_any_length_stay_inside_slacks_limits(letter: str) -> None:
    """5,000 characters everywhere: cut with an ellipsis, the steps and buttons still there."""
    long = (letter * 5000)[:5000]
    person = Person(name=long, title=long, email=long)
    view = samples.sample("acknowledged").model_copy(
        update={
            **dict.fromkeys(
                ("customer_name", "display_name", "provider_name", "reason", "explanation", "error_code"), long
            ),
            **dict.fromkeys(("impact", "steps"), (long,) * 40),
            **dict.fromkeys(("csm", "csm_manager"), person),
            "contacts": (person,),
            "acknowledged_by": long,
        }
    )
    message = alert(view)
    check_limits(message)
    assert "…" in message.text
    assert actions(message) == [*FIRST_ROW, "snooze", "close"]


def test_a_paragraph_that_is_too_long_becomes_several_blocks() -> None:
    """Nothing is cut in the middle of a line, nor inside an escaped character."""
    document = parse_document("*Title:*\n" + "\n".join(f"- {'&amp;' * 100}" for _ in range(20)))
    message = to_slack(document, incident_id=samples.DISCONNECTED.incident_id, status_url=safe_url(None))
    texts = [block["text"]["text"] for block in message.blocks]  # type: ignore[index]
    assert len(texts) > 1
    assert "\n".join(texts).count("&amp;") == 2000
