"""The structure of a message template. It reads as the message looks, and becomes Slack blocks or a mail:

    Notification: what a phone shows
    # a heading
    *A title:*              first line of a paragraph; a paragraph ends with an empty line
    -# small print
    [action_id: Label] [other_action: Label | value: Choice | value: Choice]

Values can't add structure: they are one line and never begin with one of these signs (rendering_safety.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from activities.rendering_safety import Clean

_ACTION = re.compile(r"\[([a-z_]+): ([^\]]+)\]")
_ACTION_LINE = re.compile(r"(?:\[[a-z_]+: [^\]]+\]\s*)+")
_TITLE = re.compile(r"\*(.+)\*")


@dataclass(frozen=True)
class Action:
    """A button, or a menu where it has choices (value, label)."""

    action_id: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def is_link(self) -> bool:
        """It opens the page that the message is given, and does nothing else."""
        return self.action_id.startswith("view_")


@dataclass(frozen=True)
class Part:
    """One block: `kind` is heading, text, small or actions."""

    kind: str
    lines: tuple[str, ...] = ()
    title: str | None = None
    actions: tuple[Action, ...] = ()

    @property
    def list_kind(self) -> str | None:
        """ "bullets" or "steps" where every line is one, for a mail's real lists."""
        if self.lines and all(line.startswith("- ") for line in self.lines):
            return "bullets"
        if self.lines and all(re.match(r"\d+\. ", line) for line in self.lines):
            return "steps"
        return None

    @property
    def items(self) -> tuple[str, ...]:
        """The lines of a list without their bullets and numbers."""
        return tuple(Clean(line.partition(" ")[2]) for line in self.lines)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...] | None:
        """(label, value) of every line, where all of them are "Label: value"."""
        found = [re.fullmatch(r"([A-Z][A-Za-z ]{0,40}):(?: (.*))?", line) for line in self.lines]
        return tuple((match[1], Clean(match[2] or "")) for match in found if match) if found and all(found) else None


@dataclass(frozen=True)
class Document:
    notification: str
    parts: tuple[Part, ...] = ()

    @property
    def link_label(self) -> str:
        """What the button that opens a page is called, for a mail."""
        actions = (action for part in self.parts for action in part.actions)
        return next((action.label for action in actions if action.is_link), "View Integration Status")


def parse_document(rendered: str) -> Document:
    """Reads a rendered message template. Without a `Notification:` its lines of text are the notification."""
    notification = Clean("")
    parts: list[Part] = []
    for paragraph in re.split(r"\n\s*\n", rendered.strip()):
        lines = [Clean(line.strip()) for line in paragraph.splitlines() if line.strip()]
        if lines and lines[0].startswith("Notification: "):
            notification = Clean(lines.pop(0).removeprefix("Notification: "))
        parts += _parts(lines)
    said = Clean(" ".join(line for part in parts if part.kind == "text" for line in part.lines))
    return Document(notification or said, tuple(parts))


def _parts(lines: list[Clean]) -> list[Part]:
    """A paragraph, split where the kind of its lines changes; each line of actions is a row of its own."""
    parts: list[Part] = []
    for line in lines:
        part = _part(line)
        before = parts[-1] if parts else None
        if before and part.kind == before.kind in {"text", "small"} and part.title is None:
            parts[-1] = Part(before.kind, before.lines + part.lines, before.title)
        else:
            parts.append(part)
    return parts


def _part(line: Clean) -> Part:
    if line.startswith("# "):
        return Part("heading", (Clean(line[2:].strip()),))
    if line.startswith("-# "):
        return Part("small", (Clean(line[3:].strip()),))
    if _ACTION_LINE.fullmatch(line):
        return Part("actions", actions=tuple(_action(*found) for found in _ACTION.findall(line)))
    if title := _TITLE.fullmatch(line):
        return Part("text", title=title[1])
    return Part("text", (line,))


def _action(action_id: str, text: str) -> Action:
    label, *choices = (piece.strip() for piece in text.split("|"))
    pairs = (choice.partition(": ") for choice in choices)
    return Action(action_id, label, tuple((value, name) for value, _, name in pairs))
