"""What customers, products and monitors do to the cluster, over HTTP only, and waiting for what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from activities.db.pool import UNAVAILABLE, Pool
from tests.faults.audit import Report, audit
from tests.faults.cluster import POLICY, Cluster, says

PATIENCE = 180  # seconds; what a test waits for comes much sooner, but not on every machine
_RELOADED = "the policy was reloaded"
REFUSED = {"code": "invalid_grant", "message": "expired", "http_status": 400, "surface": "token_endpoint"}


@dataclass(frozen=True)
class Integration:
    """One connection of a customer of its own, so that nothing of it is told together with another's."""

    customer: str
    kind: str = "salesforce"
    name: str = "crm"

    @property
    def path(self) -> str:
        return f"/v1/customers/{self.customer}/integrations/{self.kind}/{self.name}"

    def event(self, event_type: str = "auth_failure", **more: Any) -> dict[str, Any]:
        body = {
            "customer_external_id": self.customer,
            "integration_type": self.kind,
            "integration_id": self.name,
            "event_type": event_type,
            "event_id": uuid4().hex,
            **more,
        }
        return body | ({"error": REFUSED} if event_type == "auth_failure" and "error" not in more else {})


@dataclass
class Scene:
    """`accepted` are the events that the API answered with 202: they must never be lost."""

    cluster: Cluster
    pool: Pool
    http: httpx.AsyncClient
    accepted: list[tuple[str, str]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def policy(self, before: str, after: str) -> AsyncIterator[None]:
        """Incidents that open while the block runs live by a policy in which `after` stands for `before`."""
        assert before in POLICY
        await self._put_in_force(POLICY.replace(before, after))
        try:
            yield
        finally:
            await self._put_in_force(POLICY)

    async def _put_in_force(self, policy: str) -> None:
        (self.cluster.folder / "policy.toml").write_text(policy)
        if self.cluster.runs("api"):
            log = self.cluster.programs["api"].log
            times = log.read_text(errors="replace").count(_RELOADED)
            self.cluster.signal("api", signal.SIGHUP)
            await self.until_log("api", _RELOADED, times=times + 1)

    async def integrations(self, count: int, *, monitor: dict[str, Any] | None = None) -> list[Integration]:
        """So many customers, each with a CSM, a manager, a contact and one critical integration."""
        made = [Integration(f"c-{uuid4().hex[:10]}") for _ in range(count)]
        await asyncio.gather(*(self._register(one, one.customer, monitor) for one in made))
        return made

    async def of_one_provider(self, count: int, csms: int) -> list[Integration]:
        """So many customers of one provider, shared among so many CSMs: enough to be an outage, if all are down."""
        kind = f"crm_{uuid4().hex[:6]}"
        made = [Integration(f"c-{uuid4().hex[:10]}", kind) for _ in range(count)]
        await asyncio.gather(*(self._register(one, f"{kind}-{n % csms}", None) for n, one in enumerate(made)))
        return made

    async def _register(self, one: Integration, csm: str, monitor: dict[str, Any] | None) -> None:
        who = one.customer
        customer = {
            "name": f"Customer {who}",
            "arr": 200_000,
            "health_score": 80,
            "csm": {
                "name": "Maria",
                "email": f"maria-{csm}@acme.example",
                "manager": {"name": "James", "email": f"james-{csm}@acme.example"},
            },
            "technical_contacts": [{"name": "Bob", "email": f"bob@{who}.example"}],
        }
        integration = {"is_critical": True, "self_serve": True, "monitor": monitor}
        for path, body in ((f"/v1/customers/{who}", customer), (one.path, integration)):
            (await self.http.put(path, json=body)).raise_for_status()

    async def say(self, *events: dict[str, Any]) -> httpx.Response:
        """Sends one array; what it answers with 202 is remembered."""
        answer = await self.http.post("/v1/events", json=list(events))
        if answer.status_code == 202:
            self.accepted += [("api", result["event_id"]) for result in answer.json()["results"]]
        return answer

    async def say_until_taken(self, *events: dict[str, Any], within: float = PATIENCE) -> httpx.Response:
        """As a good producer does: the same again until it is answered with 202."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answer = await self.say(*events)
                    if answer.status_code == 202:
                        return answer
                    assert answer.status_code in {429, 503}, answer.text
                await asyncio.sleep(0.1)

    async def until(self, question: str, *arguments: object, is_: object = True, within: float = PATIENCE) -> float:
        """Asks SQL until it answers so, and returns how many seconds that took."""
        began = time.monotonic()

        async def answered() -> bool:
            return bool(await self.pool.fetchval(question, *arguments) == is_)

        await wait_for(answered, within, question)
        return time.monotonic() - began

    async def until_told(self, count: int, *customers: str, within: float = PATIENCE) -> float:
        """Until so many alerts and first mails of these customers have left. Of one whose reply was lost twice, nobody
        knows more."""
        question = """
            select count(*) = $1 from deliveries d join incidents i on i.id = d.incident_id
            join customers c on c.id = i.customer_id
            where c.external_id = any($2) and d.status in ('sent', 'unknown')
              and d.template in ('integration_disconnected_alert', 'integration_disconnected_customer')"""
        return await self.until(question, count, list(customers), within=within)

    async def until_over(self, *customers: str, within: float = PATIENCE) -> float:
        """Until every incident of these customers is closed and announced, and nothing is left to send."""
        question = (
            "select count(*) > 0 and bool_and(i.announced_at is not null) and not exists (select from deliveries d"
            "  where d.incident_id = any(array_agg(i.id)) and d.status in ('pending', 'sending'))"
            " from incidents i join customers c on c.id = i.customer_id where c.external_id = any($1)"
        )
        return await self.until(question, list(customers), within=within)

    async def until_log(self, program: str, words: str, *, times: int = 1, within: float = PATIENCE) -> None:
        """Until a program's log of this life has said so that many times."""
        log = self.cluster.programs[program].log

        async def said() -> bool:
            return says(log, words, times)

        await wait_for(said, within, f"{program}: {words}")

    async def report(self) -> Report:
        """What the audit says once the bells that nobody had time to ring were rung by the reconciler."""
        await self.until("select count(*) = 0 from doorbells")
        return await audit(self.cluster, self.pool, self.accepted)

    async def audit(self) -> Report:
        report = await self.report()
        assert report.wrong == {}, f"\n{report}"
        return report


async def wait_for(happened: Callable[[], Awaitable[bool]], within: float, what: object) -> None:
    """Asks again and again; a server that is away has not answered yet. Raises AssertionError, naming `what`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(*UNAVAILABLE):
                    if await happened():
                        return
                await asyncio.sleep(0.1)
    raise AssertionError(f"not within {within} s: {what}")


def names(integrations: Iterable[Integration]) -> list[str]:
    return [one.customer for one in integrations]
