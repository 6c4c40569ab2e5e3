"""What looks lead to: only what changes something is news, and a disconnected integration has an open incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.db.incidents import IncidentStore
from activities.events import Event
from activities.probes.seen import EndpointSeen, Seen
from tests.monitoring.scene import API, REVOKED, TIMEOUT, UNAVAILABLE, WORKING, Scene, failing
from workflows.contracts import Check
from workflows.domain.diagnosis import ConnectionState, Surface

HEARTBEAT = {"kind": "heartbeat", "every": "1h"}
HALF = Seen(
    Check.DEGRADED,
    "1 of 2 endpoints did not answer as expected",
    UNAVAILABLE.failure,
    UNAVAILABLE.diagnosis,
    endpoints=(EndpointSeen("contacts", Check.WORKING, 200), EndpointSeen("deals", Check.BROKEN, 403)),
)


async def see(scene: Scene, *seen: Seen) -> None:
    """One sweep for each of these."""
    for each in seen:
        scene.sees(each)
        await scene.make_due()
        assert await scene.sweep() == 1


async def events(scene: Scene) -> list[tuple[str, str]]:
    rows = await scene.pool.fetch("select event_type, effect from integration_events order by seq")
    return [(row["event_type"], row["effect"]) for row in rows]


async def incident(scene: Scene) -> Any:
    row = await scene.pool.fetchrow("select * from incidents order by number desc limit 1")
    assert row is not None
    return row


async def report(scene: Scene, integration: UUID, event_type: str, **more: Any) -> None:
    """Something that the product itself reports."""
    row = await scene.health(integration)
    about = {name: row[name] for name in ("customer_id", "integration_type", "integration_id")}
    await scene.events.take([Event.model_validate({"event_type": event_type, **about, **more})])


async def test_a_revoked_grant_opens_an_incident_at_once(scene: Scene) -> None:
    """With the provider's own words as evidence; its bell is rung, once."""
    [integration] = await scene.add()
    await see(scene, WORKING, REVOKED)
    row = await incident(scene)
    assert (row["status"], row["kind"], row["error_code"]) == ("open", "disconnected", "invalid_grant")
    assert row["category"] == "refresh_failed" or row["category"].startswith("token_")
    assert scene.bells.rung == [row["id"]]
    assert (await scene.health(integration))["status"] == "disconnected"
    assert await events(scene) == [("auth_failure", "failure")]


async def test_a_broken_connection_stays_quiet(scene: Scene) -> None:
    """Further failures of an open incident are counted, and wake nobody."""
    [integration] = await scene.add()
    await see(scene, REVOKED, REVOKED, TIMEOUT, REVOKED)
    row, health = await incident(scene), await scene.health(integration)
    assert row["occurrences"] == health["failure_count"] == 4
    assert health["last_failure_at"] == (await scene.probe(integration))["probed_at"]
    assert len(scene.bells.rung) == len(await events(scene)) == 1


async def test_working_again_hints_at_the_recovery(scene: Scene) -> None:
    """The incident's workflow is told to verify; until it has, the integration stays disconnected."""
    [integration] = await scene.add()
    await see(scene, REVOKED, WORKING)
    row = await incident(scene)
    assert row["status"] == "open"
    assert row["hint_seq"] > row["checked_seq"]
    assert len(scene.bells.rung) == 2
    assert (await scene.health(integration))["status"] == "disconnected"


async def test_a_relapse_inside_the_quiet_window_is_news(scene: Scene) -> None:
    """While a repair is on probation every failure counts, also one that may pass."""
    [integration] = await scene.add()
    await see(scene, REVOKED, WORKING)
    row, health = await incident(scene), await scene.health(integration)
    await IncidentStore(scene.pool).record_check(
        row["id"], Check.WORKING, datetime.now(UTC), seen_hint=row["hint_seq"],
        seen_failure=health["last_failure_at"], detail="ok",
    )  # fmt: skip
    assert (await incident(scene))["status"] == "recovering"
    await see(scene, WORKING)
    assert len(await events(scene)) == 2, "a healthy look changes nothing"
    await see(scene, TIMEOUT)
    assert (await incident(scene))["status"] == "open"
    assert (await incident(scene))["relapses"] == 1


