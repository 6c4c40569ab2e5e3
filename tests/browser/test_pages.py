"""Every page in a real browser: narrow and wide, light and dark, by keyboard, by ear, and without scripts."""

from __future__ import annotations

from operator import attrgetter

import pytest
from playwright.async_api import Page as Shown
from playwright.async_api import expect

from tests.browser.judges import BOTH, LOOKS, Picture, Tab, faults, overflow, tab_stops
from tests.browser.pages import PAGES, Page
from tests.browser.site import Site

each_page = pytest.mark.parametrize("page", PAGES, ids=attrgetter("name"))


async def visit(site: Site, page: Page, shown: Shown) -> None:
    """Opens the page as somebody who has not been there before."""
    if page.staff:
        await shown.context.add_cookies([site.session(page.staff)])
    answer = await shown.goto(site.url + await page.scene(await site.newcomer()))
    assert answer is not None
    (heading,) = await shown.locator("h1").all_inner_texts()
    assert page.heading in heading
    assert answer.status == page.status


@each_page
async def test_it_fits_and_is_quiet(page: Page, site: Site, tab: Tab, picture: Picture) -> None:
    """No sideways scrolling in any look, nothing loaded from elsewhere, no error and nothing that the CSP refused."""
    await visit(site, page, tab.page)
    for look in LOOKS:
        await look.apply(tab.page)
        assert await overflow(tab.page) == 0, look.name
        await picture(tab.page, f"{page.name}-{look.name}")
    assert tab.complaints == []
    assert tab.strangers() == set()


@each_page
async def test_nobody_is_shut_out(page: Page, site: Site, tab: Tab) -> None:
    """axe-core finds no fault: contrast, names, order, landmarks."""
    await visit(site, page, tab.page)
    for look in BOTH:
        await look.apply(tab.page)
        assert await faults(tab.page) == [], look.name


@each_page
async def test_a_keyboard_is_enough(page: Page, site: Site, tab: Tab) -> None:
    """Tab reaches everything that can be pressed, one sees where it is, and Enter presses the one button."""
    await visit(site, page, tab.page)
    stops, expected = await tab_stops(tab.page)
    assert [stop.name for stop in stops if not stop.is_seen] == []
    assert len(stops) == expected
    if page.button:
        assert page.button in [stop.name for stop in stops]
        await tab.page.get_by_role("button").focus()  # fails if there are several
        await tab.page.keyboard.press("Enter")
        await expect(tab.page.locator("h1")).to_contain_text(page.then)
        assert tab.complaints == []


@each_page
async def test_it_needs_no_scripts(page: Page, site: Site, plain_tab: Tab) -> None:
    await visit(site, page, plain_tab.page)
    if page.button:
        await plain_tab.page.get_by_role("button", name=page.button).click()
        await expect(plain_tab.page.locator("h1")).to_contain_text(page.then)
