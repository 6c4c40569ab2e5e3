"""Any value at any place of any body, and any value in any query: never a 5xx (promise 15)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.api.calling import Api

TEXTS = [
    "", " ", "x" * 10_000, "\x00", "\x7f\x1b[31m", "\u202e", "é" * 200, "' or 1=1; drop table incidents; --",
    "<script>",
    "{{7*7}}", "{product_name}", "{0.__class__}", "%s%n", "../../etc/passwd", "\r\nBcc: x", "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "999999999d", "0s", "http://[", "http://[::1",
    "https://\u2603.example", "https://xn--", "http://a:99999/", "https://example.com:0/%", "5f0c7ae0-0000-4000-8000-0",
]  # fmt: skip
NUMBERS: list[Any] = [True, -1, 0, 7, 10**18, 10**19, 10**400, 1e308, -0.0]
HOSTILE: list[Any] = [
    *TEXTS, *NUMBERS, None, [], {}, [[]], [None], ["a"] * 100, {"set": True}, {"set": "x"}, {"": ""},
    {"a": {"b": {"c": [1, 2, {"d": None}]}}},
]  # fmt: skip

PERSON = {"name": "Dana", "email": "dana@acme.example", "slack_user_id": "U0DANA", "timezone": "UTC"}
CONTACT = {"name": "Bob", "email": "bob@t.example", "role": "IT", "timezone": "UTC", "locale": "en"}
ENDPOINT = {
    "name": "ping",
    "method": "GET",
    "url": "https://a.example",
    "expect_status": 200,
    "expect_json": {"a": 1},
    "max_latency": "3s",
}
API_MONITOR = {"kind": "api", "headers": {"A": "b"}, "interval": "5m", "endpoints": [ENDPOINT]}
OAUTH_MONITOR = {
    "kind": "oauth2",
    "token_url": "https://a.example",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "r",
    "scopes": ["a"],
    "introspection_url": "https://a.example",
    "paused": False,
}
NAMED = {"customer_external_id": "techcorp", "integration_type": "salesforce", "integration_id": "fuzzed"}
EVENT = NAMED | {
    "event_id": "e",
    "source": "s",
    "event_type": "sync_error",
    "occurred_at": "2026-01-29T10:00:00Z",
    "endpoint": "e",
    "error": {"code": "c", "message": "m", "http_status": 500, "surface": "rest_api", "body": "b"},
}
INTEGRATION = {"display_name": "X", "is_critical": True, "self_serve": True, "reconnect_url": "https://a.example/r"}
CUSTOMER = {
    "name": "F",
    "arr": 1,
    "health_score": 1,
    "csm": PERSON | {"manager": PERSON},
    "technical_contacts": [CONTACT],
}
INCIDENT = "/v1/incidents/{incident}"
VALID: list[tuple[str, str, Any]] = [
    (
        "PUT",
        "/v1/customers/fuzzed",
        {
            "name": "F",
            "arr": 1,
            "health_score": 1,
            "csm": PERSON | {"manager": PERSON},
            "technical_contacts": [CONTACT],
        },
    ),
    ("PUT", "/v1/customers/techcorp/integrations/custom_api/fuzzed", INTEGRATION | {"monitor": API_MONITOR}),
    ("PUT", "/v1/customers/techcorp/integrations/salesforce/fuzzed", INTEGRATION | {"monitor": OAUTH_MONITOR}),
    ("POST", "/v1/events", EVENT),
    ("POST", "/v1/events", [EVENT]),
    ("POST", "/v1/callbacks/reconnected", NAMED | {"event_id": "cb", "occurred_at": "2026-01-29T10:00:00Z"}),
    ("POST", f"{INCIDENT}/acknowledge", {"by": "x"}),
    ("POST", f"{INCIDENT}/snooze", {"by": "x", "for": "1h"}),
    ("POST", f"{INCIDENT}/snooze", {"by": "x", "until": "2026-01-29T10:00:00Z"}),
    ("POST", f"{INCIDENT}/resolve", {"by": "x", "reason": "fixed", "note": "n"}),
    ("POST", f"{INCIDENT}/send-fix-instructions", {"by": "x", "contact": CONTACT}),
    ("POST", f"{INCIDENT}/schedule-tech-call", {"by": "x", "contact_id": "5f0c7ae0-0000-4000-8000-000000000000"}),
]
QUERIES = ("status", "customer", "integration_type", "severity", "limit", "cursor", "removed", "nonsense")
TRIES = 4  # values at each place in one run


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a body, the body itself too."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from places(item, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    changed = value.copy()
    changed[path[0]] = replaced(value[path[0]], path[1:], by)
    return changed


async def test_no_value_at_any_place_of_a_body_is_answered_with_a_5xx(api: Api) -> None:
    """A failure names the seed and the request."""
    await api.customer()
    incident = await api.incident()
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for method, path, body in VALID:
        for place in places(body):
            for value in chance.sample(HOSTILE, TRIES):
                sent = json.dumps(replaced(body, place, value))
                response = await api.http.request(
                    method, path.format(incident=incident), content=sent, headers={"Content-Type": "application/json"}
                )
                assert response.status_code < 500, (seed, method, path, sent[:500], response.text)


async def test_no_value_in_a_query_is_answered_with_a_5xx(shared: Api) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for path in ("/v1/incidents", "/v1/integrations", "/v1/customers"):
        for name in QUERIES:
            for value in chance.sample([*TEXTS, *map(str, NUMBERS)], 2 * TRIES):
                response = await shared.http.get(path, params={name: value[:3000]})
                assert response.status_code < 500, (seed, path, name, value, response.text)
