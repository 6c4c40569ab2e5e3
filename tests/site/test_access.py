"""Who may see and press what: each page for somebody signed out, a viewer, an operator, a viewer of one customer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.routing import Route

from starter.site.pages import _PageRoute, safe_next
from starter.site.sessions import Session, Sessions, sign_in_link
from starter.site.staff import Role, Staff
from tests.api.calling import SECRET_KEY, Api, with_settings
from tests.api.test_status_page import status_link
from tests.site.visitor import Visitor, text_of

OF_ALL = {"/providers", "/providers.csv"}  # across customers: nothing for somebody who may see one
OPEN = {"/", "/sign-in", "/sign-in/link/{token}", "/sign-in/provider", "/sign-in/return"}  # for whoever wants to get in


def routes(api: Api, method: str) -> set[str]:
    """The addresses of all pages, so that a new one cannot escape."""
    return {route.path for route in flat(api.app.routes) if isinstance(route, _PageRoute) and method in route.methods}


def flat(routes: list[object]) -> list[Route]:
    found: list[Route] = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += flat(inner.routes) if inner is not None else [route]  # type: ignore[list-item]
    return found


def filled(path: str, found: dict[str, Any]) -> str:
    """An address of the integration and incident that an event was about."""
    names = {"external_id": found["customer"], "integration_type": "salesforce", "table": "incidents"}
    return path.format(action="acknowledge", **names, **found) + ("?show=all" if path.startswith("/fleet") else "")


async def test_nobody_sees_a_page_without_signing_in(apart: Api) -> None:
    """Every page sends whoever is signed out to the sign-in page, and back to itself afterwards."""
    found = await apart.event() | {"customer": apart.name}
    pages = routes(apart, "GET") - OPEN
    assert {"/fleet", "/fleet.csv", "/integrations/{integration}", "/incidents/{incident}"} <= pages
    for page in pages:
        path = filled(page, found)
        answer = await Visitor(apart).get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"] == f"/sign-in?next={quote(path)}"
        assert "TechCorp" not in answer.text


async def test_viewers_and_operators_see_every_page(apart: Api) -> None:
    found = await apart.event() | {"customer": apart.name}
    for page in routes(apart, "GET") - OPEN:
        for visitor in (Visitor.viewer(apart), Visitor.operator(apart)):
            answer = await visitor.get(filled(page, found))
            assert answer.status_code == 200, page


async def test_a_viewer_of_one_customer_sees_nothing_of_another(apart: Api) -> None:
    """Whoever came by a link in Slack: the other customer's things are not there, in pages and in files."""
    mine = await apart.integration()
    other = replace(apart, name=f"other-{uuid4().hex[:8]}")
    await other.customer(name="Globex")
    await other.integration(display_name="Globex CRM")
    theirs = await other.event(customer_external_id=other.name) | {"customer": other.name}
    visitor = Visitor.viewer(apart, only=UUID(mine["customer_id"]))
    assert (await visitor.get(f"/integrations/{mine['id']}")).status_code == 200
    for page in routes(apart, "GET") - OPEN:
        answer = await visitor.get(filled(page, theirs))
        assert answer.status_code == (404 if "{" in page or page in OF_ALL else 200), page
        assert "Globex" not in answer.text, page


async def test_every_button_needs_its_form_and_its_role(apart: Api) -> None:
    """No POST works without the token of the session, from another site, or for somebody who may only look."""
    found = await apart.event() | {"customer": apart.name}
    buttons = {filled(route, found) for route in routes(apart, "POST") - OPEN}
    assert {"/sign-out", f"/incidents/{found['incident']}/acknowledge"} == buttons
    for button in buttons:
        operator = Visitor.operator(apart)
        without = await operator.http.post(button, data={"form_token": "0" * 64})
        assert (without.status_code, "open the page again" in without.text) == (403, True), button
        others = apart.resources.sessions.form_token(Session.begin("eve", Role.OPERATOR))
        stolen = await operator.http.post(button, data={"form_token": others})
        assert stolen.status_code == 403, button
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            operator.http.headers.update(headers)
            assert (await operator.press(button)).status_code == 403, (button, headers)
            operator.http.headers.pop(next(iter(headers)))
        signed_out = await Visitor(apart).press(button)
        assert signed_out.headers["location"] == "/sign-in?next=/fleet"
        if button != "/sign-out":
            refused = await Visitor.viewer(apart).press(button)
            assert (refused.status_code, "only operators" in refused.text.lower()) == (403, True), button


