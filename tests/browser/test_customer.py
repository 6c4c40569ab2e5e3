"""The customer's way from the mail to a working connection, and the mail scanners that go there first."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from activities.links import Purpose
from tests.api.story import Story, begin
from tests.browser.judges import Tab
from tests.browser.site import Site

LINKS = (Purpose.RECONNECT, Purpose.RETURN)


@pytest.fixture
async def site(site: Site) -> Site:
    return await site.newcomer()


@pytest.fixture
async def story(site: Site) -> Story:
    return await begin(site.api, reconnect_url=site.product)


async def walk(site: Site, tab: Tab, story: Story) -> None:
    """Three presses, from the link in the mail to “Thank you”."""
    heading = tab.page.locator("h1")
    await tab.page.goto(site.url + story.link())
    await tab.page.get_by_role("button", name="Reconnect Salesforce").click()
    await expect(heading).to_have_text("Acme settings")
    await tab.page.get_by_role("link").click()
    await expect(heading).to_have_text("Did you reconnect Salesforce?")
    await tab.page.get_by_role("button", name="I have reconnected it").click()
    await expect(heading).to_have_text("Thank you")


async def test_from_the_mail_through_the_product_and_back(site: Site, tab: Tab, story: Story) -> None:
    """The CSM hears of the first press, the last starts a check, and none of them resolves anything."""
    rung = site.api.rung(story.incident)
    await walk(site, tab, story)
    assert site.api.rung(story.incident) == rung + 2
    assert (await site.api.timeline(story.incident))[-3:] == ["page_fetched", "page_opened", "recovery_hinted"]
    facts = await story.facts()
    assert (facts["status"], facts["health"], facts["hint_kind"]) == ("open", "disconnected", "callback")
    assert tab.complaints == []


async def test_the_product_does_not_learn_the_link(site: Site, tab: Tab, story: Story) -> None:
    await tab.page.goto(site.url + story.link())
    await tab.page.get_by_role("button").click()
    await expect(tab.page.locator("h1")).to_have_text("Acme settings")
    assert await tab.page.evaluate("document.referrer") == ""


@pytest.mark.parametrize("purpose", LINKS)
async def test_a_scanner_that_looks_changes_nothing(site: Site, tab: Tab, story: Story, purpose: Purpose) -> None:
    """GET, HEAD, and a browser that runs whatever there is to run and looks at the page for a while."""
    before, address = await story.facts(), site.url + story.link(purpose)
    assert (await tab.page.request.head(address)).status == 200
    assert (await tab.page.request.get(address)).status == 200
    await tab.page.goto(address, wait_until="networkidle")
    await tab.page.mouse.wheel(0, 2000)
    await tab.page.mouse.move(100, 100)
    assert await story.facts() == before


async def test_a_scanner_that_presses_everything_resolves_and_spoils_nothing(
    site: Site, tab: Tab, plain_tab: Tab, story: Story
) -> None:
    """It POSTs every form of both pages; all it gets is a check that fails, and the customer's press starts another."""
    before = await outcome(story)
    for link in map(story.link, LINKS):
        await tab.page.goto(site.url + link)
        await tab.page.get_by_role("button").click()
        await expect(tab.page.locator("h1")).to_have_text("Thank you" if "returned" in link else "Acme settings")
        for form in ({}, {"do": "reconnect"}, {"do": "reconnected"}, {"do": "mail"}, {"do": "close", "x": "1" * 500}):
            await plain_tab.page.request.post(site.url + link, form=form, max_redirects=0)
    assert await outcome(story) == before
    await site.api.pool.execute("update incidents set checked_seq = hint_seq where id = $1", story.incident)
    await walk(site, plain_tab, story)
    assert (await site.api.timeline(story.incident)).count("recovery_hinted") == 2
    assert await outcome(story) == before


async def outcome(story: Story) -> dict[str, Any]:
    """What only a check or a named person may change; that a press counts as opened is meant, whoever pressed."""
    facts = await story.facts()
    sent = [mail for mail in facts["mails"] if mail["channel"] == "email"]
    mails = [(mail["recipient"], mail["template"], mail["status"]) for mail in sent]
    kept = ("status", "resolution", "health", "closed_at", "recovering_since", "acknowledged_at", "escalation_step")
    return {"mails": mails} | {name: facts[name] for name in kept}
