"""What staff do on their pages, in a real browser: find, act, download, leave; with scripts and without."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from starter.site.staff import Role
from tests.api.story import Story, begin
from tests.browser import scenes
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


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_somebody_prepares_a_renewal_call(
    scripts: bool, site: Site, tab: Tab, plain_tab: Tab, tmp_path: Path
) -> None:
    """From the list of customers to one, over half a year, to its integration, its provider, and what success is;
    every table on the way can be downloaded."""
    page, own = (tab if scripts else plain_tab).page, await site.newcomer()
    await scenes.lived(own)
    await own.api.customer(name=f"Company {own.api.name}")
    await open_as(Role.VIEWER, site, page, "/customers")
    await page.get_by_label("Search").fill(own.api.name)
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("row")).to_have_count(2)
    assert await saved(page, "#csv", tmp_path) == 1
    await page.get_by_role("link", name=f"Company {own.api.name}").click()
    await expect(page.locator("h1")).to_have_text(f"Company {own.api.name}")
    await expect(page.locator(".chronic")).to_contain_text("disconnections in 30 days")
    await page.get_by_role("link", name="180 days").click()
    await expect(page.locator("#figures")).to_contain_text("180 days")
    for table, rows in (("integrations", 2), ("incidents", 6), ("credentials", 3)):
        assert await saved(page, f"#{table}-csv", tmp_path) == rows, table
    await page.get_by_role("table").first.get_by_role("link", name="Salesforce").click()
    await expect(page.locator("#looks")).to_have_text("What our checks measured")
    await page.get_by_role("link", name="7 days").click()
    await expect(page.locator("#charts-7d")).to_have_attribute("aria-current", "true")
    await page.get_by_text("In numbers").click()
    assert await page.locator("details table").get_by_role("row").count() > 10
    for table, rows in (("looks", 60), ("events", 1), ("incidents", 5), ("credentials", 3)):
        assert abs(await saved(page, f"#{table}-csv", tmp_path) - rows) <= (5 if table == "looks" else 0), table
    await page.get_by_role("link", name="Salesforce", exact=True).click()
    await expect(page.locator("#answer")).to_contain_text("down, with")
    assert await saved(page, "#days-csv", tmp_path) == 90
    assert await saved(page, "#now-csv", tmp_path) >= 1
    await page.get_by_role("link", name="Providers").click()
    await expect(page.get_by_role("table")).to_contain_text("Salesforce")
    await page.get_by_role("link", name="Success").click()
    await page.get_by_role("link", name="Uptime of all integrations").click()
    await expect(page.locator("#behind")).to_contain_text("the least reliable first")
    assert await saved(page, "#behind-csv", tmp_path) >= 2
    assert await saved(page, "#measures-csv", tmp_path) == 4
    if scripts:
        assert tab.complaints == []


async def saved(page: Page, link: str, folder: Path) -> int:
    """Downloads a table; how many rows it has below its head."""
    async with page.expect_download() as opening:
        await page.locator(link).click()
    download = await opening.value
    assert download.suggested_filename.endswith(".csv")
    await download.save_as(folder / "table.csv")
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        return len(list(csv.reader(file))) - 1
