"""A Slack stand-in: speaks the Web API over HTTP, shows the messages on a page, sends real signed clicks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from starter.embedded import ports
from starter.embedded.slack.api import Api, Failure
from starter.embedded.slack.interactions import Click, Interactions, Outcome
from starter.embedded.slack.methods import Methods
from starter.embedded.slack.pages import Pages
from starter.embedded.slack.store import Json, Store
from starter.embedded.web import serving

__all__ = ["Click", "Failure", "Outcome", "SlackServer", "slack"]


@dataclass(frozen=True)
class SlackServer:
    """A running stand-in."""

    port: int
    token: str
    signing_secret: str
    store: Store
    api: Api
    interactions: Interactions

    @property
    def url(self) -> str:
        """The page."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """What RELINK_SLACK_API_URL and slack-sdk's `base_url` want."""
        return f"{self.url}/api/"

    def calls(self, method: str | None = None) -> list[Json]:
        """The calls received, oldest first: `{"id","at","method","arguments","status","response"}`."""
        return [call for call in self.store.calls() if method in (None, call["method"])]

    def fail(self, failure: Failure) -> None:
        """Makes the next calls fail as described."""
        self.api.failures.add(failure, failure.times)

    async def click(self, click: Click) -> Outcome:
        """Somebody clicks on a button; returns once the app has answered."""
        return await self.interactions.click(click)

    def send_clicks_to(self, url: str) -> None:
        """Names the app's address for interactions, such as `https://relink.example.com/slack/interactions`."""
        self.interactions.url = url

    def clear(self) -> None:
        """Forgets messages, calls and planned failures."""
        self.store.clear()
        self.api.failures.clear()


@contextlib.asynccontextmanager
async def slack(
    path: Path,
    *,
    port: int = 0,
    token: str = "xoxb-local",  # noqa: S107 (opens nothing but this stand-in)
    signing_secret: str = "local-signing-secret",  # noqa: S107 (likewise)
    interactions_url: str | None = None,
) -> AsyncIterator[SlackServer]:
    """Runs the stand-in while the block runs, its state in the SQLite file `path`; port 0 takes any free one.

    What a call answered `ok` for survives `kill -9`. Raises OSError if the port is taken.
    """
    store = Store(path)
    methods = Methods(store)
    interactions = Interactions(store, methods, signing_secret, interactions_url)
    api = Api(store, methods, interactions, token)
    app = Starlette(routes=[*api.routes(), *Pages(store, interactions).routes()])
    with contextlib.closing(store):
        async with serving(app, port) as chosen:
            methods.base_url = f"http://{ports.HOST}:{chosen}"
            yield SlackServer(chosen, token, signing_secret, store, api, interactions)
