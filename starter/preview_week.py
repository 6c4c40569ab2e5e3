"""A CSM's week for the preview and the golden file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from activities.digest_facts import DigestView, Ending, Fragile, Mended, StillOpen

FLEET = "https://relink.acme.example/fleet?csm=dana%40acme.example"
MONDAY = datetime(2026, 2, 2, 14, 0, tzinfo=UTC)  # 9:00 AM in New York
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_TECHCORP = {"customer": "TechCorp", "integration": "Salesforce CRM Sync"}
_GLOBEX = {"customer": "Globex", "integration": "Okta"}
_INITECH = {"customer": "Initech", "integration": "Shopify Orders"}


def week() -> DigestView:
    """Something of everything."""
    return DigestView(
        began_at=MONDAY - 7 * _DAY,
        ended_at=MONDAY,
        still_open=(
            _open(_TECHCORP, 3 * _DAY + 4 * _HOUR, severity="critical"),
            _open(_GLOBEX, 20 * _HOUR, severity="high", acknowledged=True),
            _open(_INITECH, 30 * _HOUR, severity="low", kind="degraded", who_fixes="provider"),
        ),
        mended=(
            _mended({"customer": "Initech", "integration": "Xero"}, 5 * _HOUR, "verified"),
            _mended({"customer": "Hooli", "integration": "Orders webhook"}, 45 * timedelta(minutes=1), "reported"),
        ),
        fragile=(
            Fragile(
                **_TECHCORP,
                reason="4 disconnections in 30 days, down for 3 days 9 h.",
                suggestion=(
                    "3 of 4 times the reason was one person's login expiring, being revoked or deactivated. Connect it "
                    "through a service account that belongs to no person, so that a changed password, a holiday or "
                    "somebody leaving does not end it."
                ),
            ),
        ),
        ending=(Ending(**_GLOBEX, label="signing certificate", ends_at=MONDAY + 6 * _DAY, customer_renews=True),),
    )


def _open(
    of: dict[str, str],
    ago: timedelta,
    *,
    severity: str,
    kind: str = "disconnected",
    who_fixes: str = "customer_admin",
    acknowledged: bool = False,
) -> StillOpen:
    return StillOpen(
        **of, kind=kind, status="open", severity=severity, who_fixes=who_fixes, opened_at=MONDAY - ago,
        acknowledged=acknowledged, snoozed_until=None,
    )  # fmt: skip


def _mended(of: dict[str, str], lasted: timedelta, resolution: str) -> Mended:
    return Mended(**of, resolution=resolution, opened_at=MONDAY - 2 * _DAY, closed_at=MONDAY - 2 * _DAY + lasted)
