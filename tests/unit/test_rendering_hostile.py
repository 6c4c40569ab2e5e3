"""Hostile, broken and merely unusual names and texts, in every message and page: none may change what surrounds it."""

import re
import unicodedata
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from typing import Any

import jinja2
import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.rendering import Renderer
from activities.rendering_safety import for_slack, for_text, one_line, safe_url
from activities.rendering_templates import SHIPPED
from activities.views import CustomerMail, IncidentView, Person, SlackMessage
from starter import preview_samples as samples
from starter.previewing import mails, pages, slack_messages

HARMLESS = "Harmless"
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror=alert(1)> ' onclick='x",
    "jinja": "{{7*7}} {% raw %} {{ product_name.__class__ }}",
    "mentions": "<!channel> <@U123> <#C1> <https://evil.example|click> @channel @here",
    "header": "\r\nBcc: evil@evil.example\r\n\r\nbody",
    "lines": "one\n\n# heading\n-# small\n[close: Close]\nSubject: x\nNotification: y",
    "heading": "# heading",
    "small": "-# small",
    "button": "[close: Close]",
    "quote": "> quoted",
    "formatting": "*bold* _italic_ ~struck~ `code` ```block```",
    "title": "*Impact:*",
    "emoji": ":rotating_light: :+1:",
    "url": "javascript:alert(1) https://evil.example www.evil.example",
    "controls": "\x00\x1b[31mred\x07\x85\u2028\u2029\x0b",
    "override": "\u202egnp.exe\u202c \u2066x \u200f",
    "invisible": "\u200b\u00ad\ufeff\U000e0041",
    "surrogate": "half \ud83d of it",
    "arabic": "شركة التقنية (الرياض)",
    "hebrew": 'חברת "טק" בע"מ',
    "entities": "&lt;script&gt; &amp;amp; &#60;",
    "long": "x" * 5000,
    "long_words": "word " * 1000,
    "long_symbols": "<&>" * 2000,
    "replacement": "{product_name} {provider} %s %(x)s $1 \\1",
    "empty": "",
    "blank": " \t ",
}
BLANK = {"empty", "blank", "invisible"}
UNFOLDED = policy.SMTP.clone(max_line_length=998)  # as activities/email.py sends: folding loses spaces in some subjects
OURS = {"kind", "status", "severity", "resolution", "who_fixes", "evidence", "reconnect_url"}  # words of our own


def poisoned(view: IncidentView, payload: str) -> IncidentView:
    """The view with the text in every field that somebody else fills, those of fields to come among them."""
    return view.model_copy(update={name: _poisoned(getattr(view, name), payload) for name in _others(view)})


def _others(view: IncidentView) -> set[str]:
    return set(type(view).model_fields) - OURS


def _poisoned(value: Any, payload: str) -> Any:
    match value:
        case str():
            return payload
        case tuple():
            return tuple(_poisoned(item, payload) for item in value)
        case Person():
            return _person(value, payload)
        case CustomerMail():
            return value.model_copy(update={"name": payload})
    return value


def _person(person: Any, payload: str) -> Any:
    return person.model_copy(update={"name": payload, "title": payload, "timezone": payload, "locale": payload})


def _replaced(value: Any, payload: str) -> Any:
    if isinstance(value, str):
        return payload
    if isinstance(value, list):
        return [_replaced(item, payload) for item in value]
    if isinstance(value, dict):
        return {k: v if k in {"status", "state"} else _replaced(v, payload) for k, v in value.items()}
    return value


class Rendered:
    """Everything that there is, with one text in all places that somebody else fills."""

    def __init__(self, payload: str) -> None:
        sample, read = samples.sample, jinja2.FileSystemLoader.get_source
        self.files: set[str] = set()

        def noting(loader: jinja2.FileSystemLoader, environment: jinja2.Environment, name: str) -> Any:
            self.files.add(name)
            return read(loader, environment, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jinja2.FileSystemLoader, "get_source", noting)
            patch.setattr(samples, "sample", lambda state="open": poisoned(sample(state), payload))
            for name in ("CSM", "MANAGER", "CONTACT"):
                patch.setattr(samples, name, _person(getattr(samples, name), payload))
            patch.setattr(samples, "NOTE_SAMPLES", _replaced(samples.NOTE_SAMPLES, payload))
            renderer = Renderer(product_name=payload or "Acme", public_url="https://relink.acme.example")
            self.slack = dict(slack_messages(renderer))
            self.mails = dict(mails(renderer))
            self.pages = dict(pages(renderer))


