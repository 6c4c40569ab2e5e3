"""Failures come in every shape; each is read for what it says."""

from __future__ import annotations

import json

import pytest

from activities.playbooks import load_catalogue
from workflows.domain.diagnosis import Category, ConnectionState, Diagnosis, Failure, Surface, WhoFixes, diagnose
from workflows.domain.failure_body import read_evidence


def told(**failure: object) -> Diagnosis:
    return diagnose(Failure.model_validate(failure), load_catalogue())


DEAD_GRANT = [
    pytest.param('{"error":"invalid_grant"}', id="flat JSON"),
    pytest.param('{"status":"error","errors":[{"detail":{"code":"INVALID_GRANT"}}]}', id="nested JSON"),
    pytest.param('{"message":"{\\"error\\":\\"invalid_grant\\"}"}', id="JSON in a string"),
    pytest.param('400 Bad Request: {"error":"invalid_grant"}', id="JSON after words"),
    pytest.param('[SSL ok] {"error":"invalid_grant"}', id="JSON after a bracket"),
    pytest.param('{"error":"invalid_grant","error_descr', id="JSON cut off"),
    pytest.param("{'error': 'invalid_grant'}", id="a Python dict"),
    pytest.param("error=invalid_grant&error_description=token+is+gone", id="form"),
    pytest.param("?error=invalid_grant&state=x", id="query string"),
    pytest.param("<OAuth><error>invalid_grant</error></OAuth>", id="XML"),
    pytest.param("<html><head><title>Error</title></head><body>invalid_grant</body></html>", id="HTML page"),
    pytest.param('Bearer realm="x", error="invalid_grant"', id="header"),
    pytest.param("oauthlib.InvalidGrantError: (invalid_grant)", id="exception"),
    pytest.param('\ufeff{"error":"invalid_grant","x":"\ufffd\ufffd"}', id="byte order mark and broken UTF-8"),
    pytest.param('{"error":"invalid_grant"}' + " " * 2_000_000, id="megabytes"),
]


@pytest.mark.parametrize("body", DEAD_GRANT)
def test_the_same_cause_in_every_shape(body: str) -> None:
    """Whatever wraps `invalid_grant`, the grant is dead and the user reconnects."""
    found = told(provider="Acme CRM", surface="token_endpoint", http_status=400, body=body)
    assert found.category is Category.REFRESH_FAILED
    assert found.self_serve_reconnect


@pytest.mark.parametrize(
    ("failure", "category", "state"),
    [
        pytest.param({"provider": "slack", "http_status": 200, "body": '{"ok":false,"error":"ratelimited"}'},
                     "rate_limited", "transient", id="Slack"),
        pytest.param({"provider": "github", "http_status": 200, "surface": "token_endpoint",
                      "body": "error=bad_refresh_token&error_description=x"},
                     "refresh_failed", "disconnected", id="GitHub token"),
        pytest.param({"provider": "github", "http_status": 200,
                      "body": '{"data":null,"errors":[{"type":"FORBIDDEN","extensions":{"saml_failure":true}}]}'},
                     "policy_blocked", "degraded", id="GraphQL"),
        pytest.param({"provider": "xero", "http_status": 200, "body": "[]"},
                     "token_revoked", "disconnected", id="Xero"),
        pytest.param({"provider": "quickbooks", "http_status": 200,
                      "body": '{"Fault":{"Error":[{"Message":"Invalid Company Status","code":"6190"}]}}'},
                     "account_suspended_or_plan", "disconnected", id="QuickBooks"),
    ],
)  # fmt: skip
def test_success_with_the_failure_inside(failure: dict[str, object], category: str, state: str) -> None:
    """A 2xx status proves nothing while the body says otherwise."""
    found = told(**{"surface": "rest_api", **failure})
    assert (found.category, found.connection_state) == (category, state)


