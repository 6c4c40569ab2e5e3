"""Whatever a stranger's server sends: a diagnosis, quickly, with nothing of it in the texts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.playbooks import load_catalogue
from workflows.domain.diagnosis import Failure, Surface, diagnose

PIECES = [
    '{"error":', "[", "{", "}", '"', "<a ", "</a>", "<script>", "&amp;", "error=", "code: ", "AADSTS", "50173", "²²²",
    "status 4٠1", "invalid_grant", "user account token app ", "rate limit", "\ud7ff", "\x00", "\\u0000", "a_a_a_",
    "{provider}", "{product_name}",
]  # fmt: skip
texts = st.none() | st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
failures = st.builds(
    Failure,
    provider=st.none() | st.text(max_size=40) | st.sampled_from(["salesforce", "Entra", "google", "SAML", "webhook"]),
    surface=st.none() | st.sampled_from(Surface),
    http_status=st.none() | st.integers(),
    error_code=texts,
    error_description=texts,
    body=texts,
)


@settings(max_examples=400, deadline=None)
@given(failures)
def test_every_failure_has_a_diagnosis(failure: Failure) -> None:
    """Total: no input raises, every text is there, and the customer's page never shows the raw error."""
    found = diagnose(failure, load_catalogue())
    assert 0 <= found.confidence <= 1
    for text in (found.provider_name, found.reason, found.explanation, found.customer_reason):
        assert text.strip()
    for lines in (found.steps, found.impact, found.customer_steps):
        assert lines
        assert all(line.strip() for line in lines)
    assert "{provider}" not in found.model_dump_json()


HOSTILE = {
    "brackets": "[" * 500_000,
    "braces": '{"a":' * 100_000,
    "tags": "<a " * 300_000,
    "open tags": "<" * 1_000_000,
    "long names": "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaa:" * 30_000,
    "scripts": "<script>" * 100_000,
    "entities": "&amp;" * 300_000,
    "underscores": "a_" * 500_000,
    "pairs": "a=b&" * 250_000,
    "colons": "error:" * 150_000,
    "blanks": " " * 1_000_000 + "x",
    "words of the rules": "user account token app session ip admin scope limit not invalid " * 20_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_body_is_slow(body: str) -> None:
    """Linear in a capped input: a quarter of a second of the processor is fifty times what the worst of these takes."""
    catalogue = load_catalogue()
    start = time.process_time()
    for surface in ("saml", "rest_api", "webhook"):
        diagnose(Failure(provider=body, surface=Surface(surface), error_description=body, body=body), catalogue)
    assert time.process_time() - start < 0.75


def test_nothing_of_the_failure_reaches_a_text() -> None:
    """The name is the only thing taken from outside, and only its letters and digits."""
    evil = "<script>alert(1)</script> {product_name} {0.__class__} *bold* <!channel>"
    found = diagnose(Failure(provider=evil, error_code=evil, error_description=evil, body=evil), load_catalogue())
    shown = found.model_dump_json()
    assert "<" not in shown
    assert "alert(" not in shown
    assert "{0" not in shown
    assert len(found.provider_name) <= 70
