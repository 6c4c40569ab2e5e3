"""From a failed request to what it proves, in one place for all monitors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from activities.blanking import blanked
from activities.probes.answer import Answer
from activities.probes.seen import Seen
from activities.probes.trouble import NoAnswerError
from workflows.contracts import Check
from workflows.domain.diagnosis import Catalogue, ConnectionState, Diagnosis, Failure, Surface, diagnose

_SURE = 0.55  # a less confident 'disconnected' waits for a second look: a guess disturbs nobody


class Judge:
    """Broken only if the diagnosis says disconnected and is sure of it: what may pass by itself proves nothing."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def failed(self, failure: Failure, detail: str, **more: Any) -> Seen:
        """`more` are further fields of Seen."""
        diagnosis = diagnose(failure, self.catalogue)
        sure = diagnosis.connection_state is ConnectionState.DISCONNECTED and diagnosis.confidence >= _SURE
        return Seen(Check.BROKEN if sure else Check.INCONCLUSIVE, detail, failure, diagnosis, **more)

    def refused(self, provider: str, surface: Surface, answer: Answer, detail: str) -> Seen:
        """The answer is not the one that was wanted."""
        challenge = answer.challenge
        failure = Failure(
            provider=provider,
            surface=surface,
            http_status=answer.status,
            error_code="rate_limited" if answer.is_used_up else challenge.get("error"),
            error_description=challenge.get("error_description"),
            body=answer.text,
        )
        return self.failed(failure, detail, latency=answer.latency, retry_after=answer.retry_after)

    def unanswered(self, provider: str, error: NoAnswerError, what: str) -> Seen:
        failure = Failure(
            provider=provider, surface=Surface.NETWORK, error_code=error.code, error_description=error.words
        )
        return self.failed(failure, f"no answer from {what}: {error.words}")

    def stated(self, check: Check, failure: Failure, detail: str, state: ConnectionState, **words: Any) -> Seen:
        """A finding of our own that no provider put into words; `words` replace the diagnosis's."""
        diagnosis: Diagnosis = diagnose(failure, self.catalogue)
        return Seen(check, detail, failure, diagnosis.model_copy(update={"connection_state": state, **words}))


def ready_to_store(seen: Seen, secrets: Collection[str]) -> Seen:
    """Blanks what nobody may read later (the monitor's own secrets, tokens in the answer) and cuts the body."""
    if seen.failure is None:
        return seen
    said = seen.failure.model_dump(include={"body", "error_code", "error_description"}, exclude_none=True)
    cleaned = {name: blanked(text, secrets) for name, text in said.items()}
    return replace(seen, failure=seen.failure.model_copy(update=cleaned))
