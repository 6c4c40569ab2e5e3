"""`relink diagnose`: one line for each line, in order; a broken one names its field."""

from __future__ import annotations

import json

import pytest

from bench.diagnosis import failures
from starter.diagnosing import diagnose_batch, diagnose_one
from workflows.domain.diagnosis import Failure

KEYS = ["category", "connection_state", "who_fixes", "self_serve_reconnect", "confidence", "explanation", "steps"]


def test_a_batch_answers_every_line_in_order() -> None:
    """Exactly the contract's keys and vocabulary, and no placeholder."""
    rows = failures("provider_failures")
    lines = (json.dumps({name: row[name] for name in Failure.model_fields}) + "\n" for row in rows)
    answers = list(diagnose_batch(lines, "Acme"))
    assert len(answers) == len(rows)
    for row, (text, ok) in zip(rows, answers, strict=True):
        answer = json.loads(text)
        assert ok
        assert "\n" not in text
        assert list(answer) == KEYS
        assert answer["category"] == row["category"]
        assert answer["steps"]
        assert "{product_name}" not in text


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("nonsense", "JSON"),
        ("", "JSON"),
        ("[1]", "object"),
        ('{"surface":"moon"}', "surface"),
        ('{"http_status":"many"}', "http_status"),
        ('{"error_code":["x"]}', "error_code"),
        ('{"body":' + "[" * 100_000, "JSON"),
    ],
)
def test_a_broken_line_gives_an_error_in_its_place(line: str, named: str) -> None:
    """The others are answered all the same."""
    good = '{"provider":"slack","error_code":"ratelimited"}'
    answers = list(diagnose_batch([good, line, good]))
    assert [ok for _, ok in answers] == [True, False, True]
    error = json.loads(answers[1][0])
    assert list(error) == ["error"]
    assert error["error"].startswith("line 2: ")
    assert named in error["error"]
    assert len(error["error"]) < 300


def test_all_fields_may_be_missing_null_or_near_enough() -> None:
    """Numbers as codes and a body that is JSON itself are understood; what is unknown is left aside."""
    lines = [
        "{}",
        '{"provider":null,"body":null}',
        '{"error_code":3200,"http_status":"401","body":{"a":1},"id":"x"}',
        "\ufeff{}",
    ]
    assert all(ok for _, ok in diagnose_batch(lines))


def test_one_failure_by_options() -> None:
    """Readable text, or the same JSON as a line of a batch."""
    text, code = diagnose_one(
        provider="salesforce", surface="token_endpoint", error_code="INVALID_GRANT", product_name="Acme"
    )
    assert code == 0
    assert text.startswith("Salesforce: OAuth token expired and refresh failed\n")
    assert "1. Log in to Acme" in text
    as_json, code = diagnose_one(provider="salesforce", error_code="INVALID_GRANT", as_json=True)
    assert code == 0
    assert list(json.loads(as_json)) == KEYS


def test_wrong_options_are_wrong_usage() -> None:
    """Exit code 2, naming the option or saying what is needed."""
    assert diagnose_one(surface="moon", provider="slack") == (
        "surface: Input should be 'token_endpoint', 'rest_api', 'webhook', 'saml', 'oidc' or 'network'",
        2,
    )
    assert diagnose_one().exit_code == 2
