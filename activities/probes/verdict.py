"""From a failed request to what it proves, in one place for all monitors."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from activities.probes.answer import Answer
from activities.probes.seen import Seen
from activities.probes.trouble import NoAnswerError
from workflows.contracts import Check
from workflows.domain.diagnosis import Catalogue, ConnectionState, Diagnosis, Failure, Surface, diagnose

_SURE = 0.55  # a less confident 'disconnected' waits for a second look: a guess disturbs nobody
_STORED_CHARACTERS = 4_000
_TOKENS = re.compile(
    r"""(["']?\b\w{0,20}(?:access_token|refresh_token|id_token|client_secret|password|api_key)["']?\s{0,3}[:=]\s{0,3}["']?)"""
    r"""([^"'&\s<>,}]{4,})""",
    re.IGNORECASE,
)


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
    hidden = sorted({*secrets, *(word for s in secrets for word in s.split())}, key=len, reverse=True)

    def blank(text: str | None) -> str | None:
        if text is None:
            return None
        for secret in hidden:
            if len(secret) >= 6:  # shorter ones are words such as "Basic"
                text = text.replace(secret, "[secret]")
        return _TOKENS.sub(r"\1[secret]", text)[:_STORED_CHARACTERS]

    failure = seen.failure
    cleaned = failure.model_copy(
        update={
            "body": blank(failure.body),
            "error_code": blank(failure.error_code),
            "error_description": blank(failure.error_description),
        }
    )
    return replace(seen, failure=cleaned)
