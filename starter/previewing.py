"""`relink templates preview FOLDER`: every message and page with sample data, to look at while changing templates."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict
from uuid import UUID

from activities.calls import Proposal
from activities.rendering import NOTICES, Renderer
from activities.rendering_notes import NOTES
from activities.rendering_safety import without_tokens
from activities.views import EndingView, IncidentView, Mail, Person, SlackMessage
from starter import preview_samples as samples
from starter.preview_outage import NOON, OUTAGES, PROVIDER_URL
from starter.preview_week import FLEET, MONDAY, week

BOOKING_URL = "https://calendar.acme.example/technical-help"


def preview(folder: Path, *, product_name: str = "Acme", templates_dir: Path | None = None) -> list[Path]:
    """Writes all messages and pages into the folder (made if missing) and an index; returns what was written.

    Slack messages as text and as JSON for Slack's Block Kit Builder, mails as text and HTML, pages as HTML.
    Raises TemplatesError if a file of `templates_dir` is not a valid template, OSError if the folder can't be written.
    """
    renderer = Renderer(
        product_name=product_name, public_url="https://relink.acme.example", templates_dir=templates_dir
    )
    files = dict(_files(renderer))
    files["index.html"] = _index(list(files))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return [folder / name for name in files]


def _files(renderer: Renderer) -> Iterator[tuple[str, str]]:
    for name, message in slack_messages(renderer):
        yield f"slack/{name}.txt", as_text(message)
        yield f"slack/{name}.json", json.dumps({"blocks": message.blocks}, indent=2, ensure_ascii=False) + "\n"
    for name, mail in mails(renderer):
        yield f"email/{name}.html", mail.html
        yield f"email/{name}.txt", f"Subject: {mail.subject}\n\n{mail.text}"
    for name, page in pages(renderer):
        yield f"pages/{name}.html", page
    yield "pages/relink.css", renderer.stylesheet()


def slack_messages(renderer: Renderer) -> Iterator[tuple[str, SlackMessage]]:
    """Every Slack message, in every state."""
    for state in samples.STATES:
        yield f"alert_{state}", renderer.csm_alert(samples.sample(state), **_reading(samples.CSM))
    for kind in NOTES:
        view = samples.sample(samples.NOTE_STATES.get(kind, "told"))
        details = samples.NOTE_SAMPLES.get(kind, {})
        yield f"note_{kind}", renderer.csm_note(view, kind=kind, details=details, now=samples.NOW, reader=samples.CSM)
    for role in ("csm_manager", "cs_leadership"):
        yield f"escalation_{role}", renderer.escalation(samples.sample("told"), role=role, **_reading(samples.MANAGER))
    yield "engineering_page", renderer.engineering_page(samples.sample("ours"), **_reading(Person()))
    for name, ending in endings():
        yield f"ending_{name}", renderer.ending(ending, **_reading(samples.CSM))
    yield (
        "our_network",
        renderer.our_network(UUID(int=9), began_at=samples.OPENED, now=samples.NOW, reader=Person()),
    )
    yield "weekly_digest", renderer.digest(UUID(int=9), week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    for name, outage in OUTAGES.items():
        yield (
            f"provider_outage_{name}",
            renderer.provider_outage(UUID(int=9), outage, url=PROVIDER_URL, now=NOON, reader=samples.CSM),
        )


def mails(renderer: Renderer) -> Iterator[tuple[str, Mail]]:
    """Every mail: to the customer's technical contact, and to ourselves where Slack can't be used."""
    for state, reminder in (("open", 0), ("told", 1), ("administrator", 0), ("degraded", 0), ("ours", 0)):
        yield (
            f"customer_{'reminder' if reminder else state}",
            renderer.customer_mail(
                samples.sample(state),
                contact=samples.CONTACT,
                now=samples.NOW,
                reconnect_link=samples.RECONNECT_LINK,
                reminder=reminder,
            ),
        )
    broken = [(view, samples.RECONNECT_LINK) for view in several()]
    yield "customer_several", renderer.customer_mail_of_several(broken, contact=samples.CONTACT, now=samples.NOW)
    again = renderer.customer_mail_of_several(broken, contact=samples.CONTACT, now=samples.NOW, reminder=1)
    yield "customer_several_reminder", again
    ended = samples.sample("resolved")
    yield "all_clear", renderer.customer_all_clear(ended, contact=samples.CONTACT, now=samples.NOW)
    day = samples.NOW + timedelta(days=1)
    one, more = Proposal((day,)), Proposal((day, day + timedelta(hours=2), day + timedelta(days=3)), 45)
    for name, url, when in (
        ("tech_call_booking", BOOKING_URL, None),
        ("tech_call_reply", "", None),
        ("tech_call_at_a_time", "", one),
        ("tech_call_at_several_times", BOOKING_URL, more),
    ):
        mail = renderer.tech_call_invitation(
            samples.sample(), contact=samples.CONTACT, now=samples.NOW, booking_url=url, proposal=when
        )
        yield name, mail
    for kind, state in zip(NOTICES, ("open", "told", "ours", "resolved"), strict=True):
        yield f"notice_{kind}", renderer.slack_as_mail(kind, samples.sample(state), **_reading(samples.CSM))
    for name, view in endings():
        yield f"notice_ending_{name}", renderer.ending_as_mail(view, **_reading(samples.CSM))
        if view.only_customer_renews:
            yield f"ending_{name}", renderer.ending_mail(view, contact=samples.CONTACT, now=samples.NOW)
    outage = renderer.our_network_as_mail(began_at=samples.OPENED, now=samples.NOW, reader=Person())
    yield "notice_our_network", outage
    yield "notice_weekly_digest", renderer.digest_as_mail(week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    for name, many in OUTAGES.items():
        mail = renderer.provider_outage_as_mail(many, url=PROVIDER_URL, now=NOON, reader=samples.CSM)
        yield f"notice_provider_outage_{name}", mail


def endings() -> Iterator[tuple[str, EndingView]]:
    """A credential of each kind that ends soon."""
    incident = samples.sample()
    provider = incident.provider_name
    for kind, days, label, customer_renews in (
        ("refresh_token", 30, f"{provider} consent", True),
        ("refresh_token", 14, f"{provider} refresh token, if unused", False),
        ("saml_certificate", 14, f"signing certificate of {provider}", True),
        ("tls_certificate", 7, f"TLS certificate of {provider}", True),
        ("client_secret", 7, f"{provider} client secret", False),
        ("api_key", 1, f"{provider} API key", True),
    ):
        about = {name: getattr(incident, name) for name in EndingView.model_fields if hasattr(incident, name)}
        about |= {"kind": kind, "label": label, "only_customer_renews": customer_renews}
        view = EndingView.model_validate(about | {"ends_at": samples.NOW + timedelta(days=days)})
        yield f"{kind}_{'customer' if customer_renews else 'ours'}", view


def pages(renderer: Renderer) -> Iterator[tuple[str, str]]:
    """Every page that customers see, in every state; staff's are shown by `make run`."""
    look = {"stylesheet": "relink.css"}
    for state, sample in (
        ("ready", "open"),
        ("by_hand", "open"),
        ("no_self_serve", "administrator"),
        ("fixed", "resolved"),
        ("closed", "no_longer_used"),
    ):
        facts = renderer.customer_facts(samples.sample(sample), now=samples.NOW, contact=samples.CONTACT)
        yield f"reconnect_{state}", renderer.page("reconnect.html", state=state, **facts, **look)
    for state in ("invalid", "mailed"):
        yield f"reconnect_{state}", renderer.page("reconnect.html", state=state, **look)
    for state in ("ask", "thanks", "fixed"):
        page = renderer.page("reconnect_returned.html", state=state, provider=samples.sample().provider_name, **look)
        yield f"returned_{state}", page
    sentence = "It may have been removed, or the address is not complete."
    yield "message", renderer.page("message.html", title="There is nothing here", text=sentence, **look)


