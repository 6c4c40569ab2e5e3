"""The audit: what PostgreSQL, Slack and the mailbox say in the end, whatever happened before.

Each question counts what must not exist; the answer of a healthy installation is 0 everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from activities.db.ledger import LEASE
from activities.db.pool import Pool
from starter.embedded.slack.store import Json
from tests.faults.cluster import Cluster

QUESTIONS = {
    "open incidents beyond one an integration": """
        select count(*) from (select from incidents where status in ('open', 'recovering')
          group by integration_health_id having count(*) > 1) x""",
    "failures newer than the close of the incident that they belong to": """
        select count(*) from integration_events e join incidents i on i.id = e.incident_id
        where e.effect = 'failure' and i.status = 'closed' and e.created_at > i.closed_at""",
    "disconnected integrations without an open incident": """
        select count(*) from integration_health h where h.status = 'disconnected' and not h.muted
          and h.removed_at is null and not exists (select from incidents i
            where i.integration_health_id = h.id and i.status in ('open', 'recovering'))""",
    "healthy integrations with an open incident that nobody verified": """
        select count(*) from integration_health h join incidents i on i.integration_health_id = h.id
        where h.status = 'healthy' and i.status = 'open' and i.hint_seq = 0""",
    "doorbells not rung": "select count(*) from doorbells",
    "messages neither sent nor settled": "select count(*) from deliveries where status in ('pending', 'sending')",
    "messages sent without a trace": """
        select count(*) from deliveries where status = 'sent' and external_id is null and told_with is null""",
    "escalations told twice": """
        select count(*) from (select from deliveries where template = 'integration_disconnected_escalation'
          group by incident_id, role, channel, details ->> 'climb', details ->> 'step' having count(*) > 1) x""",
    "incidents that were told of without a risk signal": """
        select count(*) from incidents i where i.alerted_at is not null
          and not exists (select from risk_signals s where s.incident_id = i.id)""",
    "signals or tasks open though their incident is closed": """
        select (select count(*) from risk_signals s join incidents i on i.id = s.incident_id
            where s.status = 'open' and i.status in ('closed', 'cancelled'))
          + (select count(*) from tasks t join incidents i on i.id = t.incident_id
            where t.status = 'open' and i.status in ('closed', 'cancelled'))""",
    "scores that are not the sum of their adjustments": """
        select count(*) from customers c where c.health_score <> c.health_score_base
          + coalesce((select sum(adjustment) from health_score_adjustments a where a.customer_id = c.id), 0)""",
    "scores not given back": """
        select count(*) from (select a.incident_id from health_score_adjustments a
          join incidents i on i.id = a.incident_id where i.status in ('closed', 'cancelled')
          group by a.incident_id having sum(a.adjustment) <> 0) x""",
    "closed incidents that nobody was told of": """
        select count(*) from incidents where status in ('closed', 'cancelled') and announced_at is null""",
    "notices claimed after a verified recovery": f"""
        select count(*) from deliveries d join incidents i on i.id = d.incident_id
        where d.template in ('integration_disconnected_alert', 'integration_disconnected_customer',
            'integration_disconnected_escalation', 'integration_disconnected_reminder')
          and d.lease_until - interval '{LEASE.seconds} seconds' > i.closed_at + interval '5 seconds'""",
    "digests of one outage that one reader got twice": """
        select count(*) from digests a join digests b on b.provider_outage_id = a.provider_outage_id and b.role = a.role
        where a.id < b.id and a.addresses && b.addresses""",
    "alerts told while the digest of their outage told of them": """
        select count(*) from deliveries d join incidents i on i.id = d.incident_id, outage_of(i) o
        where d.template = 'integration_disconnected_alert' and d.status = 'sent' and i.alerted_at > o.noticed_at
          and d.sent_at > i.alerted_at and d.sent_at < coalesce(o.ended_at, 'infinity')""",
    "steps told twice in a timeline": """
        select count(*) from (select from incident_timeline
          where kind in ('detected', 'assessed', 'risk_signal_created', 'task_created', 'closed', 'announced')
          group by incident_id, kind having count(*) > 1) x""",
}


@dataclass(frozen=True)
class Report:
    """`wrong` is empty if all is well; `figures` are for people."""

    figures: dict[str, int]
    wrong: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"  {count:>7}  {what}" for what, count in (self.figures | self.wrong).items()]
        return "\n".join(lines)


async def audit(cluster: Cluster, pool: Pool, accepted: Iterable[tuple[str, str]] = ()) -> Report:
    """Asks everything. `accepted`: (source, event id) of every event that was answered with 202."""
    found = {what: int(await pool.fetchval(question)) for what, question in QUESTIONS.items()}
    promised = list(accepted)
    stored = await pool.fetch(
        "select k.source, k.event_id from event_keys k join integration_events e using (source, event_id)"
    )
    found["accepted events that are not stored"] = len(set(promised) - {(row[0], row[1]) for row in stored})
    found["events stored twice"] = len(stored) - len(set(stored))
    found["Slack messages that somebody sees twice"] = repeated_in_slack(cluster)
    found |= await _repeated_mails(cluster, pool)
    return Report(await _figures(pool, promised), {what: count for what, count in found.items() if count})


def repeated_in_slack(cluster: Cluster) -> int:
    """How many messages stand there beyond one an intent."""
    keys = Counter(
        body["metadata"]["event_payload"]["delivery_key"] for body in messages(cluster) if body.get("metadata")
    )
    return sum(count - 1 for count in keys.values())


def messages(cluster: Cluster) -> list[Json]:
    """Everything that stands in Slack now, threads included."""
    store = cluster.slack.store
    roots = [
        (channel.id, root)
        for channel in store.channels()
        for root in store.history(channel.id, oldest=0, latest=2**62, limit=100_000)
    ]
    return [body for channel, root in roots for body in (root, *store.replies(channel, root["ts"]))]


async def _repeated_mails(cluster: Cluster, pool: Pool) -> dict[str, int]:
    copies = Counter(mail.message["X-Relink-Delivery"] for mail in cluster.inbox.messages())
    handed_over = dict(
        await pool.fetch("select delivery_key, handed_over from deliveries where channel = 'email'")  # type: ignore[arg-type]  # records are pairs
    )
    return {
        "mails that came more than twice": sum(count > 2 for count in copies.values()),
        "mails that came twice though no reply to DATA was lost": sum(
            count > 1 and handed_over.get(key, 0) < count for key, count in copies.items()
        ),
    }


async def _figures(pool: Pool, promised: list[tuple[str, str]]) -> dict[str, int]:
    figures = {"events answered with 202": len(promised)} if promised else {}
    figures["events"] = await pool.fetchval("select count(*) from integration_events")
    for row in await pool.fetch("select status, count(*) from incidents group by 1 order by 1"):
        figures[f"incidents {row[0]}"] = row[1]
    for row in await pool.fetch("select channel, status, count(*) from deliveries group by 1, 2 order by 1, 2"):
        figures[f"deliveries {row[0]} {row[1]}"] = row[2]
    return figures
