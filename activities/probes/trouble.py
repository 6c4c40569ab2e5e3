"""Why there was no answer, in words and codes that the classifier knows.

Only a certificate that does not verify is held against the peer for good. Everything else below HTTP may be gone at
the next look, an unknown name included: one lookup cannot tell a deleted domain from a name server in trouble.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator

import httpcore
import httpx

from activities.probes.addresses import UnresolvedError

_WORDS = {
    errno.ECONNREFUSED: ("ECONNREFUSED", "connection refused"),
    errno.ENETUNREACH: ("ENETUNREACH", "network is unreachable"),
    errno.EHOSTUNREACH: ("EHOSTUNREACH", "no route to host"),
    errno.ECONNRESET: ("ECONNRESET", "the connection was reset"),
    errno.EPIPE: ("ECONNRESET", "the connection was reset"),
}
_CERTIFICATE_CODES = {  # X509_V_ERR_* of OpenSSL, in the names that Node made common
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    62: "ERR_TLS_CERT_ALTNAME_INVALID",
}


class NoAnswerError(httpx.TransportError):
    """There was no complete answer. `code` is an errno-like name, `words` a few words without addresses."""

    def __init__(self, code: str | None, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


def in_words(error: Exception, cap: float) -> NoAnswerError:
    """What httpcore, the resolver or the clock raised; `cap` is the request's limit in seconds."""
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = _CERTIFICATE_CODES.get(cause.verify_code, "CERTIFICATE_VERIFY_FAILED")
            return NoAnswerError(code, f"certificate verify failed: {cause.verify_message}"[:300])
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            reason = re.sub(r"[^A-Za-z0-9_ ]", "", cause.reason or "interrupted")
            return NoAnswerError("ECONNRESET", f"the TLS handshake did not complete: {reason}"[:300])
        if isinstance(cause, UnresolvedError):
            return NoAnswerError("EAI_AGAIN", "the name could not be resolved at the moment")
        if isinstance(cause, OSError) and cause.errno in _WORDS:
            return NoAnswerError(*_WORDS[cause.errno])
    if isinstance(error, httpcore.ConnectTimeout):
        return NoAnswerError("ETIMEDOUT", "connect timed out")
    if isinstance(error, (TimeoutError, httpcore.TimeoutException)):
        return NoAnswerError("ESOCKETTIMEDOUT", f"timed out: no complete answer within {cap:g} s")
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnect" not in str(error).lower():
        return NoAnswerError(None, "the answer is not HTTP, or ended too early")
    return NoAnswerError("ECONNRESET", "the connection was closed before the answer was complete")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        cause = queue.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        queue += [cause.__cause__, cause.__context__]