def several() -> list[IncidentView]:
    """Integrations of one customer that broke at the same time."""
    return [samples.sample(state) for state in ("open", "sign_in", "administrator")]


class _Reading(TypedDict):
    now: datetime
    reader: Person
    status_url: str


def _reading(reader: Person) -> _Reading:
    return {"now": samples.NOW, "reader": reader, "status_url": samples.STATUS_URL}


def as_text(message: SlackMessage) -> str:
    """A Slack message as its reader sees it, in plain lines: PRD-101 §5.1 can be laid beside it."""
    return "\n\n".join("\n".join(_lines(block)) for block in message.blocks) + "\n"


def _lines(block: dict[str, object]) -> Iterator[str]:
    match block:
        case {"type": "header", "text": {"text": str(text)}}:
            yield text
        case {"type": "section", "text": {"text": str(text)}}:
            for line in _unescaped(text).splitlines():
                bold = len(line) > 2 and line.startswith("*") and line.endswith("*")
                yield line[1:-1] if bold else line
        case {"type": "context", "elements": list(elements)}:
            for element in elements:
                yield from _unescaped(element["text"]).splitlines()
        case {"type": "actions", "elements": list(elements)}:
            yield " ".join(f"[{(e.get('text') or e.get('placeholder'))['text']}]" for e in elements)


def _unescaped(mrkdwn: str) -> str:
    return without_tokens(mrkdwn).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _index(names: list[str]) -> str:
    links = "\n".join(f'<li><a href="{html.escape(name)}">{html.escape(name)}</a></li>' for name in names)
    head = '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Templates</title>'
    return f"{head}\n<ul>\n{links}\n</ul></html>\n"
