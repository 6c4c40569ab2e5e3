"""Mails: the real fix in every case, the same words in text and HTML, languages, and what mail programs need."""

import re
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import lxml.html
import pytest

from activities.rendering import Renderer, TemplatesError
from activities.views import IncidentView, Mail, Person
from starter import preview_samples as samples
from starter.previewing import mails, preview

RENDERER = Renderer(product_name="Acme", public_url="https://relink.acme.example")
ALL = dict(mails(RENDERER))


def customer_mail(view: IncidentView, contact: Person = samples.CONTACT, reminder: int = 0) -> Mail:
    return RENDERER.customer_mail(
        view, contact=contact, now=samples.NOW, reconnect_link=samples.RECONNECT_LINK, reminder=reminder
    )


def words_of(html: str) -> list[str]:
    """The words of a mail's HTML as they are read, without what is hidden."""
    tree = lxml.html.document_fromstring(html)
    for hidden in tree.xpath("//head | //*[@class='preheader'] | //*[@class='brand'] | //*[@class='fallback']"):
        hidden.drop_tree()
    return re.findall(r"[\w’'./@$,]+", " ".join(tree.xpath("//text()")))


def words_of_text(text: str) -> list[str]:
    without = re.sub(r"^(\d+\.|-) |^https?://\S+$", "", text, flags=re.MULTILINE)
    return re.findall(r"[\w’'./@$,]+", without)


@pytest.mark.parametrize("name", ALL)
def test_text_and_html_say_the_same(name: str) -> None:
    """The two templates of a mail can't drift apart."""
    mail = ALL[name]
    assert words_of(mail.html) == words_of_text(mail.text)


@pytest.mark.parametrize("name", ALL)
def test_every_link_stands_in_the_text_in_full(name: str) -> None:
    """Whoever reads the plain text can do all that the HTML offers."""
    links = lxml.html.document_fromstring(ALL[name].html).xpath("//a/@href")
    assert set(links) == set(re.findall(r"^https?://\S+$", ALL[name].text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", ALL)
def test_html_is_fit_for_mail_programs(name: str) -> None:
    """Inlined styles, dark mode, language, a title; no script, no remote content, and under Gmail's 102 kB."""
    html = ALL[name].html
    tree = lxml.html.document_fromstring(html)
    assert tree.get("lang") == "en"
    assert tree.findtext(".//title") == ALL[name].subject
    assert tree.xpath("//meta[@name='color-scheme']/@content") == ["light dark"]
    assert "prefers-color-scheme: dark" in html
    assert "color:" in tree.xpath("//td[@class='content']")[0].get("style").replace(" ", "")
    assert not tree.xpath("//script | //img | //link | //iframe | //form")
    assert len(html.encode()) < 40_000
    assert all(table.get("role") == "presentation" or table.get("class") == "facts" for table in tree.iter("table"))


@pytest.mark.parametrize(
    ("update", "subject"),
    [
        ({}, "Action Required: Your Salesforce integration needs reauthorization"),
        ({"kind": "degraded"}, "Action Required: Your Salesforce integration is degraded and needs reauthorization"),
        (
            samples.STATES["administrator"],
            "Action Required: Your Salesforce integration is blocked by a security policy",
        ),
        (
            {"self_serve_reconnect": False, "category": "sso_cert_expired"},
            "Action Required: Your Salesforce integration needs a new certificate",
        ),
        (
            {"self_serve_reconnect": False, "category": "unknown"},
            "Action Required: Your Salesforce integration needs attention",
        ),
        (samples.STATES["ours"], "Your Salesforce integration is disconnected: no action needed"),
        ({"who_fixes": "provider"}, "Your Salesforce integration is disconnected: no action needed"),
    ],
)
def test_the_subject_names_the_real_fix(update: dict[str, object], subject: str) -> None:
    """FR-3.1: nobody is asked to reauthorize what reauthorizing does not help."""
    assert customer_mail(samples.sample().model_copy(update=update)).subject == subject


def test_a_reminder_says_that_it_still_does_not_work() -> None:
    """The second mail isn't the first one again."""
    mail = customer_mail(samples.sample(), reminder=1)
    assert mail.subject == "Reminder: Your Salesforce integration needs reauthorization"
    assert "is still disconnected, since Jan 29, 2026 at 9:45 AM." in mail.text


@pytest.mark.parametrize(
    "update",
    [{"self_serve": False}, {"self_serve_reconnect": False}, samples.STATES["ours"]],
)
def test_no_button_where_reconnecting_is_not_possible(update: dict[str, object]) -> None:
    """FR-3.2: the link only where it helps, even if one was handed in."""
    mail = customer_mail(samples.sample().model_copy(update=update))
    assert samples.RECONNECT_LINK not in mail.text + mail.html
    assert "Now]" not in mail.text


def test_the_button_is_a_link_and_stands_in_full_below() -> None:
    """Both the button and the plain address lead to the same page."""
    tree = lxml.html.document_fromstring(customer_mail(samples.sample()).html)
    assert tree.xpath("//a/@href") == [samples.RECONNECT_LINK] * 2
    assert tree.xpath("//a[@class='button']/text()") == ["Reconnect Salesforce Now"]


def test_where_the_customer_can_do_nothing_nobody_asks_them_to() -> None:
    """A fault of ours or the provider's: no steps to take, no time that it takes."""
    text = customer_mail(samples.sample("ours")).text
    assert "To fix this" not in text
    assert "There is nothing you need to do." in text


@pytest.mark.parametrize(
    ("contact", "greeting"),
    [
        (Person(name="Bob Smith"), "Hi Bob Smith,"),
        (Person(email="it@techcorp.example"), "Hello,"),
        (Person(name="  "), "Hello,"),
    ],
)
def test_the_greeting(contact: Person, greeting: str) -> None:
    """By name, or politely without one."""
    assert customer_mail(samples.sample(), contact).text.splitlines()[0] == greeting


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({}, "This means data sync between the systems is currently paused."),
        ({"kind": "degraded"}, "This means some data between the systems is missing or late."),
        ({"integration_type": "okta_sso"}, "This means people can't currently sign in with it."),
        ({"category": "sso_cert_expired"}, "This means people can't currently sign in with it."),
        ({"integration_type": "webhook"}, "This means events are currently not being delivered."),
        ({"category": "webhook_rejected", "kind": "degraded"}, "This means some events are not being delivered."),
    ],
)
def test_what_it_means_is_true_of_this_integration(update: dict[str, object], said: str) -> None:
    """PRD-101 §5.2's sentence for a sync, another one where nothing is synchronized."""
    assert said in customer_mail(samples.sample().model_copy(update=update)).text


