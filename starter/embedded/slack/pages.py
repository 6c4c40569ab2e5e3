"""The page of the stand-in: what a CSM would see in Slack, with buttons that work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs, quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from starter.embedded.slack.interactions import Click, Interactions, Outcome
from starter.embedded.slack.mrkdwn import emoji, mrkdwn
from starter.embedded.slack.store import Channel, Json, Store, micros
from starter.embedded.web import page

_SHOWN = 200  # messages of a conversation


@dataclass(frozen=True)
class Pages:
    """Routes `/`, `/archives/{channel}` (where permalinks lead), and what its forms send."""

    store: Store
    interactions: Interactions

    def routes(self) -> list[Route]:
        return [
            Route("/", self._home),
            Route("/archives/{channel}", self._conversation),
            Route("/archives/{channel}/p{stamp:int}", self._permalink),
            Route("/_click", self._click, methods=["POST"]),
            Route("/_views/{view}", self._submit, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        channels = self.store.channels()
        if channels:
            return RedirectResponse(f"/archives/{channels[0].id}", 303)
        return self._page(request, None)

    async def _conversation(self, request: Request) -> Response:
        channel = self.store.channel(request.path_params["channel"])
        return self._page(request, channel) if channel else RedirectResponse("/", 303)

    async def _permalink(self, request: Request) -> Response:
        channel, stamp = request.path_params["channel"], request.path_params["stamp"]
        return RedirectResponse(f"/archives/{channel}#p{stamp}", 303)

    async def _click(self, request: Request) -> Response:
        """A click from the page or, asking for JSON, from a program: `channel`, `ts`, `action_id`, `user`."""
        form = await _form(request)
        outcome = await self.interactions.click(
            Click(
                channel=form.get("channel", ""),
                ts=form.get("ts", ""),
                action_id=form.get("action_id", ""),
                user=form.get("user", ""),
                selected=form.get("selected"),
            )
        )
        return _after(request, outcome, f"/archives/{form.get('channel', '')}?as={quote(form.get('user', ''))}")

    async def _submit(self, request: Request) -> Response:
        """Submits a modal, or closes it if the form says `close`."""
        view_id = request.path_params["view"]
        opened = self.store.view(view_id)
        body = (await request.body()).decode(errors="replace")
        form = parse_qs(body, keep_blank_values=True)
        back = form.get("back", ["/"])[0]
        if opened is None or "close" in form:
            self.store.close_view(view_id)
            return _after(request, Outcome(None), back)
        outcome = await self.interactions.submit(view_id, _values(opened[1], form))
        return _after(request, outcome, back)

    def _page(self, request: Request, channel: Channel | None) -> Response:
        viewer = self._viewer(request, channel) if channel else None
        messages = self._messages(channel, viewer) if channel else []
        return page(
            request,
            "slack.html",
            title=f"{self._title(channel)} · Slack stand-in" if channel else "Slack stand-in",
            channel=channel,
            channels=[(each, self._title(each)) for each in self.store.channels()],
            heading=self._title(channel) if channel else "",
            messages=messages,
            people=self.store.users(),
            viewer=viewer,
            view=self.store.newest_view(viewer) if viewer else None,
            problem=request.query_params.get("problem"),
            mrkdwn=partial(mrkdwn, name_of=self._name_of),
            emoji=emoji,
            clock=_clock,
        )

    def _viewer(self, request: Request, channel: Channel) -> str | None:
        """Whose eyes see the page: in a direct conversation its person, in a channel whoever was chosen (`?as=`)."""
        people = [channel.user_id] if channel.user_id else [user.id for user in self.store.users()]
        chosen = request.query_params.get("as")
        return chosen if chosen in people else next(iter(people), None)

    def _messages(self, channel: Channel, viewer: str | None) -> list[Json]:
        """Oldest first, each with its thread, those for the viewer's eyes only among them."""
        latest = micros(str(10**12))
        found = self.store.history(channel.id, oldest=0, latest=latest, limit=_SHOWN)
        shown = [body | {"thread": self.store.replies(channel.id, body["ts"])} for body in found]
        private = [body | {"thread": []} for body in self.store.ephemeral(channel.id, viewer or "")]
        return sorted([*shown, *private], key=lambda body: micros(body["ts"]))

    def _title(self, channel: Channel) -> str:
        if channel.name:
            return f"#{channel.name}"
        return self._name_of(channel.user_id or "") or channel.id

    def _name_of(self, identity: str) -> str | None:
        if identity.startswith("C"):
            channel = self.store.channel(identity)
            return channel.name if channel else None
        user = next((each for each in self.store.users() if each.id == identity), None)
        return user.real_name if user else None


async def _form(request: Request) -> Mapping[str, str]:
    body = (await request.body()).decode(errors="replace")
    return {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}


def _after(request: Request, outcome: Outcome, back: str) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        body = {"status": outcome.status, "answer": outcome.answer, "problem": outcome.problem}
        return JSONResponse(body, 502 if outcome.problem else 200)
    path = back if back.startswith("/archives/") else "/"
    query = f"{'&' if '?' in path else '?'}{urlencode({'problem': outcome.problem})}" if outcome.problem else ""
    return RedirectResponse(f"{path}{query}", 303)


def _values(view: Json, form: Mapping[str, list[str]]) -> Json:
    """The state of a modal as Slack sends it: by block, by action."""
    values: Json = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            sent = [value for value in form.get(f"{block['block_id']}/{element['action_id']}", []) if value]
            values[block["block_id"]] = {element["action_id"]: _state(element, sent)}
    return values


def _state(element: Json, sent: list[str]) -> Json:
    kind = element["type"]
    chosen = [option for option in element.get("options", []) if option["value"] in sent]
    if kind == "checkboxes":
        return {"type": kind, "selected_options": chosen}
    if kind in ("static_select", "radio_buttons"):
        return {"type": kind, "selected_option": chosen[0] if chosen else None}
    if kind in ("datepicker", "timepicker"):
        return {"type": kind, f"selected_{kind.removesuffix('picker')}": sent[0] if sent else None}
    if kind == "datetimepicker":  # this page's times are UTC
        at = datetime.fromisoformat(sent[0]).replace(tzinfo=UTC) if sent else None
        return {"type": kind, "selected_date_time": int(at.timestamp()) if at else None}
    return {"type": kind, "value": sent[0] if sent else None}


def _clock(ts: str) -> str:
    return datetime.fromtimestamp(micros(ts) / 1_000_000, UTC).strftime("%H:%M:%S")