async def test_two_failures_in_a_row_confirm_and_a_success_between_does_not(scene: Scene) -> None:
    """Time-outs and 5xx are degraded until confirm_failures of them came in a row."""
    [integration] = await scene.add()
    await see(scene, TIMEOUT, WORKING, UNAVAILABLE, WORKING, TIMEOUT)
    assert await scene.count("incidents") == 0
    assert (await scene.health(integration))["status"] == "degraded"
    await see(scene, UNAVAILABLE)
    assert (await incident(scene))["kind"] == "disconnected"


async def test_recovery_can_be_made_to_take_several_looks(scene: Scene) -> None:
    """detection.confirm_recoveries = 3: the third good look in a row makes a degraded integration healthy."""
    scene.change("detection", confirm_recoveries=3)
    [integration] = await scene.add()
    statuses = []
    for seen in (UNAVAILABLE, WORKING, WORKING, WORKING):
        await see(scene, seen)
        statuses.append((await scene.health(integration))["status"])
    assert statuses == ["degraded", "degraded", "degraded", "healthy"]


async def test_an_unsure_finding_waits_for_a_second_one(scene: Scene) -> None:
    """What only reads like a dead connection is counted like any other trouble."""
    [integration] = await scene.add()
    assert REVOKED.diagnosis is not None
    assert REVOKED.diagnosis.connection_state is ConnectionState.DISCONNECTED
    await see(scene, replace(REVOKED, check=Check.INCONCLUSIVE))
    assert (await scene.health(integration))["status"] == "degraded"
    assert await scene.count("incidents") == 0


async def test_partial_failure_names_the_endpoints(scene: Scene) -> None:
    """FR-1.6: degraded, with the failing endpoint in the event, and one event however often it is seen."""
    [integration] = await scene.add()
    await see(scene, HALF, HALF, HALF)
    row = await scene.pool.fetchrow("select * from integration_events")
    assert row is not None
    assert (row["event_type"], row["new_status"], row["endpoint"]) == (
        "integration_status_changed",
        "degraded",
        "deals",
    )
    assert await scene.count("integration_events") == 1
    assert (await scene.health(integration))["status"] == "degraded"
    probe = await scene.probe(integration)
    assert [e["name"] for e in probe["last_probe"]["endpoints"]] == ["contacts", "deals"]
    both = replace(HALF, endpoints=(EndpointSeen("contacts", Check.BROKEN, 403), *HALF.endpoints[1:]))
    await see(scene, both)
    assert await scene.count("integration_events") == 2, "other endpoints are news"
    assert await scene.count("incidents") == 0


async def test_limping_does_not_count_towards_a_disconnection(scene: Scene) -> None:
    """Hours of partial failure and one time-out are not two failures in a row."""
    await scene.add()
    await see(scene, HALF, HALF, TIMEOUT)
    assert await scene.count("incidents") == 0


async def test_a_success_reported_in_between_does_not_restart_the_clock_of_degradation(scene: Scene) -> None:
    """Degraded for a day is a day of our looks, though the product's own syncs succeed now and then."""
    [integration] = await scene.add()
    await see(scene, HALF)
    began_at = (await scene.health(integration))["degraded_since"]
    await report(scene, integration, "sync_succeeded")
    assert (await scene.health(integration))["status"] == "healthy"
    await see(scene, HALF)
    assert (await scene.health(integration))["degraded_since"] == began_at
    await see(scene, WORKING, HALF)
    assert (await scene.health(integration))["degraded_since"] > began_at


async def test_what_could_not_be_looked_at_is_visible_and_nobody_s_failure(scene: Scene) -> None:
    """A forbidden address, an unreadable secret: no event, no status, but the row says what is wrong."""
    [integration] = await scene.add()
    await see(scene, WORKING, Seen(Check.INCONCLUSIVE, "10.0.0.1 is not a public address"))
    probe = await scene.probe(integration)
    assert probe["last_probe"]["detail"] == "10.0.0.1 is not a public address"
    assert probe["last_probe"]["outcome"] == "unknown"
    assert (await scene.health(integration))["status"] == "healthy"
    assert await scene.count("integration_events") == 0


