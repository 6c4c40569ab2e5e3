"""No disturbance is ever called a dead connection, whatever code comes with it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from activities.playbooks import load_catalogue
from bench.diagnosis import failures
from workflows.domain.diagnosis import ConnectionState, Failure, Surface, diagnose

CATALOGUE = load_catalogue()

# What a server says that is down or busy, on every surface.
DOWN = [
    "Service temporarily unavailable", "The service is unavailable, try again later", "502 Bad Gateway",
    "We are down for scheduled maintenance", "The authorization server is overloaded", "Rate limit exceeded",
    "Too many requests, slow down", "A transient error has occurred. Please try again.",
    "Unable to authenticate at the moment, please retry", "Internal error, retry your request",
    "Authentication failed: backend temporarily unavailable", "invalid token? our key service had an outage",
    "The account service is under maintenance, accounts cannot be found", "gateway timeout while refreshing the token",
    "Permission check failed, service is busy, retry in 30 seconds",
]  # fmt: skip
# What is said of a call that was cut off; who gave up a webhook says it as well.
CUT_OFF = [
    "upstream request timed out", "read ECONNRESET", "Connection reset by peer", "socket hang up",
    "context deadline exceeded", "The request timed out while checking the session",
    "Could not validate the token: connection refused by the auth service", "getaddrinfo EAI_AGAIN while revoking",
]  # fmt: skip
# They look final, and are also answered when only something behind the server is down.
VAGUE = [
    None, "invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "invalid_token", "unauthorized",
    "forbidden", "invalid_request", "login_required", "interaction_required", "invalid_auth", "not_found",
]  # fmt: skip
PROVIDERS = [*(playbook.name for playbook in CATALOGUE.playbooks if playbook.name != "Webhook"), "Acme CRM", None]


def _in_every_shape(words: str, code: str | None) -> list[dict[str, str | None]]:
    return [
        {"error_code": code, "error_description": words},
        {"body": json.dumps({"error": code, "error_description": words})},
        {"error_code": code, "body": f"<html><body><h1>{words}</h1></body></html>"},
        {"error_description": f"{code}: {words}"},
    ]


@settings(max_examples=300, deadline=None)
@given(
    words=st.sampled_from(DOWN + CUT_OFF),
    code=st.sampled_from(VAGUE),
    provider=st.sampled_from(PROVIDERS),
    surface=st.sampled_from([*(surface for surface in Surface if surface is not Surface.WEBHOOK), None]),
    status=st.sampled_from([None, 200, 400, 401, 403, 404, 429, 500, 502, 503, 504]),
)
@example(words=DOWN[0], code="invalid_grant", provider="Atlassian", surface=Surface.TOKEN_ENDPOINT, status=400)
def test_a_final_looking_code_is_not_believed_in_a_disturbance(
    words: str, code: str | None, provider: str | None, surface: Surface | None, status: int | None
) -> None:
    """Nobody is sent to reconnect because a provider's own outage came with `invalid_grant`."""
    for shape in _in_every_shape(words, code):
        failure = Failure.model_validate({"provider": provider, "surface": surface, "http_status": status, **shape})
        assert diagnose(failure, CATALOGUE).connection_state is not ConnectionState.DISCONNECTED, failure


@pytest.mark.parametrize("words", DOWN)
@pytest.mark.parametrize("status", [None, 429, 500, 502, 503, 504])
def test_a_receiver_that_is_down_is_not_given_up(words: str, status: int | None) -> None:
    """The sender of a webhook tries again for hours before anything is lost."""
    for provider in (*PROVIDERS, "Generic webhook"):
        failure = Failure(provider=provider, surface=Surface.WEBHOOK, http_status=status, error_description=words)
        assert diagnose(failure, CATALOGUE).connection_state is not ConnectionState.DISCONNECTED, provider


def test_collected_disturbances_are_never_called_disconnected() -> None:
    """In everybody's words, as a message or as a whole body; the cause may be wrong, the alarm may not."""
    for surface, provider, status, words in failures("passing_wordings"):
        for field in ("error_description", "body"):
            failure = Failure.model_validate(
                {"provider": provider, "surface": surface, "http_status": status, field: words}
            )
            assert diagnose(failure, CATALOGUE).connection_state != "disconnected", (provider, words)


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("Acme CRM", "invalid_grant: session timed out"),
        ("Acme CRM", "token_revoked: revoked by the user, try again later with a new one"),
        ("salesforce", "INVALID_LOGIN: please try again later"),
    ],
)
def test_what_is_certain_is_still_said(provider: str, words: str) -> None:
    """A session that ran out was not interrupted, and a code that can mean only one thing is believed."""
    failure = Failure(provider=provider, surface=Surface.TOKEN_ENDPOINT, http_status=400, error_description=words)
    assert diagnose(failure, CATALOGUE).connection_state is ConnectionState.DISCONNECTED
