"""What View Integration Status opens: for whoever holds a signed link, in words, and it never writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx

from activities.links import Purpose
from tests.api.calling import Api
from tests.site.visitor import text_of


def status_link(api: Api, integration: str, *, ago: timedelta = timedelta()) -> str:
    return api.resources.links.status(UUID(integration), datetime.now(UTC) - ago).removeprefix("https://relink.test")


async def get(api: Api, link: str) -> httpx.Response:
    async with api.anonymous() as http:
        return await http.get(link)


async def test_a_healthy_integration_has_a_page(apart: Api) -> None:
    monitor = {"kind": "oidc", "issuer": "https://id.example.com", "interval": "5m"}
    integration = await apart.integration(display_name="CRM Sync", monitor=monitor)
    page = await get(apart, status_link(apart, integration["id"]))
    assert page.status_code == 200
    for text in ("CRM Sync", "TechCorp", "HEALTHY", "Checked every 5 minutes", "Nothing has gone wrong"):
        assert text in page.text


async def test_the_whole_story_is_told_in_words(apart: Api) -> None:
    """Names instead of ids, sentences instead of kinds, in the time zone of the CSM."""
    await apart.customer(
        csm={"name": "Dana Kim", "email": "dana@acme.example", "timezone": "America/New_York"},
    )
    await apart.integration(display_name="CRM Sync", is_critical=True)
    first = await apart.incident(error={"code": "invalid_grant"})
    await apart.act(first, "resolve", reason="false_alarm")
    await apart.event(event_type="sync_succeeded")
    found = await apart.event(error={"code": "invalid_grant"}, occurred_at=datetime.now(UTC).isoformat())
    await apart.act(found["incident"], "acknowledge")
    await apart.act(found["incident"], "send-fix-instructions")
    page = await get(apart, status_link(apart, found["integration"]))
    assert page.status_code == 200
    for text in (
        "DISCONNECTED", "CRITICAL INTEGRATION", "Incident 2", "$200,000", "Bob Smith", "Acknowledged", "Dana Kim",
        "Fix instructions asked for, to Bob Smith", "Fix instructions", "pending", "a false alarm",
        "Times are in America/New_York",
    ):  # fmt: skip
        assert text in page.text, text
    for raw in ("person:", "fix_instructions_requested", "{", str(found["incident"])):
        assert raw not in text_of(page), raw
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "form-action 'self'" in page.headers["content-security-policy"]


async def test_looking_writes_nothing(apart: Api) -> None:
    found = await apart.event()
    before = await apart.timeline(found["incident"])
    for _ in range(2):
        await get(apart, status_link(apart, found["integration"]))
    assert await apart.timeline(found["incident"]) == before


async def test_a_removed_integration_says_so(apart: Api) -> None:
    found = await apart.event()
    await apart.http.delete(apart.address())
    page = await get(apart, status_link(apart, found["integration"]))
    assert (page.status_code, "REMOVED" in page.text) == (200, True)


async def test_only_a_signed_link_of_this_integration_opens_it(apart: Api) -> None:
    """Another's, an expired or an altered one, one for the customer: a page that says nothing."""
    mine, other = await apart.integration(), await apart.integration("slack/other")
    good = status_link(apart, mine["id"])
    for_customer = apart.resources.links.sign(Purpose.RECONNECT, UUID(mine["id"]), None, datetime.now(UTC))
    for link in (
        f"/integrations/{mine['id']}?token=x",
        status_link(apart, other["id"]).replace(other["id"], mine["id"]),
        status_link(apart, mine["id"], ago=timedelta(days=31)),
        good[:-3],
        f"/integrations/{mine['id']}?token={for_customer}",
    ):
        page = await get(apart, link)
        assert page.status_code == 403, link
        assert page.headers["content-type"].startswith("text/html")
        assert "TechCorp" not in page.text
    unknown = await get(apart, status_link(apart, str(uuid4())))
    assert unknown.status_code == 404


async def test_kinds_that_no_version_of_ours_wrote_are_still_shown(apart: Api) -> None:
    found = await apart.event()
    for kind, details in (("teleported", {}), ("health_score_adjusted", {}), ("notice_odd", {"person": "x"})):
        await apart.pool.execute(
            "insert into incident_timeline (incident_id, kind, actor, details) values ($1, $2, 'person:nobody', $3)",
            found["incident"],
            kind,
            details,
        )
    page = await get(apart, status_link(apart, found["integration"]))
    assert page.status_code == 200
    for text in ("Teleported", "Health score adjusted", "A message to somebody: odd"):
        assert text in page.text
