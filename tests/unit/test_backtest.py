"""What another policy would have made of the past, told so that a company can decide by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.policy import load_policy
from workflows.contracts import Kind, Resolution
from workflows.domain.backtest import BackTest, Comparison
from workflows.domain.backtest_facts import Customer, Event, Incident, Integration, Reaction, Says
from workflows.domain.backtest_play import Play
from workflows.domain.playbook import WhoFixes
from workflows.domain.policy import Policy, Severity
from workflows.domain.status import Effect, Observation, Weight

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = START + timedelta(days=20)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CRM = UUID(int=1)


def policy(**tables: Any) -> Policy:
    wanted = load_policy().model_dump(mode="json")
    for name, table in tables.items():
        wanted[name] |= table
    return Policy.model_validate(wanted)


def event(at: timedelta, effect: Effect = Effect.FAILURE, weight: Weight = Weight.RETRYABLE, of: UUID = CRM) -> Event:
    who = WhoFixes.CUSTOMER_USER if effect is Effect.FAILURE else None
    return Event(START + at, of, Observation(START + at, effect, weight), who)


def down(at: timedelta, lasts: timedelta, of: UUID = CRM) -> list[Event]:
    """A connection that is gone and comes back."""
    return [event(at, weight=Weight.TERMINAL, of=of), event(at + lasts, Effect.SUCCESS, of=of)]


def customer(*events: Event, integrations: int = 1, reactions: tuple[Reaction, ...] = (), **more: Any) -> Customer:
    known = tuple(Integration(UUID(int=n), f"CRM {n}", is_critical=True, **more) for n in range(1, integrations + 1))
    ordered = tuple(sorted(events, key=lambda event: event.at))
    return Customer(uuid4(), "TechCorp", 200_000, True, True, True, known, ordered, reactions)


def against(changed: Policy, *customers: Customer, current: Policy | None = None) -> Comparison:
    test = BackTest(current or policy(), changed, START, END)
    for each in customers:
        test.add(each)
    return test.result()


def test_nothing_changed_changes_nothing() -> None:
    """The same policy: the same figures, nothing missed, fewer or added."""
    found = against(policy(), customer(*down(HOUR, 30 * HOUR)))
    assert found.current == found.changed
    assert (found.missed, found.fewer, found.added) == ((), (), ())
    assert found.summary == "3 → 3 mails, as many incidents, 0 missed, slowest detection unchanged"


def test_what_one_disconnection_comes_to() -> None:
    """An alert, two escalation steps of which one can be reached, a mail, a reminder after a day, an all-clear."""
    [incident] = Play(customer(*down(HOUR, 30 * HOUR)), policy(), END).run()
    assert (incident.severity, incident.kind, incident.resolution) == (
        Severity.CRITICAL, Kind.DISCONNECTED, Resolution.REPORTED,
    )  # fmt: skip
    assert (incident.alerts, incident.first_mails, incident.reminders, incident.all_clears) == (1, 1, 1, 1)
    assert (incident.escalations, incident.pages) == (1, 0)
    assert incident.closed_at is not None
    assert timedelta(minutes=10) <= incident.closed_at - START - 31 * HOUR < timedelta(minutes=11)


def test_a_hold_that_rides_out_blips() -> None:
    """Fewer messages about what recovers by itself, nothing missed, and the rest is told later by that much."""
    blips = [event for n in range(5) for event in down(n * DAY, 2 * MINUTE)]
    found = against(policy(notify={"hold": "6m"}), customer(*blips, *down(8 * DAY, 5 * HOUR)))
    assert found.summary == (
        "12 → 2 mails, as many incidents, 0 missed, slowest detection unchanged, slowest first notice +6 min"
    )
    assert len(found.fewer) == 5
    assert found.fewer[0].reason == "recovers within notify.hold (6m), so nobody is told"


def test_what_would_be_missed_is_named() -> None:
    """A failure that came twice and stayed: three in a row are asked for now, so nobody would have heard of it."""
    stays = [event(HOUR), event(HOUR + MINUTE), event(20 * HOUR, Effect.SUCCESS)]
    passes = [event(5 * DAY), event(5 * DAY + MINUTE), event(5 * DAY + 3 * MINUTE, Effect.SUCCESS)]
    found = against(policy(detection={"confirm_failures": 3}), customer(*stays, *passes))
    [missed], [fewer] = found.missed, found.fewer
    assert (missed.customer, missed.integration, missed.severity) == ("TechCorp", "CRM 1", Severity.CRITICAL)
    assert missed.reason == "2 failures in a row; detection.confirm_failures is 3"
    assert missed.lasted >= 18 * HOUR
    assert fewer.opened_at == START + 5 * DAY
    assert "2 incidents fewer, 1 missed" in found.summary


def test_what_is_told_much_later_is_missed_too() -> None:
    """Two failures that stay, of which people would only hear a day later, as of something that limps."""
    found = against(policy(detection={"confirm_failures": 3}), customer(event(HOUR), event(HOUR + MINUTE)))
    [missed] = found.missed
    assert missed.reason == "first notice 23 h 59 min later"


def test_a_third_failure_is_detected_later() -> None:
    """Six minutes after the second one."""
    events = [event(HOUR), event(HOUR + MINUTE), event(HOUR + 7 * MINUTE), event(9 * HOUR, Effect.SUCCESS)]
    found = against(policy(detection={"confirm_failures": 3}), customer(*events))
    assert found.missed == ()
    assert found.summary.endswith("slowest detection +6 min, slowest first notice +6 min")


def test_what_limps_is_added_or_left_out() -> None:
    """By detection.degraded_alert_after, with the reason."""
    limps = [event(HOUR, weight=Weight.LIMPING), event(13 * HOUR, Effect.SUCCESS)]
    found = against(policy(detection={"degraded_alert_after": "6h"}), customer(*limps))
    [added] = found.added
    assert added.reason == "degraded for longer than 6h"
    assert added.severity is Severity.LOW
    back = against(policy(), customer(*limps), current=policy(detection={"degraded_alert_after": "6h"}))
    [missed] = back.missed
    assert missed.reason == "degraded for 12 h; detection.degraded_alert_after is 1d"


def test_a_monitor_s_looks_go_on() -> None:
    """Where its incident was open, failing looks were not stored: they are what would have confirmed a third time."""
    real = Incident(
        CRM, Kind.DISCONNECTED, Severity.CRITICAL, START + HOUR, START + HOUR + MINUTE, alerted_at=START + HOUR,
        closed_at=START + 5 * HOUR, resolution=Resolution.VERIFIED, id=uuid4(),
    )  # fmt: skip
    seen = ((START + HOUR, False), (START + 4 * HOUR, True))
    events = [event(HOUR), event(HOUR + MINUTE), event(4 * HOUR, Effect.SUCCESS)]
    watched = customer(*events, monitored=True, seen_working=seen, incidents=(real,))
    [incident] = Play(watched, policy(detection={"confirm_failures": 3}), END).run()
    assert incident.detected_at == START + HOUR + MINUTE + timedelta(seconds=30)
    assert incident.resolution is Resolution.VERIFIED


def test_what_our_own_look_did_not_confirm_stays_so() -> None:
    """Nobody is told of it under any policy."""
    real = Incident(
        CRM, Kind.DISCONNECTED, Severity.CRITICAL, START + HOUR, START + HOUR, closed_at=START + HOUR + MINUTE,
        resolution=Resolution.NOT_CONFIRMED, id=uuid4(),
    )  # fmt: skip
    [incident] = Play(
        customer(event(HOUR, weight=Weight.TERMINAL), monitored=True, incidents=(real,)), policy(), END
    ).run()
    assert (incident.resolution, incident.alerts, incident.mails) == (Resolution.NOT_CONFIRMED, 0, 0)


def test_integrations_that_break_together_are_one_mail() -> None:
    """As they are in the service; with "0s" each has its own."""
    events = [e for n in (1, 2, 3) for e in down(HOUR + n * timedelta(milliseconds=100), 9 * HOUR, UUID(int=n))]
    found = against(
        policy(customer={"min_between_mails": "0s", "group_within": "0s"}), customer(*events, integrations=3)
    )
    assert (found.current.first_mails, found.changed.first_mails) == (1, 3)
    assert found.current.all_clears == 3


def test_people_react_to_what_they_are_told() -> None:
    """Twenty minutes after the notice, whenever that comes; and not at all where nobody would have been told."""
    real = Incident(
        CRM, Kind.DISCONNECTED, Severity.CRITICAL, START + HOUR, START + HOUR, alerted_at=START + HOUR, id=uuid4()
    )
    ack = Reaction(START + HOUR + 20 * MINUTE, CRM, Says.ACKNOWLEDGED, real.id, 20 * MINUTE)
    acted = customer(event(HOUR, weight=Weight.TERMINAL), reactions=(ack,), incidents=(real,))
    ladder = {"critical": {"steps": [{"after": "15m", "to": "csm_manager"}], "ack_timeout": "30d"}}
    quick, slow = policy(escalation=ladder), policy(notify={"hold": "2h"})
    assert [i.escalations for i in Play(acted, quick, END).run()] == [1]  # the manager, before the acknowledgement
    assert [i.escalations for i in Play(acted, policy(), START + 5 * HOUR).run()] == [0]
    assert [i.escalations for i in Play(acted, slow, START + 5 * HOUR).run()] == [0]


@pytest.mark.parametrize("reminders", [[], ["1h"], ["1h", "2h", "3h"]])
def test_reminders(reminders: list[str]) -> None:
    """As many as have come due."""
    [incident] = Play(customer(*down(HOUR, 10 * HOUR)), policy(customer={"reminders": reminders}), END).run()
    assert incident.reminders == len(reminders)


MOMENTS = st.lists(
    st.tuples(
        st.integers(0, 15 * 24 * 60),
        st.sampled_from([Effect.FAILURE, Effect.SUCCESS, Effect.HINT, Effect.RATE_LIMIT, Effect.NOTE]),
        st.sampled_from(list(Weight)),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(MOMENTS, st.integers(1, 4), st.integers(0, 90), st.booleans())
def test_any_past_can_be_played(
    moments: list[tuple[int, Effect, Weight, int]], confirm: int, hold: int, auto_send: bool
) -> None:
    """It ends; at most one incident of an integration is open at a time; nobody hears before it is detected; and a
    policy that is compared with itself differs in nothing."""
    events = [event(n * MINUTE, effect, weight, UUID(int=of)) for n, effect, weight, of in moments]
    past = customer(*events, integrations=3)
    rules = policy(
        detection={"confirm_failures": confirm}, notify={"hold": f"{hold}m"}, customer={"auto_send": auto_send}
    )
    played = Play(past, rules, END).run()
    for one in range(1, 4):
        mine = [i for i in played if i.integration == UUID(int=one)]
        assert all(a.closed_at and a.closed_at <= b.detected_at for a, b in pairwise(mine))
    assert all(i.opened_at <= i.detected_at for i in played)
    assert all(i.alerted_at is None or i.alerted_at >= i.detected_at + hold * MINUTE for i in played)
    found = against(rules, past, current=rules)
    assert found.current == found.changed
    assert (found.missed, found.fewer, found.added) == ((), (), ())
