"""A link opens one page for one person, while both are there; it is stored nowhere, so it can be stolen nowhere."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from activities.links import Purpose
from tests.api.calling import SECRET_KEY, Api, with_settings

BOB, ANN = {"email": "bob@techcorp.example", "name": "Bob"}, {"email": "ann@techcorp.example", "name": "Ann"}
NEW_SECRET = "the next secret of this installation, long enough"


async def _address(api: Api, incident: str, purpose: Purpose = Purpose.RECONNECT) -> str:
    """Bob's link."""
    bob = await api.pool.fetchval("select id from people where email = $1 order by created_at limit 1", BOB["email"])
    token = api.resources.links.sign(purpose, UUID(incident), bob, datetime.now(UTC))
    return f"/r/{token}" + ("/returned" if purpose is Purpose.RETURN else "")


@pytest.mark.parametrize("purpose", [Purpose.RECONNECT, Purpose.RETURN])
async def test_a_contact_who_was_removed_has_no_page_any_more(api: Api, purpose: Purpose) -> None:
    """Nor does pressing its button do anything, or send them a mail."""
    await api.customer(technical_contacts=[BOB, ANN])
    incident = await api.incident()
    link = await _address(api, incident, purpose)
    async with api.anonymous() as http:
        assert (await http.get(link)).status_code == 200
        await api.customer(technical_contacts=[ANN])
        before = await api.show(incident)
        for method, form in (("GET", {}), ("POST", {}), ("POST", {"do": "reconnected"}), ("POST", {"do": "mail"})):
            page = await http.request(method, link, data=form)
            assert "TechCorp" not in page.text
            assert "Bob" not in page.text
            assert page.status_code == (200 if form.get("do") == "mail" else 410)  # which offers a mail, to anybody
        after = await api.show(incident)
    assert (after["timeline"], after["deliveries"]) == (before["timeline"], before["deliveries"])


async def test_when_the_incident_is_over_its_link_does_nothing(api: Api) -> None:
    """It only says so."""
    await api.customer(technical_contacts=[BOB])
    incident = await api.incident()
    link = await _address(api, incident)
    await api.act(incident, "resolve", reason="false_alarm")
    before = await api.timeline(incident)
    async with api.anonymous() as http:
        pages = [await http.get(link), await http.post(link), await http.post(link, data={"do": "reconnected"})]
    assert all("<button" not in page.text for page in pages)
    assert [line for line in await api.timeline(incident) if line != "page_fetched"] == before


async def test_links_that_were_mailed_live_through_a_change_of_the_secret(api: Api) -> None:
    """While the old one is listed; without it they are dead at once, which is what a stolen secret needs."""
    await api.customer(technical_contacts=[BOB])
    link = await _address(api, await api.incident())
    statuses = {}
    for old in (SECRET_KEY, None):
        rotated = with_settings(api, secret_key=NEW_SECRET, old_secret_keys=old)
        async with rotated.anonymous() as http:
            statuses[old] = (await http.get(link)).status_code
    assert statuses == {SECRET_KEY: 200, None: 410}