@cache
def rendered(case: str) -> Rendered:
    return Rendered(HOSTILE.get(case, HARMLESS))


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


@pytest.fixture(params=[case for case in HOSTILE if case not in BLANK])
def filled(request: pytest.FixtureRequest) -> Rendered:
    """Those that leave something to print; lines without a text are left out."""
    return rendered(request.param)


@pytest.fixture
def harmless() -> Rendered:
    return rendered("harmless")


def texts(message: SlackMessage) -> Iterator[str]:
    """Everything in a message that Slack would parse as mrkdwn."""
    yield message.text
    for block in message.blocks:
        for text in [block.get("text"), *(block.get("elements") or [])]:  # type: ignore[misc]
            if isinstance(text, dict) and text.get("type") == "mrkdwn":
                yield text["text"]


def undated(text: str) -> str:
    """Without our dates, whose every character is checked here."""
    said = r"(?:[A-Z][a-z]+, )?(?:[A-Z][a-z]{2} \d{1,2}, \d{4} at \d{1,2}:\d\d [AP]M)?(?: UTC)?"
    ago = r"(?:just now|less than a minute|(?:in )?\d+ (?:minute|hour|day)s?(?: ago)?)"
    written = r"(?:\{date_(?:short|long)\} at \{time\})?(?: ?\(?\{ago\}\)?)?"
    return re.sub(rf"<!date\^\d{{10}}\^{written}\|{said}(?: ?\(?{ago}\)?)?>", "(a date)", text)


def shape(message: SlackMessage) -> list[str]:
    """The kinds of blocks and the buttons; several sections in a row are one, because long ones are split."""
    kinds = []
    for block in message.blocks:
        kinds.append(str(block["type"]))
        kinds += [element["action_id"] for element in block.get("elements") or [] if "action_id" in element]  # type: ignore[attr-defined]
    return [kind for i, kind in enumerate(kinds) if i == 0 or kind != "section" or kinds[i - 1] != "section"]


