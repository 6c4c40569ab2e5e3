"""Signing in at an identity provider: at real ones, and at one that answers what it must not."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.settings import Settings, SettingsError
from tests.api.calling import Api, with_settings
from tests.npm import npm_package
from tests.probes.peers import mock_provider
from tests.site.visitor import Visitor, text_of

CLIENT = {"oidc_client_id": "relink", "oidc_client_secret": "secret"}
LISTS = {"operators": "dana@acme.example", "viewers": "acme.example"}


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with mock_provider() as issuer:
        yield issuer


@pytest.fixture
async def at_mock(apart: Api, mock: str) -> Any:
    """Pages whose staff sign in at oidc-provider-mock."""
    api = with_settings(apart, oidc_issuer=mock, **CLIENT, **LISTS)
    async with api.http:
        yield api


def here(address: str) -> str:
    """The part of an address that our own browser asks for."""
    parts = urlsplit(address)
    assert parts.netloc in {"", "relink.test"}
    return f"{parts.path}?{parts.query}"


async def leave(visitor: Visitor, wanted: str = "/fleet") -> str:
    """Goes to the sign-in page and on: the provider's address."""
    page = await visitor.get(f"/sign-in?next={wanted}")
    assert "Sign in with your company" in page.text
    left = await visitor.get(f"/sign-in/provider?next={wanted}")
    assert left.status_code == 303
    return left.headers["location"]


async def authorize(address: str, user: str, **claims: Any) -> str:
    """Says yes at oidc-provider-mock; where it sends the browser then."""
    async with httpx.AsyncClient(timeout=120) as http:
        issuer = address.partition("/oauth2/")[0]
        await http.put(f"{issuer}/users/{user}", json={"email": user, "email_verified": True} | claims)
        answer = await http.post(address, data={"sub": user})
    assert answer.status_code == 302, answer.text
    return here(answer.headers["location"])


async def sign_in(api: Api, user: str, **claims: Any) -> tuple[Visitor, httpx.Response]:
    visitor = Visitor(api)
    return visitor, await visitor.get(await authorize(await leave(visitor, "/fleet?show=all"), user, **claims))


