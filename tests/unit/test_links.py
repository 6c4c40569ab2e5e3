"""Signed links: only ours, only for their purpose, only for their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.links import LIFETIMES, BadTokenError, ExpiredTokenError, Links, Purpose

NOW = datetime(2026, 1, 29, 10, 45, tzinfo=UTC)
SECRET, NEW_SECRET = "a-secret-of-at-least-thirty-two-characters", "another-secret-of-thirty-two-characters"
LINKS = Links("https://relink.example/", [SECRET])
INCIDENT, PERSON = uuid4(), uuid4()


def _token(purpose: Purpose = Purpose.RECONNECT, person: UUID | None = PERSON) -> str:
    return LINKS.sign(purpose, INCIDENT, person, NOW)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("person", [PERSON, None])
def test_says_what_it_was_made_for(purpose: Purpose, person: UUID | None) -> None:
    token = LINKS.read(purpose, _token(purpose, person), NOW)
    assert (token.subject, token.person) == (INCIDENT, person)
    assert token.expires_at == NOW + LIFETIMES[purpose]


def test_addresses() -> None:
    """Under the public URL, safe to be put into a URL, without anything that must not be read."""
    reconnect, status = LINKS.reconnect(INCIDENT, PERSON, NOW), LINKS.status(INCIDENT, NOW)
    assert reconnect.startswith("https://relink.example/r/")
    assert LINKS.returned(INCIDENT, PERSON, NOW).endswith("/returned")
    assert status.startswith(f"https://relink.example/integrations/{INCIDENT}?token=")
    assert set(_token()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("made_for", Purpose)
@pytest.mark.parametrize("used_for", Purpose)
def test_is_good_for_its_purpose_only(made_for: Purpose, used_for: Purpose) -> None:
    if made_for is used_for:
        return
    with pytest.raises(BadTokenError):
        LINKS.read(used_for, _token(made_for), NOW)


@pytest.mark.parametrize("purpose", Purpose)
def test_ends(purpose: Purpose) -> None:
    """To the second; then it still says what it was for, so that the page can."""
    token, end = _token(purpose), NOW + LIFETIMES[purpose]
    LINKS.read(purpose, token, end - timedelta(seconds=1))
    with pytest.raises(ExpiredTokenError) as expired:
        LINKS.read(purpose, token, end)
    assert expired.value.token.subject == INCIDENT


def test_any_change_of_any_character_is_noticed() -> None:
    """Base64 spells the last byte in several ways: only one of them is ours."""
    token = _token()
    for place, before in enumerate(token):
        for after in "AQgwBCx_-9":
            if after != before:
                with pytest.raises(BadTokenError):
                    LINKS.read(Purpose.RECONNECT, token[:place] + after + token[place + 1 :], NOW)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t + "=", lambda t: " " + t, lambda _: ""]
)
def test_other_lengths_are_refused(change: object) -> None:
    with pytest.raises(BadTokenError):
        LINKS.read(Purpose.RECONNECT, change(_token()), NOW)  # type: ignore[operator]


@given(st.text() | st.binary().map(lambda b: b.hex()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadTokenError):
        LINKS.read(Purpose.RECONNECT, text, NOW)


def test_another_secret_is_refused() -> None:
    with pytest.raises(BadTokenError):
        Links("https://relink.example", [NEW_SECRET]).read(Purpose.RECONNECT, _token(), NOW)


def test_links_live_through_a_rotation_of_the_secret() -> None:
    """What the old one signed is good as long as it is listed; the new one signs."""
    rotated = Links("https://relink.example", [NEW_SECRET, SECRET])
    assert rotated.read(Purpose.RECONNECT, _token(), NOW).subject == INCIDENT
    renewed = rotated.sign(Purpose.RECONNECT, INCIDENT, PERSON, NOW)
    assert Links("https://relink.example", [NEW_SECRET]).read(Purpose.RECONNECT, renewed, NOW).subject == INCIDENT
    with pytest.raises(BadTokenError):
        LINKS.read(Purpose.RECONNECT, renewed, NOW)