@pytest.mark.parametrize(
    ("provider", "status", "code", "text"),
    [
        ("google", 403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
        ("github", 403, None, "You have exceeded a secondary rate limit"),
        ("salesforce", 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        ("shopify", 200, "THROTTLED", "Throttled"),
        ("Acme CRM", 403, None, "You have exceeded your API quota; quota was reached"),
    ],
)
def test_a_forbidden_that_is_a_rate_limit(provider: str, status: int, code: str | None, text: str) -> None:
    """Nobody is ever asked to reconnect because of a rate limit."""
    found = told(provider=provider, surface="rest_api", http_status=status, error_code=code, error_description=text)
    assert found.is_rate_limit
    assert found.connection_state is not ConnectionState.DISCONNECTED
    assert not found.self_serve_reconnect


def test_the_status_is_also_found_in_words() -> None:
    """A library's message may be all that there is."""
    evidence = read_evidence(Failure(error_description="AxiosError: Request failed with status code 503"))
    assert evidence.status == 503


def test_a_code_has_one_spelling() -> None:
    """Camel case, capitals, hyphens, urns, leading zeros and Dropbox's tails are the same code."""
    codes = (
        "rateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "rate-limit-exceeded",
        "urn:x:RateLimitExceeded",
        "rate_limit_exceeded/..",
    )
    assert all("ratelimitexceeded" in read_evidence(Failure(error_code=code)).codes for code in codes)
    assert "3100" in read_evidence(Failure(body="errorCode=003100; statusCode=500")).codes


@pytest.mark.parametrize(
    ("failure", "surface"),
    [
        (Failure(error_code="INVALID_GRANT"), Surface.TOKEN_ENDPOINT),
        (Failure(body='<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/>'), Surface.SAML),
        (Failure(error_description="Resource protected by organization SAML enforcement"), Surface.REST_API),
    ],
)
def test_a_surface_that_was_left_out_is_guessed(failure: Failure, surface: Surface) -> None:
    """Events need not say where a call failed."""
    assert read_evidence(failure).surface is surface


def test_microsoft_numbers_are_known_everywhere() -> None:
    """A customer's OIDC provider may be Entra without being called so; and a bare number is enough at Entra."""
    expected = (Category.APP_MISCONFIGURED, WhoFixes.CUSTOMER_ADMIN)
    text = "AADSTS700016: Application with identifier 'x' was not found in the directory"
    for found in (
        told(provider="OIDC", surface="oidc", error_description=text),
        told(provider="Microsoft Entra", surface="token_endpoint", body=json.dumps({"error_codes": [700016]})),
    ):
        assert (found.category, found.who_fixes) == expected


@pytest.mark.parametrize(
    ("provider", "text", "category", "who"),
    [
        ("atlassian", "unauthorized_client: refresh_token is invalid", "refresh_failed", "customer_user"),
        ("google", "invalid_grant: Invalid JWT: Token must be a short-lived token and in a reasonable timeframe",
         "clock_skew", "our_engineering"),
        ("Acme CRM", "invalid_client", "app_misconfigured", "our_engineering"),
        ("slack", "bad_client_secret", "app_misconfigured", "our_engineering"),
        ("salesforce", "invalid_grant: ip restricted", "policy_blocked", "customer_admin"),
    ],
)  # fmt: skip
def test_what_reads_like_the_wrong_side(provider: str, text: str, category: str, who: str) -> None:
    """Reads like ours but is the grant; reads like the grant but is ours; reads like either but is a policy."""
    found = told(provider=provider, surface="token_endpoint", http_status=400, error_description=text)
    assert (found.category, found.who_fixes) == (category, who)


def test_what_nobody_has_seen_asks_nobody_to_act() -> None:
    """The default is honest: unknown, not disconnected, no reconnect, little confidence."""
    found = told(provider="Acme CRM", surface="rest_api", error_description="zorble frobnicated")
    assert found.category is Category.UNKNOWN
    assert found.connection_state is ConnectionState.DEGRADED
    assert not found.self_serve_reconnect
    assert found.confidence < 0.5


@pytest.mark.parametrize(
    "words", ["getaddrinfo ENOTFOUND login.example.com", "certificate has expired", "connection refused"]
)
def test_a_shared_provider_that_cannot_be_reached_is_nobodys_fault(words: str) -> None:
    """No customer can repair Salesforce's servers or our way to them; their own API's server they can."""
    shared = told(provider="salesforce", surface="network", error_description=words)
    own = told(provider="custom_api", surface="network", error_description=words)
    assert shared.connection_state is ConnectionState.TRANSIENT
    assert not shared.who_fixes.is_customer
    assert own.who_fixes is WhoFixes.CUSTOMER_ADMIN


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param({"http_status": 503, "error_description": "The workspace is suspended"}, id="a 5xx"),
        pytest.param({"http_status": 404, "error_description": "Site temporarily unavailable"}, id="temporarily"),
        pytest.param({"http_status": 403, "error_description": "Account locked, try again later"}, id="later"),
    ],
)
@pytest.mark.parametrize("provider", ["shopify", "jira", "zendesk", "Acme CRM"])
def test_a_passing_disturbance_is_never_a_dead_connection(provider: str, failure: dict[str, object]) -> None:
    """Whatever the words remind of: a server that is down or says "later" sends nobody to work."""
    found = told(provider=provider, surface="rest_api", **failure)
    assert found.connection_state is not ConnectionState.DISCONNECTED


def test_a_code_counts_even_if_the_server_failed() -> None:
    """SOAP faults come with 500, and mean what their code says."""
    found = told(provider="salesforce", http_status=500, body="<faultcode>INVALID_LOGIN</faultcode>")
    assert found.category is Category.CREDENTIALS_INVALID
    assert found.connection_state is ConnectionState.DISCONNECTED


@pytest.mark.parametrize(
    ("provider", "who"), [("zendesk", WhoFixes.CUSTOMER_ADMIN), ("Acme CRM", WhoFixes.CUSTOMER_USER)]
)
def test_whoever_connected_it_connects_it_again(provider: str, who: WhoFixes) -> None:
    """Where a provider lets only administrators connect, the generic rules ask an administrator too."""
    assert told(provider=provider, http_status=401, error_description="The password is incorrect").who_fixes is who


def test_the_second_status_of_saml_in_a_message_is_read() -> None:
    """ruby-saml writes `Responder => AuthnFailed`; the second one is what tells."""
    found = told(
        surface="saml",
        error_description="The status code of the Response was not Success, was Responder => AuthnFailed",
    )
    assert found.category is Category.CREDENTIALS_INVALID


def test_a_sign_in_that_failed_without_a_word_is_unknown() -> None:
    """It may just have been given up; nobody is asked to repair single sign-on because of it."""
    for surface in ("saml", "oidc"):
        assert told(surface=surface).category is Category.UNKNOWN
