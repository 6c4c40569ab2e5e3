"""The customer's page: fetching changes nothing, pressing leads on, and no link that is no good says anything."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from activities.links import Purpose
from starter.api.reconnect import with_return_url
from tests.api.calling import Api
from tests.api.story import EXPIRED, Story, begin

NOW = datetime.now(UTC)


@pytest.fixture
async def visitor(shared: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A browser: no key, redirects are not followed."""
    async with shared.anonymous() as http:
        yield http


@pytest.fixture
async def story(apart: Api) -> Story:
    return await begin(apart)


def check_headers(response: httpx.Response) -> None:
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


async def test_the_page_says_what_happened_and_has_one_button(story: Story, visitor: httpx.AsyncClient) -> None:
    page = await visitor.get(story.link())
    assert page.status_code == 200
    check_headers(page)
    assert "Reconnect Salesforce" in page.text
    assert len(re.findall(r"<button", page.text)) == 1
    assert "<script" not in page.text
    assert 'href="/static/relink.css"' in page.text
    styles = await visitor.get("/static/relink.css")
    assert (styles.status_code, styles.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_fetching_writes_at_most_one_line_and_changes_nothing(story: Story, visitor: httpx.AsyncClient) -> None:
    """Promise 9: scanners GET and HEAD; opened is something else."""
    before = await story.facts()
    for _ in range(3):
        assert (await visitor.get(story.link())).status_code == 200
        head = await visitor.head(story.link())
        assert (head.status_code, head.content) == (200, b"")
    assert await story.facts() == before
    assert (await story.api.timeline(story.incident)).count("page_fetched") == 1
    returned = story.link(Purpose.RETURN)
    for method in ("GET", "HEAD"):
        assert (await visitor.request(method, returned)).status_code == 200
    assert await story.facts() == before
    assert await story.opened_at() is None


async def test_pressing_leads_on_to_the_product_with_a_way_back(story: Story, visitor: httpx.AsyncClient) -> None:
    response = await visitor.post(story.link(), data={"do": "reconnect"})
    assert response.status_code == 303
    target = urlsplit(response.headers["location"])
    assert (target.netloc, target.path) == ("app.acme.example", "/settings")
    query = parse_qs(target.query)
    assert query["tab"] == ["integrations"]
    (back,) = query["return_url"]
    assert back.startswith("https://relink.test/r/")
    assert back.endswith("/returned")
    assert "no-store" in response.headers["cache-control"]
    asked = await visitor.get(urlsplit(back).path)
    assert "Did you reconnect Salesforce?" in asked.text


async def test_pressing_counts_as_opened_once(story: Story, visitor: httpx.AsyncClient) -> None:
    await visitor.post(story.link())  # an empty form is a press, too
    first = await story.opened_at()
    assert first is not None
    await visitor.post(story.link(), data={"do": "reconnect"})
    assert await story.opened_at() == first
    timeline = (await story.api.show(story.incident))["timeline"]
    opened = [entry for entry in timeline if entry["kind"] == "page_opened"]
    assert [(e["actor"], e["details"]) for e in opened] == [(f"person:{story.bob}", {"person": str(story.bob)})]
    assert (await story.api.doorbells(story.incident)).count("message_requested") == 1
    assert story.api.rung(story.incident) == 2
    note = "select count(*) from deliveries where incident_id = $1 and details ->> 'kind' = 'page_opened'"
    assert await story.api.pool.fetchval(note, story.incident) == 1
    assert (await story.api.show(story.incident))["status"] == "open"


async def test_saying_it_is_done_is_a_hint_and_resolves_nothing(story: Story, visitor: httpx.AsyncClient) -> None:
    returned = story.link(Purpose.RETURN)
    for _ in range(3):
        thanks = await visitor.post(returned, data={"do": "reconnected"})
        assert (thanks.status_code, "Thank you" in thanks.text) == (200, True)
        check_headers(thanks)
    timeline = await story.api.timeline(story.incident)
    assert timeline.count("recovery_hinted") == 1
    assert await story.api.doorbells(story.incident) == ["failure_recurred", "reconnected"]
    assert story.api.rung(story.incident) == 2
    facts = await story.facts()
    assert (facts["status"], facts["hint_kind"], facts["health"]) == ("open", "callback", "disconnected")


@pytest.mark.parametrize("status", ["recovering", "closed"])
async def test_what_is_fixed_says_so(story: Story, visitor: httpx.AsyncClient, status: str) -> None:
    resolution = "verified" if status == "closed" else None
    await story.api.pool.execute(
        "update incidents set status = $2, resolution = $3 where id = $1", story.incident, status, resolution
    )
    before = await story.facts()
    for response in (
        await visitor.get(story.link()),
        await visitor.post(story.link()),
        await visitor.get(story.link(Purpose.RETURN)),
        await visitor.post(story.link(Purpose.RETURN)),
    ):
        assert response.status_code == 200
        assert "Salesforce is working again" in response.text
    assert await story.facts() == before


async def test_without_a_reconnect_url_the_button_says_it_is_done(story: Story, visitor: httpx.AsyncClient) -> None:
    await story.api.integration()
    page = await visitor.get(story.link())
    assert 'value="reconnected"' in page.text
    thanks = await visitor.post(story.link(), data={"do": "reconnected"})
    assert "Thank you" in thanks.text
    assert (await story.facts())["hint_kind"] == "callback"
    assert await story.opened_at() is not None


async def test_where_reconnecting_is_not_offered_there_is_no_button(story: Story, visitor: httpx.AsyncClient) -> None:
    await story.api.integration(self_serve=False, reconnect_url="https://app.acme.example/")
    for response in (await visitor.get(story.link()), await visitor.post(story.link())):
        assert response.status_code == 200
        assert "<button" not in response.text
    assert await story.opened_at() is None


async def pages_of(story: Story, visitor: httpx.AsyncClient) -> list[httpx.Response]:
    """Whatever somebody may do with a link that was good once."""
    links = (story.link(), story.link(Purpose.RETURN))
    return [await visitor.request(method, link) for link in links for method in ("GET", "POST")]


async def test_links_of_a_removed_integration_are_dead(story: Story, visitor: httpx.AsyncClient) -> None:
    """And say why, instead of blaming the link's age."""
    await story.api.http.delete(story.api.address())
    before = await story.facts()
    for page in await pages_of(story, visitor):
        assert (page.status_code, "There is nothing left to fix" in page.text) == (410, True)
        assert "<button" not in page.text
    assert await story.facts() == before


@pytest.mark.parametrize(
    ("reason", "said"), [("false_alarm", "needs nothing from you"), ("no_longer_used", "is no longer used")]
)
async def test_what_was_closed_by_hand_says_so(
    story: Story, visitor: httpx.AsyncClient, reason: str, said: str
) -> None:
    """A contact who comes late is not told that their link is too old, nor that something works that nobody checked."""
    await story.api.act(story.incident, "resolve", reason=reason)
    before = await story.facts()
    for page in await pages_of(story, visitor):
        assert (page.status_code, said in page.text, "<button" in page.text) == (200, True, False)
    assert await story.facts() == before


async def test_the_link_of_a_past_incident_leads_to_the_present_one(story: Story, visitor: httpx.AsyncClient) -> None:
    """Fixed, and broken again: an old mail neither says that all is well nor sends anybody away."""
    await story.api.act(story.incident, "resolve", reason="false_alarm")
    await story.api.event(event_type="sync_succeeded", error=None)
    again = str((await story.api.event(error=EXPIRED))["incident"])
    assert again != story.incident
    assert "Reconnect Salesforce" in (await visitor.get(story.link())).text
    assert (await visitor.post(story.link())).status_code == 303
    assert "page_opened" in await story.api.timeline(again)
    assert "page_opened" not in await story.api.timeline(story.incident)
    assert "Check your inbox" in (await visitor.post(story.old_link(), data={"do": "mail"})).text
    assert "fresh_link_requested" in await story.api.timeline(again)


def bad_links(story: Story) -> list[str]:
    good = story.link().removeprefix("/r/")
    flipped = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    status = story.api.resources.links.sign(Purpose.STATUS, UUID(story.incident), story.bob, NOW)
    back = story.link(Purpose.RETURN).split("/")[2]
    nobody = story.api.resources.links.sign(Purpose.RECONNECT, UUID(int=7), story.bob, NOW)
    tokens = (flipped, good[:-1], good + "A", status, back, nobody, "x", "é", "%00", "a" * 5000)
    return [f"/r/{token}" for token in tokens] + [f"/r/{good}/returned", story.old_link()]


async def test_a_link_that_is_no_good_gets_the_same_neutral_page_whatever_is_wrong(
    story: Story, visitor: httpx.AsyncClient
) -> None:
    before = await story.facts()
    pages = [await visitor.get(link) for link in bad_links(story)]
    pages += [await visitor.post(link, data={"do": "reconnect"}) for link in bad_links(story)]
    assert {(page.status_code, page.text) for page in pages} == {(410, pages[0].text)}
    check_headers(pages[0])
    for name in ("TechCorp", "Salesforce", "Bob", "bob@"):
        assert name not in pages[0].text
    assert 'value="mail"' in pages[0].text
    assert await story.facts() == before


async def test_a_fresh_mail_goes_to_the_known_address_only_for_an_expired_link_of_ours(
    story: Story, visitor: httpx.AsyncClient
) -> None:
    """Always the same answer; and not more than one mail in a quarter of an hour."""
    links = bad_links(story)
    answers = [await visitor.post(link, data={"do": "mail", "email": "eve@evil.example"}) for link in links * 2]
    answers.append(await visitor.post(story.old_link(Purpose.RETURN), data={"do": "mail"}))
    assert {(a.status_code, a.text) for a in answers} == {(200, answers[0].text)}
    assert "Check your inbox" in answers[0].text
    rows = await story.api.pool.fetch(
        "select recipient from deliveries where incident_id = $1 and channel = 'email'", story.incident
    )
    assert [row["recipient"] for row in rows] == ["bob@techcorp.example"] * 2
    assert (await story.api.timeline(story.incident)).count("fresh_link_requested") == 1
    assert (await story.api.doorbells(story.incident))[-1] == "message_requested"


async def test_no_fresh_mail_for_what_is_over(story: Story, visitor: httpx.AsyncClient) -> None:
    await story.api.act(story.incident, "resolve", reason="false_alarm")
    before = await story.facts()
    answer = await visitor.post(story.old_link(), data={"do": "mail"})
    assert (answer.status_code, "Check your inbox" in answer.text) == (200, True)
    assert await story.facts() == before


async def test_a_huge_form_is_refused(story: Story, visitor: httpx.AsyncClient) -> None:
    response = await visitor.post(story.link(), content=b"do=" + b"x" * (1024 * 1024))
    assert response.status_code == 413
    strange = await visitor.post(story.link(), content=b"\xff\xfe=&&;do=%ff&" + b"a=1&" * 100)
    assert strange.status_code < 500


async def test_hostile_names_stay_text(story: Story, visitor: httpx.AsyncClient) -> None:
    await story.api.customer(name="<script>alert(1)</script>{{7*7}}")
    page = await visitor.get(story.link())
    assert "<script>" not in page.text
    assert "{{7*7}}" in page.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", "https://a.example/x?return_url=B"),
        ("https://a.example/x?y=1&y=2&z=", "https://a.example/x?y=1&y=2&z=&return_url=B"),
        ("https://a.example/x?return_url=evil#part", "https://a.example/x?return_url=B#part"),
    ],
)
def test_the_way_back_is_added_to_the_products_own_address(url: str, expected: str) -> None:
    assert with_return_url(url, "B") == expected
