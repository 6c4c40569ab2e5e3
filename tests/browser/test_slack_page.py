"""The CSM's buttons, pressed on the page that stands in for Slack; API, worker, Temporal and mail are behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import lxml.html
import pytest_asyncio
from playwright.async_api import Locator, expect
from pydantic import SecretStr

from activities.db.pool import Pool
from starter.api.app import Resources, create_app
from starter.embedded import ports
from starter.embedded.web import serving
from tests.browser.judges import LOOKS, Picture, Tab, faults, overflow
from tests.workflows import surroundings
from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT, World

BOB, ANN = "bob@techcorp.example", "ann@techcorp.example"


@pytest_asyncio.fixture
async def office(emptied_pool: Pool, servers_folder: Path) -> AsyncIterator[World]:
    """All of Relink at work, for one customer."""
    port = ports.free_port()
    async with (
        surroundings.temporal_with_time_skipping() as environment,
        surroundings.world(emptied_pool, environment, servers_folder) as world,
    ):
        url = f"http://{ports.HOST}:{port}"
        world.slack.send_clicks_to(f"{url}/slack/interactions")
        own = {"public_url": url, "slack_signing_secret": SecretStr(world.slack.signing_secret)}
        world.settings = world.settings.model_copy(update=own)
        resources = Resources.assemble(
            world.settings, pool=world.pool, policy=world.policy, bells=world.ring, temporal=world.client
        )
        async with serving(create_app(resources), port), world.make_worker():
            yield world


async def test_every_button_of_the_alert_does_what_it_says(office: World, tab: Tab, picture: Picture) -> None:
    """Each is seen in PostgreSQL, in the inbox, and on the message itself."""
    incident = await office.disconnect()
    await office.until_delivery(incident, SLACK_ALERT, "slack", "sent")
    await office.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    check(office.mails_to(BOB)[0].message)
    page, desk = tab.page, Desk(tab)
    await page.goto(office.slack.url)
    for look in LOOKS:
        await look.apply(page)
        assert await overflow(page) == 0, look.name
        await picture(page, f"slack-alert-{look.name}")
        assert await faults(page) == [], look.name

    async with page.expect_popup() as opening:
        await page.get_by_role("link", name="View Integration Status").click()
    status = await opening.value
    await expect(status.locator("h1")).to_have_text("Salesforce CRM Sync")
    await expect(status.locator(".head .badge.bad")).to_have_text("DISCONNECTED")
    await status.close()

    await desk.press("Acknowledge")
    await expect(desk.alert).to_contain_text("👀 Maria Lopez is on it.")
    assert (await office.row(incident))["acknowledged_by"] == "Maria Lopez"

    dialog = await desk.open("Send Fix Instructions")
    await expect(dialog).to_contain_text("Sent to Bob Smith just now, not opened yet.")
    await picture(page, "slack-fix-dialog")
    await dialog.get_by_label("To", exact=True).select_option("Ann Lee (Developer)")
    await dialog.get_by_role("button", name="Send again").click()
    await expect(desk.alert).to_contain_text("The fix instructions are on their way.")
    await office.until(mailed(office, ANN))
    assert [mail.subject for mail in office.mails_to(ANN)] == [mail.subject for mail in office.mails_to(BOB)]

    dialog = await desk.open("Schedule Tech Call")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await dialog.get_by_label("Time 1").fill(tomorrow.strftime("%Y-%m-%dT15:00"))
    await picture(page, "slack-call-dialog")
    await dialog.get_by_role("button", name="Offer a call").click()
    await office.until(mailed(office, BOB, 2))
    assert (await office.told_of(incident, "tech_call_requested"))[0]["times"] == [
        f"{tomorrow:%Y-%m-%d}T15:00:00+00:00"
    ]

    await desk.alert.get_by_label("Snooze").select_option(label="4 hours")
    await desk.press("Snooze")
    await expect(desk.alert).to_contain_text("Snoozed until")
    assert (await office.row(incident))["snoozed_until"] > datetime.now(UTC) + timedelta(hours=3, minutes=59)

    dialog = await desk.open("Close")
    await dialog.get_by_label("A false alarm").check()
    await dialog.get_by_role("button", name="Close").click()
    await office.result(incident)
    await expect(desk.alert).to_contain_text("CLOSED")
    row = await office.row(incident)
    assert (row["status"], row["resolution"]) == ("closed", "false_alarm")
    await expect(desk.alert.get_by_role("button")).to_have_count(0)
    await picture(page, "slack-closed")
    assert tab.complaints == []


def check(message: EmailMessage) -> None:
    """RFC 2046 5.1.4: the last alternative is the best one; both lead to the same page."""
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    text, html = (part.get_content() for part in message.iter_parts())
    (link,) = set(lxml.html.document_fromstring(html).xpath("//a/@href"))
    assert link in text.splitlines()


class Desk:
    """What the CSM has in front of her."""

    def __init__(self, tab: Tab) -> None:
        self._page = tab.page
        self.alert = tab.page.locator(".messages")

    async def press(self, name: str) -> None:
        await self.alert.get_by_role("button", name=name).click()

    async def open(self, name: str) -> Locator:
        await self.press(name)
        dialog = self._page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        return dialog


def mailed(office: World, address: str, times: int = 1) -> Any:
    async def seen() -> bool:
        return len(office.mails_to(address)) >= times

    return seen
