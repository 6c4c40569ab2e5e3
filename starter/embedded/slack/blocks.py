"""Slack's limits on blocks, checked as Slack checks them: https://docs.slack.dev/reference/block-kit/blocks"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

MAX_TEXT = 40_000
MAX_BLOCKS_IN_MESSAGE = 50
MAX_BLOCKS_IN_VIEW = 100
_BLOCK_TYPES = {"section", "header", "divider", "context", "actions", "image", "input", "rich_text"}


def problems_of_message(blocks: object) -> list[str]:
    """Why Slack would answer `invalid_blocks`; nothing if it would not."""
    return list(_blocks(blocks, MAX_BLOCKS_IN_MESSAGE))


def problems_of_view(view: object) -> list[str]:
    """Why Slack would refuse a modal; nothing if it would not."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["view must be an object of type modal [json-pointer:/view/type]"]
    return [
        *_text(view.get("title"), 24, "/title", plain=True),
        *(
            problem
            for part in ("submit", "close")
            if part in view
            for problem in _text(view[part], 24, f"/{part}", plain=True)
        ),
        *_length(view.get("private_metadata", ""), 3000, "/private_metadata", least=0),
        *_length(view.get("callback_id", ""), 255, "/callback_id", least=0),
        *_blocks(view.get("blocks"), MAX_BLOCKS_IN_VIEW),
    ]


def _blocks(blocks: object, most: int) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield "must be an array [json-pointer:/blocks]"
        return
    if len(blocks) > most:
        yield f"no more than {most} items allowed [json-pointer:/blocks]"
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(ids) != len(set(ids)):
        yield "`block_id` must be unique [json-pointer:/blocks]"
    for position, block in enumerate(blocks):
        yield from _block(block, f"/blocks/{position}")


def _block(block: object, at: str) -> Iterator[str]:
    if not isinstance(block, dict) or block.get("type") not in _BLOCK_TYPES:
        yield f"unsupported type [json-pointer:{at}/type]"
        return
    yield from _length(block.get("block_id", ""), 255, f"{at}/block_id", least=0)
    match block["type"]:
        case "header":
            yield from _text(block.get("text"), 150, f"{at}/text", plain=True)
        case "section":
            yield from _section(block, at)
        case "context":
            yield from _context(block, at)
        case "actions":
            elements = block.get("elements")
            yield from _count(elements, 25, f"{at}/elements")
            yield from _elements(elements if isinstance(elements, list) else [], f"{at}/elements")
        case "input":
            yield from _text(block.get("label"), 2000, f"{at}/label", plain=True)
            yield from _elements([block.get("element")], f"{at}/element")
        case "image":
            yield from _length(block.get("image_url", ""), 3000, f"{at}/image_url")
            yield from _length(block.get("alt_text", ""), 2000, f"{at}/alt_text")


def _section(block: dict[str, Any], at: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text or fields [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], 3000, f"{at}/text")
    if "fields" in block:
        yield from _count(block["fields"], 10, f"{at}/fields")
        for position, field in enumerate(block["fields"]):
            yield from _text(field, 2000, f"{at}/fields/{position}")
    if "accessory" in block:
        yield from _elements([block["accessory"]], f"{at}/accessory")


def _context(block: dict[str, Any], at: str) -> Iterator[str]:
    elements = block.get("elements")
    yield from _count(elements, 10, f"{at}/elements")
    for position, element in enumerate(elements if isinstance(elements, list) else []):
        if not isinstance(element, dict) or element.get("type") != "image":
            yield from _text(element, 3000, f"{at}/elements/{position}")


def _elements(elements: Sequence[object], at: str) -> Iterator[str]:
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    named = [action_id for action_id in ids if action_id]
    if len(named) != len(set(named)):
        yield f"`action_id` must be unique [json-pointer:{at}]"
    for position, element in enumerate(elements):
        where = f"{at}/{position}"
        if not isinstance(element, dict) or "type" not in element:
            yield f"missing required field: type [json-pointer:{where}]"
            continue
        yield from _length(element.get("action_id", ""), 255, f"{where}/action_id", least=0)
        if element["type"] == "button":
            yield from _button(element, where)
        if "options" in element:
            yield from _count(element["options"], 100, f"{where}/options")


def _button(button: dict[str, Any], at: str) -> Iterator[str]:
    yield from _text(button.get("text"), 75, f"{at}/text", plain=True)
    yield from _length(button.get("value", ""), 2000, f"{at}/value", least=0)
    yield from _length(button.get("url", ""), 3000, f"{at}/url", least=0)
    if button.get("style", "primary") not in ("primary", "danger"):
        yield f"must be one of: primary, danger [json-pointer:{at}/style]"
    if "confirm" in button:
        confirm = button["confirm"] if isinstance(button["confirm"], dict) else {}
        yield from _text(confirm.get("title"), 100, f"{at}/confirm/title", plain=True)
        yield from _text(confirm.get("text"), 300, f"{at}/confirm/text")


def _text(text: object, most: int, at: str, *, plain: bool = False) -> Iterator[str]:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield f"must be a text object of type {' or '.join(kinds)} [json-pointer:{at}]"
        return
    yield from _length(text.get("text"), most, f"{at}/text")


def _length(value: object, most: int, at: str, *, least: int = 1) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{at}]"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}]"
    elif len(value) < least:
        yield f"must be more than {least - 1} characters [json-pointer:{at}]"


def _count(items: object, most: int, at: str) -> Iterator[str]:
    if not isinstance(items, list) or not items:
        yield f"no fewer than 1 items allowed [json-pointer:{at}]"
    elif len(items) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"
