"""Histories of responses, as JSON with one event a line. `pytest tests/workflows --record-histories` writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parent / "histories"

# People, addresses, names of customers and integrations, tokens and secrets of the tests' world: none of this may be
# in any history, because histories are kept for long and read by many.
PEOPLE = ("maria", "lopez", "tom reed", "bob", "smith", "ann lee", "it admin", "@vendor", "@techcorp")
CANARIES = (
    *PEOPLE,
    *("techcorp", "crm sync", "acme", ".example"),
    *("xoxb", "secret", "refresh_token", "bearer", "expired access/refresh token"),
)

_CANARY = re.compile("|".join(map(re.escape, CANARIES)).encode(), re.IGNORECASE)
_PERSON = re.compile("|".join(map(re.escape, PEOPLE)), re.IGNORECASE)

# Ids of requests, tasks and workers, sizes and prices: a replay needs none of it.
_NOISE = {
    *("identity", "taskId", "requestId", "historySizeBytes", "meteringMetadata", "workerVersion", "binaryChecksum"),
    *("userMetadata", "links", "principal", "sdkName", "sdkVersion", "useWorkflowBuildId", "version"),
}


_saved: set[str] = set()


def save_once(name: str, history: WorkflowHistory) -> None:
    """Writes one history without its noise; of a test with parameters, that of the first."""
    if name in _saved:
        return
    _saved.add(name)
    events = [_without_noise(event) for event in history.to_json_dict()["events"]]
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(f'{{"events":[\n{lines}\n]}}\n', encoding="utf-8")


def load(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"replay/{path.stem}", path.read_text(encoding="utf-8"))


def canaries_in(history: WorkflowHistory) -> list[str]:
    """The events of a history, payloads and summaries included, that contain something that must not be there."""
    events = (event.SerializeToString() for event in history.events)
    return [event.decode(errors="replace") for event in events if _CANARY.search(event)]


def names_somebody(text: str) -> bool:
    """Whether a line of a timeline or a log names a person or an address."""
    return _PERSON.search(text) is not None


def _without_noise(value: Any) -> Any:
    if isinstance(value, dict):
        is_sticky = value.get("kind") == "TASK_QUEUE_KIND_STICKY"  # named after the worker's process and host
        noise = {*_NOISE, "name"} if is_sticky else _NOISE
        return {name: _without_noise(inner) for name, inner in value.items() if name not in noise}
    if isinstance(value, list):
        return [_without_noise(item) for item in value]
    return value