def test_no_template_escapes_this_file() -> None:
    """What is rendered here is every template that there is: a new one that isn't is found."""
    shipped = {path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.*")}
    elsewhere = {name for name in shipped if name.startswith("pages/site/")}  # tests/site does the same
    elsewhere |= {"pages/report.html", "pages/figures.html"}  # and tests/browser/test_report.py
    plain = {"README.md", "pages/relink.css", "pages/report.css", "pages/figures.css"}  # these print no value
    assert rendered("script").files == shipped - elsewhere - plain


def test_slack_keeps_its_structure(filled: Rendered, harmless: Rendered) -> None:
    """No value becomes a block, a header or a button."""
    for name, message in filled.slack.items():
        assert shape(message) == shape(harmless.slack[name]), name


def test_slack_has_no_mention_link_or_formatting_but_ours(hostile: Rendered) -> None:
    """Only a bold first line and our own emoji remain."""
    for name, message in hostile.slack.items():
        for text in map(undated, texts(message)):
            assert "<" not in text, name
            assert ">" not in text, name
            assert not re.search(r"&(?!amp;|lt;|gt;)", text), name
            assert not re.search(r"^(&gt;|>|#)", text, re.MULTILINE), name
            assert not re.search(r"@(channel|here|everyone)", text), name
            titles = re.findall(r"^\*[A-Za-z ,:]+\*$", text, re.MULTILINE)
            assert text.count("*") == 2 * len(titles), name
            assert not re.search(r"[`~]|(?<!\w)_|_(?!\w)", text), name
            assert not re.search(r":\+1:", text), name
            assert text.count(":rotating_light:") <= 1, name


def test_slack_headers_are_plain(hostile: Rendered) -> None:
    """The header isn't parsed by Slack; brackets are look-alikes there all the same."""
    for message in hostile.slack.values():
        for block in message.blocks:
            if block["type"] == "header":
                assert not re.search(r"[<>\r\n]", block["text"]["text"])  # type: ignore[index]


def test_html_keeps_its_structure(filled: Rendered, harmless: Rendered) -> None:
    """The same elements with the same attributes as for a harmless name."""
    documents = {name: mail.html for name, mail in filled.mails.items()} | filled.pages
    expected = {name: mail.html for name, mail in harmless.mails.items()} | harmless.pages
    for name, html in documents.items():
        assert elements(html) == elements(expected[name]), name


def elements(html: str) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    tree = lxml.html.document_fromstring(html)
    return [(str(e.tag), tuple(sorted(e.attrib.items()))) for e in tree.iter() if isinstance(e.tag, str)]


def test_nothing_is_evaluated() -> None:
    """Template syntax in a name is a name."""
    shown = rendered("jinja")
    assert HOSTILE["jinja"] in shown.mails["customer_open"].text
    assert "{{7*7}} {% raw %}" in shown.mails["customer_open"].html
    assert "{{7*7}} {% raw %}" in shown.pages["reconnect_ready"]
    assert "{{7∗7}} {% raw %}" in shown.slack["alert_open"].text
    everything = [*shown.pages.values(), *(mail.html + mail.text for mail in shown.mails.values())]
    assert not any("49" in text for text in everything)


def test_mails_keep_their_headers(hostile: Rendered) -> None:
    """A subject is one line, no value adds a header, and every mail can be encoded."""
    for name, mail in hostile.mails.items():
        assert mail.subject, name
        assert len(mail.subject) <= 200, name
        message = EmailMessage()
        message["Subject"] = mail.subject
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        parsed = message_from_bytes(message.as_bytes(policy=UNFOLDED), policy=policy.SMTP)
        assert set(parsed.keys()) == {"Subject", "MIME-Version", "Content-Type"}, name
        assert parsed["Subject"] == mail.subject, name


def test_text_mails_keep_their_lines(filled: Rendered, harmless: Rendered) -> None:
    """No value adds a line, so none can pretend to be one of ours."""
    for name, mail in filled.mails.items():
        assert mail.text.count("\n") == harmless.mails[name].text.count("\n"), name


def test_no_control_or_invisible_characters_anywhere(hostile: Rendered) -> None:
    """Neither to deceive a reader nor to break a terminal. Ours: word joiners, and isolates of right-to-left names."""
    everything = [text for message in hostile.slack.values() for text in texts(message)]
    everything += [mail.subject for mail in hostile.mails.values()]
    everything += [mail.text for mail in hostile.mails.values()]
    everything += list(hostile.pages.values())
    for text in everything:
        odd = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
        assert odd <= {"\n", "\u2060", "\u2068", "\u2069"}
        assert text.count("\u2068") == text.count("\u2069")


@pytest.mark.parametrize("case", ["arabic", "hebrew"])
def test_right_to_left_names_stay_whole(case: str) -> None:
    """They are shown as they are, isolated so that the sentence around them keeps its order."""
    shown = rendered(case)
    isolated = f"\u2068{HOSTILE[case]}\u2069"
    assert isolated in shown.slack["alert_open"].text
    assert isolated in shown.mails["customer_open"].text
    assert HOSTILE[case].split()[0] in shown.mails["customer_open"].html


ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=300)


@given(ANY_TEXT)
def test_any_value_in_slack_is_one_plain_line(text: str) -> None:
    """Whatever the text: one line that Slack shows as letters."""
    shown = str(for_slack(text))
    shown.encode()
    assert not re.search(r"[\r\n<>*`~\u2028\u2029\x00-\x1f]", shown)
    assert not re.match(r"[#\[\->]|&gt;", shown)
    assert not re.search(r":[\w+'-]+:", shown)


@given(ANY_TEXT, st.integers(2, 50))
def test_any_value_is_one_line_of_limited_length(text: str, limit: int) -> None:
    """Whatever the text: nothing that ends a line or a header, and never longer than allowed."""
    line = one_line(text, limit)
    line.encode()
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert str(for_text(text)).isprintable() or "\u2068" in str(for_text(text)) or not text.isprintable()


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://acme.example/r/x?y=1&z=2#a", True),
        ("http://127.0.0.1:8080/r/x", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("https:///nowhere", False),
        ("https://a.example/\r\nBcc: x", False),
        ("https://a.example/ onclick=x", False),
        ('https://a.example/"><script>', False),
        ("https://[broken", False),
        ("", False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(address: str | None, kept: bool) -> None:
    """Everything else is left out."""
    assert safe_url(address) == (address if kept else "")
