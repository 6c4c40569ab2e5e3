"""The dialogs behind Slack's buttons: they say what was done, ask, and do it once."""

from __future__ import annotations

from activities.db.ledger import TECH_CALL
from tests.api.slack_person import Slack, chosen, mails, texts


async def test_send_fix_instructions_first_says_what_was_sent(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("send_fix_instructions", incident)
    first = dana.opened()
    assert "Nothing was sent to the customer yet." in texts(first)
    assert (first["submit"]["text"], first["callback_id"]) == ("Send", "send_fix_instructions")
    bob = next(b for b in first["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    assert bob["text"]["text"] == "Bob Smith (IT Admin)"
    response = await dana.submit({"contact": chosen(bob["value"]), "email": None, "name": None})
    assert (response.status_code, response.text) == (200, "")
    assert await dana.told() == "The fix instructions are on their way."
    assert await mails(dana, incident) == ["bob@techcorp.example"]
    await dana.api.pool.execute(
        "update deliveries set status = 'sent', sent_at = now() - interval '20 minutes',"
        " created_at = now() - interval '20 minutes' where incident_id = $1 and channel = 'email'",
        incident,
    )
    await dana.click("send_fix_instructions", incident)
    again = dana.opened()
    assert "Sent to Bob Smith 20 minutes ago, not opened yet." in texts(again)
    assert again["submit"]["text"] == "Send again"
    await dana.api.pool.execute("update deliveries set opened_at = now() where incident_id = $1", incident)
    await dana.click("send_fix_instructions", incident)
    assert "Sent to Bob Smith 20 minutes ago, opened just now." in texts(dana.opened())


async def test_a_dialog_that_is_sent_twice_mails_once(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("send_fix_instructions", incident)
    option = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    for _ in range(2):
        assert (await dana.submit({"contact": chosen(option["value"])})).text == ""
    assert await mails(dana, incident) == ["bob@techcorp.example"]


async def test_a_contact_is_added_in_the_dialog(dana: Slack) -> None:
    """The CSM's message of a customer without a contact offers it."""
    incident = await dana.api.incident()
    await dana.api.customer(technical_contacts=[], csm={"name": "Dana", "slack_user_id": dana.user})
    await dana.click("add_technical_contact", incident)
    assert "no technical contact" in texts(dana.opened())
    wrong = await dana.submit({"email": "not an address", "name": "Ida"})
    assert wrong.json()["response_action"] == "errors"
    assert list(wrong.json()["errors"]) == ["email"]
    nothing = await dana.submit({"email": None, "name": None})
    assert list(nothing.json()["errors"]) == ["email"]
    assert await mails(dana, incident) == []
    assert (await dana.submit({"email": "ida@techcorp.example", "name": "Ida"})).text == ""
    assert await mails(dana, incident) == ["ida@techcorp.example"]
    contacts = (await dana.api.http.get(f"/v1/customers/{dana.api.name}")).json()["technical_contacts"]
    assert [(c["name"], c["email"]) for c in contacts] == [("Ida", "ida@techcorp.example")]


async def test_a_call_is_offered_after_a_question(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("schedule_tech_call", incident)
    assert await mails(dana, incident, TECH_CALL) == []
    option = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    await dana.submit({"contact": chosen(option["value"])})
    assert await mails(dana, incident, TECH_CALL) == ["bob@techcorp.example"]


async def test_closing_is_asked_for_first(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("close", incident)
    assert (await dana.api.show(incident))["status"] == "open"
    radio = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "reason")["element"]
    assert radio["initial_option"]["value"] == "no_longer_used"
    assert (await dana.submit({"reason": chosen("no_longer_used")})).text == ""
    shown = await dana.api.show(incident)
    assert (shown["status"], shown["resolution"]) == ("closed", "no_longer_used")
    late = await dana.submit({"reason": chosen("false_alarm")})
    assert late.json()["response_action"] == "update"
    assert "over already" in texts(late.json()["view"])


async def test_a_stranger_cannot_send_a_dialog(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("close", incident)
    stranger = dana.server.store.user_by_email("stranger@acme.example")
    assert stranger is not None
    answer = (await dana.submit({"reason": chosen("false_alarm")}, user=stranger.id)).json()
    assert "Only Dana Kim (CSM)" in texts(answer["view"])
    assert (await dana.api.show(incident))["status"] == "open"


async def test_hostile_names_stay_text(dana: Slack) -> None:
    hostile = "<!channel> *bold* <https://evil.example|click>"
    await dana.api.customer(name=hostile, csm={"name": hostile, "slack_user_id": dana.user})
    await dana.api.integration(display_name=hostile)
    incident = await dana.api.incident()
    await dana.click("close", incident)
    assert "<!channel>" not in texts(dana.opened())
    assert "<https" not in texts(dana.opened())