async def test_a_silent_heartbeat_is_told_in_its_own_words(scene: Scene) -> None:
    """A passive monitor's finding keeps its diagnosis: nobody is asked to reconnect what merely stopped calling."""
    [integration] = await scene.add(1, HEARTBEAT)
    silent = failing(Check.BROKEN, surface=Surface.REST_API, error_code="heartbeat_missed")
    assert silent.diagnosis is not None
    words = {"reason": "Went silent", "who_fixes": "customer_admin"}
    told = silent.diagnosis.model_copy(update={"connection_state": ConnectionState.DISCONNECTED, **words})
    await see(scene, replace(silent, diagnosis=told))
    row = await incident(scene)
    assert (row["failure_reason"], row["who_fixes"]) == ("Went silent", "customer_admin")
    await see(scene, replace(silent, diagnosis=told))
    assert await scene.count("incidents") == 1
    assert len(scene.bells.rung) == 1
    assert (await scene.probe(integration))["host"] is None


async def test_a_passive_success_is_no_evidence(scene: Scene) -> None:
    """A heartbeat monitor reads last_successful_sync; it must not write it, or it would feed itself."""
    [integration] = await scene.add(1, HEARTBEAT)
    await see(scene, WORKING, WORKING)
    row = await scene.health(integration)
    assert row["last_successful_sync"] is row["last_success_at"] is None


async def test_closed_by_hand_stays_quiet_until_it_works(scene: Scene) -> None:
    """Muted: failures open nothing and are no events; the first success unmutes."""
    [integration] = await scene.add()
    await see(scene, REVOKED)
    await scene.pool.execute("update incidents set status = 'closed', resolution = 'false_alarm', closed_at = now()")
    await scene.pool.execute("update integration_health set muted = true, last_closed_at = now()")
    await see(scene, REVOKED, REVOKED)
    assert await scene.count("incidents") == await scene.count("integration_events") == 1
    await see(scene, WORKING)
    row = await scene.health(integration)
    assert (row["status"], row["muted"]) == ("healthy", False)
    await see(scene, REVOKED)
    assert await scene.count("incidents") == 2


async def test_level_not_edge(scene: Scene) -> None:
    """An integration that is disconnected without an open incident gets one, whatever lost it; but not a muted one."""
    ids = await scene.add(3, API | {"paused": True})
    await scene.pool.execute("update integration_health set status = 'disconnected'")
    await scene.pool.execute("update integration_health set muted = true where id = $1", ids[1])
    await scene.pool.execute("update integration_health set removed_at = now() where id = $1", ids[2])
    await scene.pool.execute(
        "insert into integration_events (customer_id, integration_type, event_type, error_details,"
        " integration_health_id, source, event_id, occurred_at, effect)"
        " select customer_id, integration_type, 'auth_failure', $2, id, 'api', '1', now(), 'failure'"
        " from integration_health where id = $1",
        ids[0],
        {"code": "invalid_grant", "http_status": 400, "surface": "token_endpoint"},
    )
    assert await scene.sweep() == 0
    assert await scene.sweep() == 0
    rows = await scene.pool.fetch("select integration_health_id, error_code from incidents")
    assert [tuple(row) for row in rows] == [(ids[0], "invalid_grant")]
    assert len(scene.bells.rung) == 1


@pytest.mark.parametrize("body", ["nul \x00 inside", "half a pair \ud83d", "x" * 100_000])
async def test_whatever_a_peer_says_can_be_stored(scene: Scene, body: str) -> None:
    """Hostile answers are recorded like all others."""
    [integration] = await scene.add()
    seen = failing(surface=Surface.REST_API, http_status=503, error_code=body, error_description=body, body=body)
    await see(scene, replace(seen, detail=body[:300]))
    assert (await scene.health(integration))["status"] == "degraded"


async def test_a_result_that_can_t_be_written_holds_up_nobody(scene: Scene) -> None:
    """Of a batch in which one look can't be recorded, all others are."""
    ids = await scene.add(8)
    bad = ids[5]

    async def answer(integration: UUID) -> Seen:
        return replace(WORKING, latency="not a span") if integration == bad else WORKING  # type: ignore[arg-type]

    scene.answer = answer
    assert await scene.sweep() == 7
    assert (await scene.probe(bad))["probed_at"] is None
    assert (await scene.probe(bad))["due_at"] > datetime.now(UTC) + timedelta(minutes=1), "its claim runs out"
