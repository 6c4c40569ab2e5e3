"""What staff do on their pages, in a real browser: find, act, download, leave; with scripts and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from starter.site.staff import Role
from tests.api.story import Story, begin
from tests.browser.judges import Tab
from tests.browser.site import Site


async def open_as(role: Role, site: Site, page: Page, path: str) -> None:
    await page.context.add_cookies([site.session(role)])
    await page.goto(site.url + path)


@pytest.fixture
async def story(site: Site) -> Story:
    return await begin((await site.newcomer()).api, display_name="Salesforce CRM Sync")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_somebody_finds_an_incident_and_takes_it(
    scripts: bool, story: Story, site: Site, tab: Tab, plain_tab: Tab
) -> None:
    """From the list by a search to the incident; acknowledge, snooze, close; each is said and is in the timeline."""
    page = (tab if scripts else plain_tab).page
    await open_as(Role.OPERATOR, site, page, "/fleet")
    await story.api.customer(name=f"Company {story.api.name}")
    await page.get_by_label("Search").fill(story.api.name)
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("row")).to_have_count(2)  # its head, and it
    await page.get_by_role("link", name="Salesforce CRM Sync").click()
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_role("status")).to_contain_text("Acknowledged")
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await page.get_by_label("For how long").select_option("4h")
    await page.get_by_role("button", name="Snooze").click()
    await expect(page.get_by_role("status")).to_contain_text("Snoozed")
    await page.get_by_text("Close without a repair").click()
    await page.get_by_label("A false alarm").check()
    await page.get_by_role("button", name="Close the incident").click()
    await expect(page.locator(".events")).to_contain_text("Closed: a false alarm")
    await expect(page.get_by_text("What you can do")).to_have_count(0)
    shown = await story.api.show(story.incident)
    assert (shown["status"], shown["acknowledged_by"] is not None) == ("closed", True)


async def test_a_page_refreshes_itself_and_keeps_what_is_being_written(story: Story, site: Site, tab: Tab) -> None:
    """After 20 seconds the news is there; a form that somebody fills in is not touched."""
    await tab.page.clock.install()
    await open_as(Role.OPERATOR, site, tab.page, f"/incidents/{story.incident}")
    await tab.page.get_by_text("Close without a repair").click()
    await tab.page.get_by_label("Note").fill("they told me that")
    await story.api.act(story.incident, "snooze", **{"for": "4h"})
    await tab.page.clock.run_for(21_000)
    await expect(tab.page.locator(".events")).to_contain_text("Snoozed")
    await expect(tab.page.locator("#now")).to_contain_text("Snoozed")
    await expect(tab.page.get_by_label("Note")).to_have_value("they told me that")
    assert tab.complaints == []


async def test_the_fleet_refreshes_itself_until_it_is_paused(story: Story, site: Site, tab: Tab) -> None:
    """With its filters, and without taking away what somebody is typing."""
    await tab.page.clock.install()
    await open_as(Role.VIEWER, site, tab.page, f"/fleet?customer={story.api.name}")
    rows = tab.page.get_by_role("row")
    await expect(rows).to_have_count(2)
    await tab.page.get_by_label("Search").fill("half a wo")
    await story.api.event(integration_type="slack", integration_id="alerts")
    await tab.page.clock.run_for(21_000)
    await expect(rows).to_have_count(3)
    await expect(tab.page.get_by_label("Search")).to_have_value("half a wo")
    await tab.page.get_by_role("link", name="Pause").click()
    await expect(tab.page.get_by_text("Paused")).to_be_visible()
    await story.api.event(integration_type="hubspot", integration_id="crm")
    await tab.page.clock.run_for(60_000)
    await expect(rows).to_have_count(3)
    assert tab.complaints == []


async def test_a_refresh_after_signing_out_leads_to_the_sign_in_page(story: Story, site: Site, tab: Tab) -> None:
    await tab.page.clock.install()
    await open_as(Role.VIEWER, site, tab.page, "/fleet?q=corp")
    await tab.page.context.clear_cookies()
    await tab.page.clock.run_for(21_000)
    await expect(tab.page.locator("h1")).to_have_text("Sign in")


async def test_a_table_is_a_file_too(story: Story, site: Site, tab: Tab, tmp_path: Path) -> None:
    await open_as(Role.VIEWER, site, tab.page, f"/fleet?customer={story.api.name}")
    async with tab.page.expect_download() as downloading:
        await tab.page.get_by_role("link", name="Download all as CSV").click()
    download = await downloading.value
    await download.save_as(tmp_path / "fleet.csv")
    head, row = (tmp_path / "fleet.csv").read_text().splitlines()
    assert head.startswith("customer,customer_name,arr,csm")
    assert row.startswith(story.api.name)


async def test_signing_out(site: Site, tab: Tab) -> None:
    await open_as(Role.VIEWER, site, tab.page, "/fleet")
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(tab.page.locator("h1")).to_have_text("Sign in")
    await tab.page.goto(f"{site.url}/fleet")
    await expect(tab.page.locator("h1")).to_have_text("Sign in")


async def test_times_are_the_readers_own(story: Story, site: Site, tab: Tab, plain_tab: Tab) -> None:
    """With scripts in their zone, without in UTC; both say which."""
    for one, zone in ((tab, "Times are in "), (plain_tab, "Times are UTC.")):
        await open_as(Role.VIEWER, site, one.page, f"/incidents/{story.incident}")
        await expect(one.page.locator("footer")).to_contain_text(zone)
