"""Slack's text formatting as HTML: https://docs.slack.dev/messaging/formatting-message-text"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from activities import phrases

_CODE = re.compile(r"\n?```(?P<block>.+?)```\n?|`(?P<inline>[^`\n]+)`", re.DOTALL)
_TOKEN = re.compile(r"<([^<>\n]+)>")
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_HELD = re.compile("\ue000(\\d+)\ue001")  # private-use characters stand for what is already HTML
_STYLES = ((r"\*", "b"), ("_", "i"), ("~", "s"))
EMOJI = {
    "+1": "👍", "alarm_clock": "⏰", "arrow_right": "➡️", "arrow_up": "⬆️", "arrows_counterclockwise": "🔄",
    "ballot_box_with_check": "☑️", "bar_chart": "📊", "bell": "🔔", "bulb": "💡", "bust_in_silhouette": "👤",
    "calendar": "📅", "chart_with_downwards_trend": "📉", "chart_with_upwards_trend": "📈", "clipboard": "📋",
    "clock3": "🕒", "electric_plug": "🔌", "email": "✉️", "envelope": "✉️", "exclamation": "❗", "eyes": "👀",
    "file_folder": "📁", "fire": "🔥", "gear": "⚙️", "grey_question": "❔", "heavy_check_mark": "✔️",
    "hourglass": "⌛", "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️", "key": "🔑", "large_blue_circle": "🔵", "large_green_circle": "🟢",
    "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "leftwards_arrow_with_hook": "↩️", "link": "🔗",
    "lock": "🔒", "mag": "🔍", "mailbox_with_mail": "📬", "memo": "📝", "no_bell": "🔕", "no_entry": "⛔",
    "point_right": "👉", "question": "❓", "raised_hand": "✋", "red_circle": "🔴", "repeat": "🔁",
    "rotating_light": "🚨", "speech_balloon": "💬", "tada": "🎉", "telephone_receiver": "📞", "warning": "⚠️",
    "wave": "👋", "white_check_mark": "✅", "wrench": "🔧", "x": "❌", "zap": "⚡", "zzz": "💤",
}  # fmt: skip
_DATE_FORMATS = {
    "date_num": "%Y-%m-%d", "date": "%B %-d, %Y", "date_short": "%b %-d, %Y", "date_long": "%A, %B %-d, %Y",
    "date_pretty": "%B %-d, %Y", "date_short_pretty": "%b %-d, %Y", "date_long_pretty": "%A, %B %-d, %Y",
    "time": "%-I:%M %p", "time_secs": "%-I:%M:%S %p",
}  # fmt: skip


def emoji(text: str) -> Markup:
    """Plain text, with `:name:` as the emoji where we know it."""
    return Markup(_with_emoji(str(escape(html.unescape(text)))))  # noqa: S704 (escaped just now)


def mrkdwn(text: str, name_of: Callable[[str], str | None]) -> Markup:
    """The text as HTML; nothing in it becomes markup but what mrkdwn allows. `name_of` knows users and channels."""
    parts: list[str] = []
    end = 0
    for match in _CODE.finditer(text):
        parts.append(_formatted(text[end : match.start()], name_of))
        tag, code = ("pre", match["block"]) if match["block"] else ("code", match["inline"])
        parts.append(f"<{tag}>{escape(html.unescape(code).strip(chr(10)))}</{tag}>")
        end = match.end()
    parts.append(_formatted(text[end:], name_of))
    return Markup("".join(parts))  # noqa: S704 (each part is escaped where it is made)


def _formatted(text: str, name_of: Callable[[str], str | None]) -> str:
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(_token(match[1], name_of))
        return f"\ue000{len(held) - 1}\ue001"

    text = _TOKEN.sub(hold, text.replace("\ue000", "").replace("\ue001", ""))
    text = str(escape(html.unescape(text)))
    for mark, tag in _STYLES:
        text = re.sub(rf"(?<![\w{mark}]){mark}(\S(?:[^{mark}\n]*\S)?){mark}(?!\w)", rf"<{tag}>\1</{tag}>", text)
    text = re.sub(r"^&gt; ?(.*)\n?", r"<blockquote>\1</blockquote>", text, flags=re.MULTILINE)
    text = _with_emoji(text).replace("\n", "<br>")
    return _HELD.sub(lambda match: held[int(match[1])], text)


def _token(token: str, name_of: Callable[[str], str | None]) -> str:
    """`<…>`: a link, a user, a channel, a date or a special mention."""
    target, _, label = token.partition("|")
    if re.match(r"(?:https?|mailto):", target):
        href = html.unescape(target)
        link = Markup('<a href="{}" target="_blank" rel="noreferrer">{}</a>')
        return str(link.format(href, html.unescape(label) or href.removeprefix("mailto:")))
    if target.startswith("!date^"):
        return str(escape(_date(target) or html.unescape(label)))
    if target.startswith(("@", "#")):
        name = name_of(target[1:]) or html.unescape(label) or target[1:]
        return str(Markup('<span class="mention">{}{}</span>').format(target[0], name))
    if target.startswith("!"):
        return str(Markup('<span class="mention">@{}</span>').format(html.unescape(label or target[1:])))
    return str(escape(html.unescape(f"<{token}>")))


def _date(target: str) -> str | None:
    """`!date^1764000000^{date_short} at {time}` in UTC, or None if it is not well-formed."""
    parts = target.split("^")
    if len(parts) < 3 or not parts[1].isdigit():
        return None
    at = datetime.fromtimestamp(int(parts[1]), UTC)
    written = re.sub(r"(\{time(?:_secs)?\})", r"\1 UTC", parts[2].replace("{ago}", _ago(datetime.now(UTC) - at)))
    return html.unescape(re.sub(r"\{(\w+)\}", lambda match: at.strftime(_DATE_FORMATS.get(match[1], "")), written))


def _ago(passed: timedelta) -> str:
    span = phrases.roughly(abs(passed))
    return f"{span} ago" if passed >= timedelta() else f"{span} from now"


def _with_emoji(escaped: str) -> str:
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), escaped)