def test_minutes_are_counted_in_good_english() -> None:
    """One minute has no s."""
    assert "about 1 minute)" in customer_mail(samples.sample().model_copy(update={"customer_minutes": 1})).text


def test_the_all_clear_says_how_long() -> None:
    """In the contact's time zone; marked UTC where that is unknown."""
    ended = samples.sample("resolved").model_copy(update={"closed_at": samples.OPENED + timedelta(hours=2, minutes=14)})
    mail = RENDERER.customer_all_clear(ended, contact=samples.CONTACT, now=samples.NOW)
    assert "disconnected for 2 h 14 min, from Jan 29, 2026 at 9:45 AM to Jan 29, 2026 at 11:59 AM." in mail.text
    utc = RENDERER.customer_all_clear(ended, contact=Person(), now=samples.NOW)
    assert "at 3:45 PM UTC" in utc.text


def test_a_call_can_be_booked_or_answered() -> None:
    """With a booking page a button, without one (or with an unusable one) a question."""
    assert "[Book a Call]" in ALL["tech_call_booking"].text
    assert "Reply to this email with two or three times" in ALL["tech_call_reply"].text
    odd = RENDERER.tech_call_invitation(
        samples.sample(), contact=samples.CONTACT, now=samples.NOW, booking_url="javascript:alert(1)"
    )
    assert "javascript" not in odd.html


@pytest.mark.parametrize("kind", ["csm_alert", "escalation", "engineering_page", "resolved"])
def test_a_slack_message_becomes_a_proper_mail(kind: str) -> None:
    """Somebody without Slack reads the same, without emoji codes, mrkdwn or buttons that can't work in a mail."""
    mail = ALL[f"notice_{kind}"]
    assert not re.search(r":[a-z_]+:|\*|&lt;|&gt;", mail.subject + mail.text)
    assert samples.STATUS_URL in mail.text
    assert "Acknowledge]" not in mail.text
    assert lxml.html.document_fromstring(mail.html).xpath("//h1")


