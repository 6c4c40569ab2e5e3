"""Not their fault: where nobody answers us, nobody but us is told."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from activities.probes.seen import Seen
from tests.monitoring.scene import API, REVOKED, TIMEOUT, WORKING, Scene
from workflows.domain.sweep import is_our_network

CLOSED = "http://127.0.0.1:1/"  # nobody listens there


async def disturbed(scene: Scene) -> tuple[int, int]:
    """Incidents, and integrations that are not healthy."""
    rows = await scene.pool.fetchval("select count(*) from integration_health where status <> 'healthy'")
    return await scene.count("incidents"), rows


async def test_our_own_failing_network_disturbs_nobody(scene: Scene) -> None:
    """All of 40 hosts silent at once, again and again: no status changes, no event; engineering is told once."""
    scene.change("people", engineering={"slack": "C0ENG", "email": "oncall@acme.example"})
    await scene.add(40, hosts=40)
    assert await scene.sweep() == 40
    scene.sees(TIMEOUT)
    for _ in range(4):
        await scene.make_due()
        assert await scene.sweep() == 40
    assert await disturbed(scene) == (0, 0)
    assert await scene.count("integration_events") == 0
    assert tuple(await scene.pool.fetchrow("select sum(probes), sum(failures) from health_metrics")) == (40, 0)
    assert await scene.count("(select from egress_outages where ended_at is null) o") == 1
    notices = await scene.pool.fetch("select channel, template, recipient, role, incident_id from deliveries")
    assert [tuple(n) for n in notices] == [("slack", "egress_outage", "C0ENG", "engineering", None)]
    scene.sees(WORKING)
    await scene.make_due()
    await scene.sweep()
    assert await scene.count("(select from egress_outages where ended_at is null) o") == 0
    assert await scene.count("deliveries") == 1


async def test_their_network_is_still_theirs(scene: Scene) -> None:
    """A third of the hosts silent is what it looks like: those are degraded, then disconnected."""
    ids = await scene.add(30, hosts=30)
    silent = set(ids[:10])

    async def answer(integration: UUID) -> Seen:
        return TIMEOUT if integration in silent else WORKING

    scene.answer = answer
    for _ in range(2):
        await scene.make_due()
        await scene.sweep()
    assert await disturbed(scene) == (10, 10)
    assert await scene.count("egress_outages") == 0


async def test_a_revocation_during_our_outage_counts(scene: Scene) -> None:
    """Whoever does answer is believed."""
    ids = await scene.add(30, hosts=30)

    async def answer(integration: UUID) -> Seen:
        return REVOKED if integration == ids[0] else TIMEOUT

    scene.answer = answer
    await scene.sweep()
    assert await disturbed(scene) == (1, 1)


async def test_few_hosts_prove_nothing_without_canaries(scene: Scene) -> None:
    """Nine silent hosts of nine may be down; with a dead canary beside them it is our network."""
    await scene.add(9, hosts=9)
    scene.sees(TIMEOUT)
    await scene.sweep()
    assert await disturbed(scene) == (0, 9)


async def test_canaries_decide(scene: Scene, httpserver: HTTPServer) -> None:
    """If one of them answers, in whatever way, the silence is theirs; if none does, it is ours."""
    [integration] = await scene.add()
    scene.sees(TIMEOUT)
    scene.change("monitoring", canaries=(CLOSED,))
    for _ in range(3):
        await scene.make_due()
        await scene.sweep()
    assert await disturbed(scene) == (0, 0)
    assert (await scene.probe(integration))["last_probe"]["outcome"] == "our_network"
    httpserver.expect_request("/canary").respond_with_data("I sing", status=500)
    scene.change("monitoring", canaries=(CLOSED, httpserver.url_for("/canary")))
    for _ in range(2):
        await scene.make_due()
        await scene.sweep()
    assert await disturbed(scene) == (1, 1)
    assert await scene.count("(select from egress_outages where ended_at is null) o") == 0


async def test_a_canary_is_left_alone_while_all_is_well(scene: Scene, httpserver: HTTPServer) -> None:
    """It is asked only when somebody does not answer."""
    scene.change("monitoring", canaries=(httpserver.url_for("/canary"),))
    await scene.add(5, API)
    await scene.sweep()
    assert httpserver.log == []


HOSTS = st.dictionaries(st.text(min_size=1), st.booleans(), max_size=40)


@given(HOSTS)
def test_the_rule(answered: Mapping[str, bool]) -> None:
    """At least ten hosts, and four of five of them silent."""
    silent = list(answered.values()).count(False)
    expected = len(answered) >= 10 and silent * 5 >= len(answered) * 4
    assert is_our_network(answered, was_it=False) == expected


@pytest.mark.parametrize(("answered", "still"), [({}, True), ({"a": False}, True), ({"a": True}, False)])
def test_once_found_it_ends_with_an_answer(answered: Mapping[str, bool], still: bool) -> None:
    """No news is no good news."""
    assert is_our_network(answered, was_it=True) is still
