"""How activities are called: named once, splatted into the calls."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

from workflows.contracts import PROBE_TASK_QUEUE

# Short, idempotent work on our own database. Retried until it is back.
DATABASE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)),
)

# The same, for what an operator loses nothing by not seeing as an event of its own.
SITUATION = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=30),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)),
    local_retry_threshold=timedelta(seconds=5),
)

# Telling somebody: longer than the HTTP and SMTP time-outs, shorter than the ledger's lease (15 s).
NOTIFY = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=12),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
)

# Looking at a connection, on a queue of its own: slow providers never delay a notice.
PROBE = ActivityConfig(
    task_queue=PROBE_TASK_QUEUE,
    start_to_close_timeout=timedelta(seconds=120),
    heartbeat_timeout=timedelta(seconds=8),  # a killed worker is noticed within this
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
)

# Editing the CSM's message is worth some patience, but must not hold up what comes after it.
EDIT = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=12),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=4),
)

# No later edit makes up for the last one: a message that went on saying "disconnected" would be wrong for ever.
LAST_EDIT = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=12),
    schedule_to_close_timeout=timedelta(days=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)


def named(options: ActivityConfig, summary: str) -> ActivityConfig:
    """The same options with the words that an operator reads beside the activity in the Temporal UI."""
    return {**options, "summary": summary}