class TestAtARealOne:
    """oidc-provider-mock, which nobody here wrote."""

    @pytest.mark.parametrize(("user", "role"), [("dana@acme.example", "operator"), ("Vera@Acme.example", "viewer")])
    async def test_the_lists_decide_the_role(self, at_mock: Api, user: str, role: str) -> None:
        visitor, answer = await sign_in(at_mock, user)
        assert (answer.status_code, answer.headers["location"]) == (303, "/fleet?show=all")
        assert f"{user} {role}" in text_of(await visitor.get("/fleet")).replace(user + role, f"{user} {role}")

    async def test_the_request_is_guarded(self, at_mock: Api) -> None:
        """PKCE by S256, a state, a nonce, and no more than a name and an address."""
        query = parse_qs(urlsplit(await leave(Visitor(at_mock))).query)
        assert query["response_type"] == ["code"]
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == ["https://relink.test/sign-in/return"]
        assert set(query["scope"][0].split()) == {"openid", "email", "profile"}
        assert len(query["state"][0]) >= 20
        assert len(query["nonce"][0]) >= 20

    async def test_whoever_is_on_no_list_stays_outside(self, at_mock: Api) -> None:
        visitor, answer = await sign_in(at_mock, "eve@globex.example")
        assert (answer.status_code, "not on the lists" in answer.text) == (403, True)
        assert (await visitor.get("/fleet")).status_code == 303

    @pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": None}])
    async def test_an_address_that_is_not_vouched_for_is_none(self, at_mock: Api, claims: dict[str, Any]) -> None:
        """Or else anybody could call themselves dana@acme.example at a provider where people sign up."""
        visitor, answer = await sign_in(at_mock, "dana@acme.example", **claims)
        assert answer.status_code == 403
        assert (await visitor.get("/fleet")).status_code == 303

    async def test_the_way_back_is_good_for_the_browser_that_left_only(self, at_mock: Api) -> None:
        """Another browser, another state, a cookie of another journey, and a code that was used before."""
        visitor, other = Visitor(at_mock), Visitor(at_mock)
        back = await authorize(await leave(visitor), "dana@acme.example")
        await leave(other)
        stranger = Visitor(at_mock)
        for someone, address in ((stranger, back), (other, back), (visitor, back.replace("state=", "state=x"))):
            answer = await someone.get(address)
            assert (answer.status_code, 'role="alert"' in answer.text) == (403, True)
            assert (await someone.get("/fleet")).status_code == 303
        assert (await visitor.get(back)).status_code == 303
        assert (await visitor.get(back)).status_code == 403

    async def test_a_journey_takes_ten_minutes_at_most(self, at_mock: Api) -> None:
        visitor = Visitor(at_mock)
        back = await authorize(await leave(visitor), "dana@acme.example")
        journeys = at_mock.resources.sessions.journeys
        remembered = journeys.read(visitor.http.cookies["relink_signing_in"])
        assert remembered is not None
        visitor.http.cookies.clear()
        visitor.http.cookies.set("relink_signing_in", journeys.sign(remembered | {"ends": time.time() - 1}))
        answer = await visitor.get(back)
        assert (answer.status_code, "ten minutes" in answer.text) == (403, True)

    async def test_the_token_must_be_of_this_sign_in(self, at_mock: Api) -> None:
        """A nonce of another journey: a token that was stolen elsewhere is worth nothing here."""
        visitor = Visitor(at_mock)
        back = await authorize(await leave(visitor), "dana@acme.example")
        journeys = at_mock.resources.sessions.journeys
        remembered = journeys.read(visitor.http.cookies["relink_signing_in"])
        assert remembered is not None
        visitor.http.cookies.clear()
        visitor.http.cookies.set("relink_signing_in", journeys.sign(remembered | {"nonce": "another"}))
        answer = await visitor.get(back)
        assert (answer.status_code, "be trusted" in text_of(answer)) == (403, True)

    async def test_a_no_is_told_kindly(self, at_mock: Api) -> None:
        visitor = Visitor(at_mock)
        state = parse_qs(urlsplit(await leave(visitor)).query)["state"][0]
        answer = await visitor.get(f"/sign-in/return?error=access_denied&state={state}")
        assert (answer.status_code, "did not let you in" in text_of(answer)) == (403, True)

    async def test_after_signing_in_one_stays_here(self, at_mock: Api) -> None:
        visitor = Visitor(at_mock)
        back = await authorize(await leave(visitor, "//evil.example"), "dana@acme.example")
        assert (await visitor.get(back)).headers["location"] == "/fleet"


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """The address of npm oidc-provider."""
    script = Path(__file__).with_name("provider.mjs")
    command = ["node", str(script), str(npm_package("oidc-provider@9.13.3"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate(timeout=120)


async def test_at_a_strict_one(apart: Api, strict: str) -> None:
    """npm oidc-provider, through its own pages: it insists on PKCE, and tells the address by userinfo only."""
    api = with_settings(apart, oidc_issuer=strict, **CLIENT, **LISTS)
    async with api.http, httpx.AsyncClient(base_url=strict, timeout=120) as browser:
        visitor = Visitor(api)
        answer = await browser.get(await leave(visitor))
        for fields in ({"prompt": "login", "login": "dana@acme.example", "password": "any"}, {"prompt": "consent"}):
            while "relink.test" not in answer.headers.get("location", "") and answer.is_redirect:
                answer = await browser.get(answer.headers["location"])
            form = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            assert form is not None, answer.text
            answer = await browser.post(form[1], data=fields)
        while "relink.test" not in answer.headers["location"]:
            answer = await browser.get(answer.headers["location"])
        back = await visitor.get(here(answer.headers["location"]))
        assert (back.status_code, back.headers["location"]) == (303, "/fleet")
        assert "dana@acme.example" in (await visitor.get("/fleet")).text


@dataclass
class Odd:
    """A provider whose every answer is decided here, signed as it should be."""

    server: HTTPServer
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}, private=True))
    signs_with: RSAKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    nonce: str = ""

    @property
    def issuer(self) -> str:
        return self.server.url_for("").rstrip("/")

    def serve(self) -> None:
        known = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        expect = self.server.expect_request
        expect("/.well-known/openid-configuration").respond_with_handler(lambda _: _json(known | self.metadata))
        expect("/jwks").respond_with_handler(lambda _: _json({"keys": [self.key.as_dict(private=False)]}))
        expect("/token").respond_with_handler(self._token)
        expect("/userinfo").respond_with_handler(lambda _: _json(self.userinfo))

    def _token(self, _: Request) -> Response:
        claims = {
            "iss": self.issuer,
            "sub": "dana",
            "aud": "relink",
            "exp": int(time.time()) + 600,
            "iat": int(time.time()),
            "nonce": self.nonce,
            "email": "dana@acme.example",
        }
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signs_with or self.key)
        return _json({"access_token": "x", "token_type": "Bearer", "id_token": token})