async def test_pages_may_run_nothing_but_their_own_scripts(apart: Api) -> None:
    """Nothing inline, nothing from elsewhere, no framing, nothing kept by caches."""
    page = await Visitor.viewer(apart).get("/fleet")
    policy = page.headers["content-security-policy"]
    for rule in (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'self'",
        "base-uri 'none'", "frame-ancestors 'none'",
    ):  # fmt: skip
        assert rule in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert " style=" not in page.text
    assert " onclick=" not in page.text


async def test_what_pages_load_is_kept_for_good(apart: Api) -> None:
    """The address of a style sheet or script names its content, so browsers never ask for it twice."""
    page = (await Visitor.viewer(apart).get("/fleet")).text
    addresses = [part.split('"')[0] for part in page.split('="/static/')[1:]]
    assert {address.split(".")[-1] for address in addresses} == {"css", "js"}
    async with apart.anonymous() as http:
        for address in addresses:
            file = await http.get(f"/static/{address}")
            assert (file.status_code, file.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert (await http.get("/static/../settings.py")).status_code == 404
        assert (await http.get("/static/site.000000000000.css")).status_code == 404


def test_after_signing_in_one_stays_here() -> None:
    """`next` leads to a page of ours, whatever a link says."""
    assert safe_next("/fleet?show=all&q=a%20b") == "/fleet?show=all&q=a%20b"
    for path in (
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/\t/evil.example", "///evil.example", "fleet", "", "http:evil.example", "/\n/evil.example",
    ):  # fmt: skip
        assert safe_next(path) == "/fleet", path


def link(name: str = "dana") -> str:
    """What `relink sign-in --operator` prints, below the public URL."""
    return sign_in_link("https://relink.test/", SECRET_KEY, name, Role.OPERATOR).removeprefix("https://relink.test")


class TestLinks:
    """`relink sign-in`: a link for one person at the terminal."""

    async def test_it_signs_in_once(self, apart: Api) -> None:
        """Looking at it uses nothing up, so that programs that look at links first do no harm; pressing does."""
        path = link()
        first, second = Visitor(apart), Visitor(apart)
        for _ in range(2):
            assert "Sign in as dana" in text_of(await first.get(path))
        signed_in = await first.http.post(path)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/fleet")
        cookie = signed_in.headers["set-cookie"]
        for part in ("__Host-relink_session=", "HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=431"):
            assert part in cookie
        assert "dana operator" in text_of(await first.get("/fleet"))
        for answer in (await second.http.post(path), await second.get(path)):
            assert (answer.status_code, "does not work any more" in answer.text) == (403, True)
            assert "set-cookie" not in answer.headers

    async def test_a_forged_or_an_old_one_does_not(self, apart: Api) -> None:
        sessions = apart.resources.sessions
        old = Session.begin("dana", Role.OPERATOR, lasts=timedelta(seconds=-1))
        session = sessions._cookies.sign(Session.begin("dana", Role.OPERATOR).dump())
        for token in ("x", sessions._links.sign(old.dump()), session):
            answer = await Visitor(apart).http.post(f"/sign-in/link/{token}")
            assert answer.status_code == 403, token
        assert (await Visitor(apart).http.post(link()[:-2])).status_code == 403

    async def test_another_site_can_not_sign_somebody_in(self, apart: Api) -> None:
        """Or else people would act under a name that a stranger gave them."""
        path = link("stranger")
        answer = await Visitor(apart).http.post(path, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403

    async def test_a_link_in_slack_shows_that_customer(self, apart: Api) -> None:
        """View Integration Status signs in a viewer of that one customer, and takes nothing from who is in already."""
        integration = (await apart.integration())["id"]
        visitor, link = Visitor(apart), status_link(apart, integration)
        assert (await visitor.get(link)).status_code == 200
        assert "TechCorp" in text_of(await visitor.get("/fleet?show=all"))
        other = replace(apart, name=f"other-{uuid4().hex[:8]}")
        await other.customer(name="Globex")
        theirs = (await other.integration())["id"]
        assert (await visitor.get(f"/integrations/{theirs}")).status_code == 404
        assert (await visitor.get(status_link(apart, theirs))).status_code == 200
        operator = Visitor.operator(apart)
        for address in (link, status_link(apart, integration, ago=timedelta(days=31)), f"{link}x"):
            answer = await operator.get(address)
            assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)


class TestSessions:
    async def test_signing_out_ends_every_copy(self, apart: Api) -> None:
        visitor = Visitor.viewer(apart)
        copy = Visitor(apart, visitor.session)
        answer = await visitor.press("/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert (await visitor.get("/fleet")).status_code == 303
        assert (await copy.get("/fleet")).status_code == 303

    async def test_a_session_ends_by_itself(self, apart: Api) -> None:
        visitor = Visitor(apart, Session.begin("dana", Role.OPERATOR, lasts=timedelta(seconds=-1)))
        assert (await visitor.get("/fleet")).status_code == 303

    @pytest.mark.parametrize("change", ["", "x", ".", "eyJhIjoxfQ.x"])
    async def test_an_altered_cookie_is_none(self, apart: Api, change: str) -> None:
        visitor = Visitor.operator(apart)
        name = apart.resources.sessions.cookie_name
        visitor.http.cookies.set(name, change)
        assert (await visitor.get("/fleet")).status_code == 303

    async def test_a_cookie_of_another_version_is_none(self, apart: Api) -> None:
        visitor = Visitor(apart)
        sessions = apart.resources.sessions
        visitor.http.cookies.set(sessions.cookie_name, sessions._cookies.sign({"user": "dana"}))
        assert (await visitor.get("/fleet")).status_code == 303

    async def test_a_refresh_is_told_to_sign_in(self, apart: Api) -> None:
        """htmx can't follow a redirect to another page: it is told where to go."""
        answer = await Visitor(apart).http.get("/fleet", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in?next=/fleet")

    async def test_whoever_left_the_lists_is_out_at_once(self, apart: Api) -> None:
        """For those whom a provider vouches for, the lists in the settings decide at every request."""
        for settings, status, role in (
            ({"operators": "dana@acme.example"}, 200, "operator"),
            ({"viewers": "@acme.example, globex.example"}, 200, "viewer"),
            ({"operators": "max@acme.example"}, 303, ""),
        ):
            changed = with_settings(apart, **settings)
            session = Session.begin("Dana@Acme.example", Role.OPERATOR, listed=True)
            page = await Visitor(changed, session).get("/fleet")
            assert page.status_code == status
            assert role in page.text
            await changed.http.aclose()


def test_lists() -> None:
    """Addresses, domains and everybody; the greater role wins; nobody is in by chance."""
    staff = Staff.listed("dana@acme.example", "acme.example, Bob@Globex.example,")
    assert [staff.role_of(address) for address in ("DANA@acme.example", "eve@acme.example", "bob@globex.example")] == [
        Role.OPERATOR, Role.VIEWER, Role.VIEWER,
    ]  # fmt: skip
    for address in ("eve@globex.example", "acme.example", "", "eve@notacme.example", "dana@acme.example.evil.example"):
        assert staff.role_of(address) is (Role.VIEWER if address == "acme.example" else None), address
    assert Staff.listed("", "*").role_of("x@y.example") is Role.VIEWER
    assert Staff.listed("", "").role_of("x@y.example") is None


async def test_spent_tokens_are_forgotten_when_they_would_have_ended(api: Api) -> None:
    spent = api.resources.sessions._spent
    gone, kept = uuid4(), uuid4()
    await spent.spend(gone, datetime.now(UTC) - timedelta(hours=2))
    assert await spent.spend(kept, datetime.now(UTC) + timedelta(minutes=1))
    assert not await spent.spend(kept, datetime.now(UTC) + timedelta(minutes=1))
    assert [await spent.is_spent(token) for token in (gone, kept)] == [False, True]


async def test_a_token_stays_spent_while_a_slow_clock_takes_it(api: Api) -> None:
    """By PostgreSQL's clock it is over, by that of the process that checks it not yet: it still works only once."""
    spent, link = api.resources.sessions._spent, uuid4()
    over = datetime.now(UTC) - timedelta(seconds=5)
    assert await spent.spend(link, over)
    assert not await spent.spend(link, over)
    assert await spent.is_spent(link)


async def test_a_page_says_kindly_that_something_is_wrong(apart: Api) -> None:
    """No JSON for people: a wrong address, a filter that there is not, and a database that is away."""
    visitor = Visitor.viewer(apart)
    for path, status in (("/integrations/nonsense", 422), (f"/integrations/{uuid4()}", 404), ("/fleet?show=x", 422)):
        page = await visitor.get(path)
        assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (status, "text/html"), path
        assert "Go to the fleet" in page.text
    await api_away(apart, visitor)


async def api_away(apart: Api, visitor: Visitor) -> None:
    closed = with_settings(apart)

    async def away(_: object) -> bool:
        raise ConnectionRefusedError

    closed.resources.sessions._spent.is_spent = away  # type: ignore[method-assign]
    page: httpx.Response = await Visitor(closed, visitor.session).get("/fleet")
    assert (page.status_code, "Please try again" in page.text) == (503, True)
    assert isinstance(closed.resources.sessions, Sessions)
    await closed.http.aclose()
