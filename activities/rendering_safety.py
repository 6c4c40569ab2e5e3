"""What may happen to a value on its way into a message. Values come from customers and providers: none of them may
become a line, a header, a mention, a link or formatting. Jinja calls these functions on everything that a template
prints; what a template itself says is left as it is.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from markupsafe import Markup

from activities.phrases import shorten

VALUE_LIMIT = 1500  # of anything that a template prints; names and lines are shortened earlier, see rendering_facts.py

_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")  # \s holds line and paragraph separators too
# Directional overrides (a name could reverse the text around it), soft hyphens, zero-width spaces, tags, annotations
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")  # from JSON such as "\ud83d": can't be encoded
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_WORD_JOINER = "\u2060"
_DATE_TOKEN = re.compile(r"<!date\^[^|<>]*\|([^|<>]*)>")

_STAND_INS = str.maketrans({"*": "∗", "`": "ˋ", "~": "∼"})
_FORMATTING_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # not one inside a word such as refresh_token
_EMOJI_CODE = re.compile(r":(?=[\w+'-]+:)")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)


class Clean(str):
    """A text that went through this file already: printed as it is (in HTML still escaped)."""


class Url(Clean):
    """An http(s) address that was checked, or an empty one."""


class Dated(Clean):
    """A text that says when; in Slack `token` says it instead: in the zone of whoever reads it, and "3 hours ago" goes
    on counting."""

    token: str

    def __new__(cls, text: str, token: str) -> Dated:
        made = super().__new__(cls, text)
        made.token = token
        return made


def safe_url(address: str | None) -> Url:
    """The address if it is a plain http(s) one, else an empty one: no `javascript:`, no spaces or controls."""
    if not address or re.search(r"[\s\x00-\x1f\x7f-\x9f<>\"\\]", address):
        return Url("")
    try:
        parts = urlsplit(address)
    except ValueError:
        return Url("")
    return Url(address if parts.scheme in {"http", "https"} and parts.netloc else "")


def one_line(value: object, limit: int = VALUE_LIMIT) -> str:
    """One line without control or invisible characters, at most `limit` characters."""
    return shorten(_visible(str(value)[: limit * 8]).strip(), limit)


def _visible(text: str) -> str:
    return _LONE_SURROGATES.sub("\ufffd", _INVISIBLE.sub("", _GAPS.sub(" ", text)))


def _isolated(text: str) -> str:
    """Text with right-to-left letters, wrapped so that it can't reorder the line around it (Unicode UAX #9)."""
    if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text):
        return f"{_ISOLATE}{text}{_END_ISOLATE}"
    return text


def for_text(value: object) -> object:
    """A value in a plain text mail, a subject, or (before Jinja escapes it) in HTML."""
    if value is None:
        return ""
    if isinstance(value, Markup | Clean):
        return value
    text = str(value)  # a StrictUndefined raises here
    # not stripped: a space at the end of a template's own literal is meant
    return _isolated(shorten(_visible(text[: VALUE_LIMIT * 8]), VALUE_LIMIT))


def for_document(value: object) -> object:
    """A value in a message document whose structure is read from the starts of lines; see rendering_document.py."""
    return _not_structure(str(for_text(value)))


def for_slack(value: object) -> object:
    """A value in Slack's mrkdwn. Slack has no way to escape formatting, so its characters become look-alikes."""
    if isinstance(value, Dated):
        return value.token
    text = str(for_text(value)).translate(_STAND_INS)
    text = _FORMATTING_UNDERSCORE.sub("ˍ", text)
    text = _EMOJI_CODE.sub("꞉", text)
    text = _BROADCAST.sub(f"@{_WORD_JOINER}", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _not_structure(text)


def _not_structure(text: str) -> str:
    """Keeps a value at the start of a line from being read as structure or, by Slack, as a quotation."""
    return _WORD_JOINER + text if text.startswith(("#", "[", "-", "*", ">", "&gt;")) else text


def without_tokens(rendered: str) -> str:
    """Rendered mrkdwn with its dates as texts, for places where Slack reads no tokens."""
    return _DATE_TOKEN.sub(lambda token: token[1], rendered)


def for_slack_plain(rendered: str) -> str:
    """Rendered mrkdwn as a `plain_text` object: Slack parses nothing there; brackets stay look-alikes all the same."""
    return without_tokens(rendered).replace("&lt;", "‹").replace("&gt;", "›").replace("&amp;", "&")