def _json(value: Any) -> Response:
    return Response(httpx.Response(200, json=value).content, mimetype="application/json")


@contextmanager
def odd_provider(**answers: Any) -> Iterator[Odd]:
    with HTTPServer() as server:
        provider = Odd(server, **answers)
        provider.serve()
        yield provider


async def back_from(provider: Odd, apart: Api) -> tuple[Visitor, httpx.Response]:
    api = with_settings(apart, oidc_issuer=provider.issuer, **CLIENT, **LISTS)
    async with api.http:
        visitor = Visitor(api)
        left = parse_qs(urlsplit(await leave(visitor)).query)
        provider.nonce = left["nonce"][0]
        return visitor, await visitor.get(f"/sign-in/return?code=c&state={left['state'][0]}")


class TestAtAnOddOne:
    """It speaks the protocol, and one thing of what it says is wrong."""

    async def test_right_answers_are_taken(self, apart: Api) -> None:
        """So that the refusals below are of what is wrong in each."""
        with odd_provider() as provider:
            _, answer = await back_from(provider, apart)
            assert answer.status_code == 303

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": "another"}, {"aud": ["another"], "azp": "relink"}, {"aud": None}, {"iss": "https://evil.example"},
            {"exp": 1_000_000_000}, {"exp": None}, {"nonce": "another"}, {"nonce": None}, {"sub": None},
        ],
        ids=str,
    )  # fmt: skip
    async def test_wrong_claims_sign_nobody_in(self, apart: Api, claims: dict[str, Any]) -> None:
        """For somebody else, by somebody else, over, of another sign-in, or of nobody."""
        with odd_provider(claims=claims) as provider:
            visitor, answer = await back_from(provider, apart)
            assert (answer.status_code, "be trusted" in text_of(answer)) == (403, True)
            assert (await visitor.get("/fleet")).status_code == 303

    async def test_a_token_that_the_provider_did_not_sign_is_refused(self, apart: Api) -> None:
        with odd_provider(signs_with=RSAKey.generate_key(2048, {"kid": "1"}, private=True)) as provider:
            _, answer = await back_from(provider, apart)
            assert answer.status_code == 403

    async def test_an_address_may_stand_beside_the_token(self, apart: Api) -> None:
        """Some providers tell it at their userinfo endpoint only; another person's is not taken."""
        for sub, status in (("dana", 303), ("eve", 403)):
            userinfo = {"sub": sub, "email": "dana@acme.example"}
            with odd_provider(claims={"email": None}, userinfo=userinfo) as provider:
                _, answer = await back_from(provider, apart)
                assert answer.status_code == status, sub

    async def test_a_provider_that_is_somebody_else_is_not_asked(self, apart: Api) -> None:
        with odd_provider(metadata={"issuer": "https://evil.example"}) as provider:
            api = with_settings(apart, oidc_issuer=provider.issuer, **CLIENT, **LISTS)
            async with api.http:
                answer = await Visitor(api).get("/sign-in/provider")
                assert (answer.status_code, "set up wrongly" in answer.text) == (503, True)


async def test_a_provider_that_is_down_is_said_kindly(apart: Api) -> None:
    """Nothing is shown that helps nobody, and the next try works as soon as it is back."""
    api = with_settings(apart, oidc_issuer="http://127.0.0.1:9", **CLIENT, **LISTS)
    async with api.http:
        answer = await Visitor(api).get("/sign-in/provider?next=/fleet%3Fshow=all")
        assert (answer.status_code, "reached" in text_of(answer)) == (503, True)
        assert "next=/fleet%3Fshow%3Dall" in answer.text


async def test_without_a_provider_the_page_says_how_to_get_in(apart: Api) -> None:
    page = await Visitor(apart).get("/sign-in")
    assert "relink sign-in" in page.text
    assert "/sign-in/provider" not in page.text
    assert (await Visitor(apart).get("/sign-in/provider")).status_code == 404


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"RELINK_OIDC_CLIENT_ID": "", "RELINK_VIEWERS": "acme.example"}, "RELINK_OIDC_CLIENT_ID"),
        ({"RELINK_OIDC_CLIENT_ID": "relink"}, "RELINK_VIEWERS"),
    ],
)
def test_who_may_come_in_has_to_be_said(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], missing: str) -> None:
    """A provider alone would let everybody in who has an account there."""
    monkeypatch.setenv("RELINK_OIDC_ISSUER", "https://accounts.example.com")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=missing):
        Settings.load()