GERMAN = {
    "email/integration_disconnected_customer.de.txt": "Subject: Bitte handeln\n\nHallo, {{ provider }}!\n",
    "email/integration_disconnected_customer.de.html": (
        '{% extends "email/layout.html" %}{% block content %}<p>Hallo, {{ provider }}!</p>{% endblock %}'
    ),
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("locale", "lang"),
    [("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("fr", "en"), (None, "en"), ("../../etc", "en")],
)
def test_another_language_is_another_pair_of_files(tmp_path: Path, locale: str | None, lang: str) -> None:
    """The best match of the contact's locale; else the default, and the HTML says which language it is in."""
    renderer = Renderer(product_name="Acme", public_url="https://x.example", templates_dir=written(tmp_path, GERMAN))
    contact = samples.CONTACT.model_copy(update={"locale": locale})
    mail = renderer.customer_mail(samples.sample(), contact=contact, now=samples.NOW, reconnect_link=None)
    assert f'<html lang="{lang}"' in mail.html
    assert mail.subject.startswith("Bitte handeln" if lang == "de" else "Action Required")


def test_half_a_translation_is_refused(tmp_path: Path) -> None:
    """Text in one language and HTML in another is nobody's wish."""
    half = written(tmp_path, dict(list(GERMAN.items())[:1]))
    with pytest.raises(TemplatesError, match=r"customer\.de\.txt.*needs .*customer\.de\.html beside it"):
        Renderer(product_name="Acme", public_url="https://x.example", templates_dir=half)


def test_a_template_with_a_mistake_stops_the_start(tmp_path: Path) -> None:
    """It is named, with its line."""
    own = written(tmp_path, {"slack/notes/relapsed.mrkdwn": "ok\n{% if %}"})
    with pytest.raises(TemplatesError, match=r"slack/notes/relapsed\.mrkdwn: line 2"):
        Renderer(product_name="Acme", public_url="https://x.example", templates_dir=own)


def test_a_missing_folder_stops_the_start(tmp_path: Path) -> None:
    """A typo in RELINK_TEMPLATES_DIR isn't ignored."""
    with pytest.raises(TemplatesError, match="is not a folder"):
        Renderer(product_name="Acme", public_url="https://x.example", templates_dir=tmp_path / "nowhere")


def test_files_are_overridden_one_by_one(tmp_path: Path) -> None:
    """One changed colour changes every mail; everything else stays as shipped."""
    own = written(tmp_path, {"email/style.css": ".button { background-color: #ff0066; }"})
    renderer = Renderer(product_name="Acme", public_url="https://x.example", templates_dir=own)
    mail = renderer.customer_mail(
        samples.sample(), contact=samples.CONTACT, now=samples.NOW, reconnect_link=samples.RECONNECT_LINK
    )
    assert re.search(r'class="button"[^>]*#ff0066', mail.html)
    assert mail.text == customer_mail(samples.sample()).text


def test_an_own_template_that_fails_does_not_silence_anybody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, without anybody's name, and the shipped words are sent."""
    own = written(tmp_path, {"slack/integration_disconnected_alert.mrkdwn": "# {{ custommer }}"})
    renderer = Renderer(product_name="Acme", public_url="https://x.example", templates_dir=own)
    message = renderer.csm_alert(samples.sample(), now=samples.NOW, reader=samples.CSM, status_url=samples.STATUS_URL)
    assert "Integration Disconnected: TechCorp" in message.text
    assert "'custommer' is undefined" in caplog.text
    assert "TechCorp" not in caplog.text


def test_mails_become_mime_messages() -> None:
    """Any subject and body of ours is accepted by the standard library and comes back the same."""
    for mail in ALL.values():
        message = EmailMessage()
        message["Subject"] = mail.subject
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        assert message["Subject"] == mail.subject


def test_the_preview_writes_everything(tmp_path: Path) -> None:
    """`relink templates preview` leaves a folder that can be opened in a browser."""
    files = preview(tmp_path / "new" / "folder")
    assert all(path.stat().st_size for path in files)
    index = (tmp_path / "new" / "folder" / "index.html").read_text(encoding="utf-8")
    assert "slack/alert_open.txt" in index
    assert 'href="relink.css"' in (tmp_path / "new" / "folder" / "pages" / "message.html").read_text(encoding="utf-8")
