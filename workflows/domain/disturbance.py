"""What passes by itself: a call that was cut off, a server that is down, busy or says "later".

While a failure says so, nothing but a code that can mean nothing else is believed when it speaks of a dead connection.
"""

from __future__ import annotations

from workflows.domain.failure_body import Evidence, Surface, code_key
from workflows.domain.phrase import Phrase, compile_phrase

_SERVERS = (Surface.REST_API, Surface.TOKEN_ENDPOINT, Surface.OIDC)  # where a 5xx speaks of the provider, not of us


def _phrases(*sources: str) -> tuple[Phrase, ...]:
    return tuple(map(compile_phrase, sources))


_DOWN = _phrases(
    "temporarily", "temporary (error|failure|problem|issue|outage|overload|disruption|glitch)", "transient",
    "(try|retry) (again )?(later|shortly|tomorrow)", "(try|retry) again in", "retry (after|in)", "at the moment",
    "retry your request", "in a few (seconds|minutes|moments)", "be back (soon|shortly)",
    "under maintenance", "maintenance (window|mode)", "(scheduled|planned) maintenance",
    "overloaded", "over capacity", "too busy", "is busy", "outage", "service unavailable", "bad gateway",
    "gateway timeout", "internal (server )?error", "too many requests", "rate limit",
)  # fmt: skip
_INTERRUPTED = _phrases(
    "timed out", "timeout", "time-out", "deadline exceeded", "econnreset", "econnrefused", "eai_again",
    "socket hang up", "connection (was )?(reset|refused|closed|aborted|lost)", "broken pipe",
)  # fmt: skip
# Where something ran out, nothing was interrupted.
_RAN_OUT = _phrases("(session|token|grant|login|idle|inactivity|code) (has |have |was )?(timed out|timeout)")

# What token endpoints and APIs also answer when only something behind them is down.
VAGUE_CODES = frozenset(
    code_key(code)
    for code in (
        "invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "invalid_request", "invalid_token",
        "invalid_auth", "unauthorized", "unauthenticated", "forbidden", "permission_denied", "not_found", "error",
        "login_required", "interaction_required",
    )
)  # fmt: skip


def is_passing(evidence: Evidence) -> bool:
    """Whether the failure itself says that it is a disturbance."""

    def says(phrases: tuple[Phrase, ...]) -> bool:
        return any(phrase.found_in(evidence.text) for phrase in phrases)

    if evidence.surface in _SERVERS and evidence.status is not None and evidence.status >= 500:
        return True
    # Who gave up a webhook names the timeouts that made them do it.
    interrupted = evidence.surface is not Surface.WEBHOOK and says(_INTERRUPTED) and not says(_RAN_OUT)
    return interrupted or says(_DOWN)
