"""No change of a workflow may break what is under way: all recorded histories replay on this code."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.replay.histories import FOLDER, canaries_in, load
from workflows.disconnection import IntegrationDisconnectionResponse
from workflows.reporting import SendDigests

HISTORIES = sorted(FOLDER.glob("*.json"))

# Every path that a response, or the sending of digests, can take has its recording; a new path needs a new one.
PATHS = {
    "not_confirmed_by_the_monitor",
    "reconnected_and_verified",
    "a_failed_verification_stays_open_and_says_so",
    "an_inconclusive_check_is_made_again_later",
    "it_comes_back_by_itself",
    "a_relapse_reopens_the_same_incident_silently",
    "fixed_without_a_monitor_is_a_named_persons_word",
    "closing_by_hand_ends_everything_and_mutes",
    "removing_the_integration_cancels_its_incident",
    "the_ladder_of_each_severity",
    "acknowledged_and_forgotten_escalates_again",
    "snoozed_and_returned",
    "the_customer_is_reminded_after_a_day_and_after_three",
    "recovered_within_the_hold_window_nobody_hears_of_it",
    "still_broken_after_the_hold_window_people_are_told",
    "degraded_that_becomes_disconnected_runs_the_missing_steps_once",
    "our_own_fault_pages_engineering_and_spares_the_customer",
    "a_dead_token_falls_back_to_email",
    "550_goes_to_the_next_contact",
    "an_edit_that_fails_holds_nothing_up",
    "killed_and_born_again",
    "the_alert_shows_how_far_the_mail_got",
    "digests_are_sent_by_their_schedule",
    "many_csms_and_a_slack_that_slows_us_down",
}


def test_every_path_is_recorded() -> None:
    """And no recording is of a path that nobody tests any more."""
    assert {path.stem for path in HISTORIES} == PATHS


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_replays(path: Path) -> None:
    """The recorded decisions are those that this code takes."""
    workflows = [IntegrationDisconnectionResponse, SendDigests]
    replayer = Replayer(workflows=workflows, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(load(path))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_holds_nothing_that_must_not_be_kept(path: Path) -> None:
    """No name, address, token or secret (promise 14)."""
    assert canaries_in(load(path)) == []


def test_the_search_for_canaries_finds_them() -> None:
    """Inside of a payload, in whatever case."""
    history = load(HISTORIES[0])
    started = history.events[0].workflow_execution_started_event_attributes
    assert canaries_in(history) == []
    started.input.payloads[0].data = b'{"to":"BOB"}'
    assert len(canaries_in(history)) == 1
