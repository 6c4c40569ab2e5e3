"""SAML single sign-on (monitor `saml`, FR-1.4): the identity provider's metadata and its signing certificates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activities.probes.clock import about_clock
from activities.probes.http import Answer, NoAnswerError, ProbeClient
from activities.probes.metadata import Metadata, MetadataError, read_metadata
from activities.probes.monitor import SamlMonitor
from activities.probes.seen import Expiry, Known, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Failure, Surface

_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class SamlProbe:
    client: ProbeClient
    judge: Judge

    async def look(self, provider: str, monitor: SamlMonitor, known: Known) -> Seen:
        try:
            answer = await self.client.request("GET", monitor.metadata_url, max_bytes=_MOST_BYTES)
        except NoAnswerError as error:
            return self.judge.unanswered(provider, error, "the metadata address")
        if answer.status != 200:
            where = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
            said = f"the metadata address answered {answer.status}{where}"
            return self.judge.refused(provider, Surface.SAML, answer, said)
        if answer.cut:
            return self._unreadable(provider, answer, "the metadata is larger than 1 MiB")
        try:
            metadata = read_metadata(answer.body)
        except MetadataError as error:
            return self._unreadable(provider, answer, str(error))
        return replace(self._judged(provider, answer, metadata, known.now), latency=answer.latency)

    def _judged(self, provider: str, answer: Answer, metadata: Metadata, now: datetime) -> Seen:
        valid = [c for c in metadata.certificates if c.begins <= now < c.ends]
        if not metadata.certificates:
            return Seen(Check.INCONCLUSIVE, "the metadata holds no signing certificate that can be read")
        last = max(c.ends for c in metadata.certificates)
        # Several certificates are a rotation under way, so the newest end counts: to warn of the old one is noise.
        expiry = Expiry("saml_certificate", last, "customer", f"{provider} SAML signing certificate")
        if not valid:
            when = "has expired" if last <= now else "is not yet valid"
            seen = self._failed(
                provider, answer, f"the identity provider's signing certificate {when} ({last:%Y-%m-%d})"
            )
            return replace(seen, expiries=(expiry,))
        detail = f"the metadata holds a signing certificate valid until {max(c.ends for c in valid):%Y-%m-%d}"
        if len(metadata.certificates) > 1:
            detail += f" ({len(valid)} of {len(metadata.certificates)} are valid: a rotation may be under way)"
        if metadata.valid_until is not None and metadata.valid_until + timedelta(minutes=5) < now:
            return Seen(Check.DEGRADED, f"the metadata itself expired on {metadata.valid_until:%Y-%m-%d}; {detail}",
                        expiries=(expiry,))  # fmt: skip
        return Seen(Check.WORKING, detail + about_clock(answer), expiries=(expiry,))

    def _unreadable(self, provider: str, answer: Answer, problem: str) -> Seen:
        """Whatever the words: a page that is no metadata, today, proves nothing about people's logins."""
        return replace(self._failed(provider, answer, problem), check=Check.INCONCLUSIVE)

    def _failed(self, provider: str, answer: Answer, problem: str) -> Seen:
        failure = Failure(provider=provider, surface=Surface.SAML, error_description=problem)
        return replace(self.judge.failed(failure, problem), latency=answer.latency)
