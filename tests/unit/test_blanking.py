"""What others say about a failure is kept so that people can read it; credentials in it are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.blanking import STORED_CHARACTERS, blanked

HIDDEN = [
    '{"access_token":"CANARY1"}',
    '{"token": "ab12CANARY1-ab12CANARY1"}',
    "refresh_token=CANARY1&grant_type=refresh_token",
    "Authorization: Bearer ab12.CANARY1",
    "authorization: basic dXNlcjpDQU5BUlkx12CANARY1==",
    "GET https://api.example/x?api_key=CANARY1&page=2 failed",
    "https://user:CANARY1@api.example/",
    "X-Api-Key: CANARY1",
    "X-Shopify-Access-Token: shpat_CANARY1CANARY1",
    "the token xoxb-CANARY1-123456 was revoked",
    "key sk_live_CANARY1CANARY1 is expired",
    "signed with eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkxIn0.CANARY1",
    "password='CANARY1'",
    "{'client_secret': 'CANARY1'}",
    "code=4/0AX4XfWh-CANARY1",
    "our own relink_CANARY1CANARY1",
    r'{"message":"refused: {\"access_token\":\"CANARY1CANARY1\",\"x\":1}"}',
    r'"{\\\"session_token\\\": \\\"ab12-CANARY1-CANARY1\\\"}"',
    r'{"access_token":"ab\/CANARY1\/CANARY1"}',
    "{'clientSecret': 'CANARY1'}",
    "sent: refresh_token%3DCANARY1%26grant_type%3Drefresh_token",
    "<ns:client_secret>CANARY1</ns:client_secret>",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQCANARY1\nCANARY1\n-----END RSA PRIVATE KEY-----",
]
KEPT = [
    "invalid_grant: expired access/refresh token",
    "Token: expired or revoked by the administrator",
    'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
    "error code: ERR_TLS_CERT_ALTNAME_INVALID",
    "The refresh token has been revoked due to inactivity",
    "AADSTS700082: The refresh token has expired due to inactivity. Trace ID: 3b2d2a1e-0000-4000-8000-000000000000",
    "Basic authentication is required",
    "session: signed out",
    "error code <b>ERR_CERTIFICATE</b>, a password > 8 characters",
    "https://api.example/orders?limit=1",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_credential_is_blanked(text: str) -> None:
    """Wherever it stands; what stands around it stays."""
    shown = blanked(text)
    assert "CANARY1" not in shown
    assert "[secret]" in shown


@pytest.mark.parametrize("text", KEPT)
def test_words_are_kept(text: str) -> None:
    """What a provider says about tokens is what a person needs to read."""
    assert blanked(text) == text


def test_the_secrets_that_we_know_are_blanked_whole_and_in_parts() -> None:
    assert blanked("you sent: Basic hunter22", ["Basic hunter22"]) == "you sent: [secret]"
    assert blanked("unknown key hunter22", ["Bearer hunter22"]) == "unknown key [secret]"
    assert blanked("Bearer is not supported", ["Bearer hunter22"]) == "Bearer is not supported"
    assert blanked("sent Bearer another.42token", ["Bearer hunter22"]) == "sent Bearer [secret]"


def test_a_token_on_the_edge_leaves_no_half_behind() -> None:
    """Blanked before it is cut."""
    for begin in range(STORED_CHARACTERS - 40, STORED_CHARACTERS):
        text = "x" * begin + ' "access_token":"' + "CANARY1" * 20 + '"'
        assert "CANARY1" not in blanked(text)


@given(st.text(alphabet="tokensecret=:\"' abc123._-{}", max_size=400))
def test_blanking_again_changes_nothing(text: str) -> None:
    assert blanked(blanked(text)) == blanked(text)


@pytest.mark.parametrize("piece", ["token=", '"access_token":', "Bearer ", "eyJ", "://a:", "a-", "1" * 20 + " token "])
def test_no_text_makes_it_slow(piece: str) -> None:
    """A megabyte of the worst takes no longer than the part that is kept."""
    began = time.process_time()
    blanked(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 1
