"""Failed logins (FR-1.4): the metadata is in order, and people can't sign in."""

from __future__ import annotations

from pathlib import Path

from activities.probes.check import Known, Prober
from activities.probes.monitor import MONITOR
from tests.probes.certificates import DAY
from tests.probes.peers import http, peer, says
from tests.probes.test_saml import metadata
from workflows.contracts import Check
from workflows.domain.webhook_budget import Deliveries


async def test_most_logins_failing_is_degraded(prober: Prober, tmp_path: Path) -> None:
    """Half of twenty is; a few mistyped passwords, or three bad ones of a quiet night, are not."""
    document = http(200, metadata(tmp_path, (-DAY, 90 * DAY)))
    cases = {(10, 10): Check.DEGRADED, (17, 3): Check.WORKING, (0, 3): Check.WORKING}
    for (succeeded, failed), expected in cases.items():
        async with peer(says(document)) as provider:
            monitor = MONITOR.validate_python({"kind": "saml", "metadata_url": provider.url})
            logins = Deliveries(succeeded=succeeded, failed=failed, failures_in_a_row=min(failed, 1))
            seen = await prober.look("saml", monitor, Known(deliveries=logins))
        assert seen.check is expected, (succeeded, failed)
        assert seen.expiries, "the certificate is still watched"
        if expected is Check.DEGRADED:
            assert seen.detail == "10 of 20 logins failed in the last hour"
