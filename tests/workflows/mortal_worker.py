"""A worker that dies by os._exit at the points that a test names, and is born again.

`python -m tests.workflows.mortal_worker` imports everything once and then forks a life for each line on its standard
input, `{"identity", "environment", "points"}`; so a death and a new life cost a fraction of a second. It answers
`born PID`, `dying POINT` and `dead`. A point is `ACTIVITY:before`, `ACTIVITY:after`, or, with what happens inside of an
activity, `ACTIVITY/claim:after`, `ACTIVITY/post:before`, …
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiosmtplib
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
)

import worker
from activities.db.digest import DigestStore
from activities.db.ledger import Ledger
from activities.db.pool import create_pool
from activities.playbooks import load_catalogue
from activities.policy import PolicySource
from activities.rendering import Renderer
from activities.settings import Settings
from activities.slack import SlackSender
from starter.schedules import Keeper
from worker import REQUIRED, activities, methods
from workflows.contracts import TASK_QUEUE
from workflows.disconnection import IntegrationDisconnectionResponse
from workflows.reporting import SendDigests


class Death(Interceptor):
    """Ends the process at the named points."""

    def __init__(self, points: list[str]) -> None:
        self._points = points

    def at(self, point: str) -> None:
        if point in self._points:
            _say(f"dying {point}")
            os._exit(9)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Mortal(next, self)

    def inside(self, owner: type, method: str, name: str) -> None:
        """Also before and after this method, when an activity calls it."""
        original: Callable[..., Awaitable[Any]] = getattr(owner, method)

        async def mortal(*arguments: Any, **named: Any) -> Any:
            where = f"{activity.info().activity_type}/{name}"
            self.at(f"{where}:before")
            result = await original(*arguments, **named)
            self.at(f"{where}:after")
            return result

        setattr(owner, method, mortal)


class _Mortal(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, death: Death) -> None:  # noqa: A002
        super().__init__(next)
        self._death = death

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        name = activity.info().activity_type
        self._death.at(f"{name}:before")
        result = await super().execute_activity(input)
        self._death.at(f"{name}:after")
        return result


async def live(identity: str, death: Death) -> None:
    """One life; ends by death only."""
    settings = Settings.load(*REQUIRED)
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter, identity=identity
    )
    assert settings.database_url
    async with create_pool(settings.database_url) as pool:
        nothing_to_probe: Any = None
        objects = activities(settings, PolicySource(), pool, client, nothing_to_probe, Keeper(client))
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[IntegrationDisconnectionResponse, SendDigests],
            activities=methods(objects),  # type: ignore[arg-type]  # found by their definitions
            interceptors=[death],
            workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox takes a while, and is tested elsewhere
            max_concurrent_activities=1,  # a death hits one step at a time
            sticky_queue_schedule_to_start_timeout=timedelta(milliseconds=100),
        )
        await worker.run()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _warm_up() -> None:
    """What each life would have to read and compile again."""
    load_catalogue()
    render = Renderer(product_name="Acme", public_url="https://relink.example")
    kinds = render._templates._shipped
    for environment, folder in ((kinds.slack, "slack/"), (kinds.text, "email/"), (kinds.html, "email/")):
        for name in environment.list_templates(filter_func=lambda name, folder=folder: name.startswith(folder)):
            environment.get_template(name)
    worker.Renderer = lambda **_: render  # type: ignore[assignment,misc]


def main() -> None:
    _warm_up()
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(wanted["environment"])
            death = Death(wanted["points"])
            death.inside(Ledger, "claim", "claim")
            death.inside(Ledger, "settle", "settle")
            death.inside(DigestStore, "begin", "begin")
            death.inside(DigestStore, "intend", "intend")
            death.inside(SlackSender, "_post", "post")
            death.inside(aiosmtplib.SMTP, "data", "data")
            asyncio.run(live(wanted["identity"], death))
            os._exit(0)
        _say(f"born {child}")
        os.waitpid(child, 0)
        _say("dead")


if __name__ == "__main__":
    main()
