"""A message document as Slack blocks, inside Slack's limits whatever the length of names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    InteractiveElement,
    MarkdownTextObject,
    Option,
    PlainTextObject,
    SectionBlock,
    StaticSelectElement,
)

from activities.phrases import shorten
from activities.rendering_document import Action, Document, Part
from activities.rendering_safety import Url, for_slack_plain, without_tokens
from activities.views import SlackMessage

SECTION_LIMIT = 3000  # characters; Slack refuses the whole message beyond any of these
HEADER_LIMIT = 150
LABEL_LIMIT = 75
BLOCK_LIMIT = 50
TEXT_LIMIT = 4000
URL_LIMIT = 3000

PRIMARY = {"send_fix_instructions", "acknowledge"}  # the one thing to do; the first of them on a message is green


def to_slack(document: Document, *, incident_id: UUID, status_url: Url) -> SlackMessage:
    """Blocks that Slack accepts. Every button carries the incident's id, a menu's choices "<incident id>:<choice>".

    Raises SlackObjectFormationError if a template asks for something that Slack would refuse.
    """
    blocks = [block for part in document.parts for block in _blocks(part, incident_id, status_url)]
    _accent(blocks)
    return SlackMessage(
        text=_fitting(without_tokens(document.notification), TEXT_LIMIT),
        blocks=tuple(block.to_dict() for block in blocks[:BLOCK_LIMIT]),
    )


def _blocks(part: Part, incident_id: UUID, status_url: Url) -> Iterator[Block]:
    if part.kind == "heading":
        text = shorten(for_slack_plain(part.lines[0]), HEADER_LIMIT)
        yield HeaderBlock(text=PlainTextObject(text=text, emoji=True))
    elif part.kind == "actions":
        elements = [element for action in part.actions for element in _element(action, incident_id, status_url)]
        if elements:
            yield ActionsBlock(elements=elements)
    elif part.kind == "small":
        for text in _pieces(list(part.lines)):
            yield ContextBlock(elements=[_mrkdwn(text)])
    else:
        title = [f"*{part.title}*"] if part.title else []
        for text in _pieces(title + list(part.lines)):
            yield SectionBlock(text=_mrkdwn(text))


def _pieces(lines: list[str]) -> Iterator[str]:
    """Lines joined into as few texts as Slack's limit allows."""
    piece = ""
    for line in lines:
        if piece and len(piece) + 1 + len(line) > SECTION_LIMIT:
            yield piece
            piece = ""
        piece = f"{piece}\n{line}" if piece else _fitting(line, SECTION_LIMIT)
    if piece:
        yield piece


def _fitting(escaped: str, limit: int) -> str:
    """A text, cut only if it is too long, and then not inside an escaped character or a date."""
    return escaped if len(escaped) <= limit else re.sub(r"(?:&[a-z]{0,3}|<[^>]*)$", "", escaped[: limit - 1]) + "…"


def _mrkdwn(text: str) -> MarkdownTextObject:
    # verbatim: addresses, #channels and @names inside customers' texts don't become links
    return MarkdownTextObject(text=text, verbatim=True)


def _element(action: Action, incident_id: UUID, status_url: Url) -> Iterator[InteractiveElement]:
    label = shorten(for_slack_plain(action.label), LABEL_LIMIT)
    if action.choices:
        options = [
            Option(value=f"{incident_id}:{value}", text=PlainTextObject(text=shorten(name, LABEL_LIMIT), emoji=True))
            for value, name in action.choices
        ]
        yield StaticSelectElement(
            action_id=action.action_id, placeholder=PlainTextObject(text=label, emoji=True), options=options
        )
    elif not action.is_link:
        yield ButtonElement(text=label, action_id=action.action_id, value=str(incident_id))
    elif status_url and len(status_url) <= URL_LIMIT:
        yield ButtonElement(text=label, action_id=action.action_id, value=str(incident_id), url=status_url)


def _accent(blocks: list[Block]) -> None:
    buttons = (
        element
        for block in blocks
        if isinstance(block, ActionsBlock)
        for element in block.elements
        if isinstance(element, ButtonElement) and element.action_id in PRIMARY
    )
    if first := next(buttons, None):
        first.style = "primary"
