"""By which other way, or to whom else, the same is told where a message can't be delivered."""

from __future__ import annotations

from activities.db.intents import NOTE, Claim, Intent
from activities.db.views import person_for
from activities.views import IncidentView
from workflows.domain.policy import Policy, Role

_CSM_NOTES_BY_MAIL = {"resolved", "closed", "removed", "worsened", "snooze_ended", "ack_expired"}


def fallback(claim: Claim, view: IncidentView, policy: Policy) -> Intent | None:
    """Slack falls back to email; a contact whose address bounces to the next contact; None: there is no other way."""
    if claim.channel == "slack":
        person = person_for(claim.role, view, policy, claim.person_id)
        if person is None or not person.email:
            return None
        told = view.alerted_at is not None and not view.told_in_digest
        if claim.template == NOTE and not (told and claim.details["kind"] in _CSM_NOTES_BY_MAIL):
            return None  # who was told nothing needs no sequel, and a digest is its own
        ordinal = claim.key.rsplit(f"{claim.template}/", 1)[-1]
        return Intent(
            claim.incident_id, "email", claim.template, claim.role, person.email, person.id, ordinal, claim.details
        )
    if claim.role == Role.TECHNICAL_CONTACT:
        later = [c for c in view.contacts if c.email]
        tried = next((i for i, c in enumerate(later) if c.id == claim.person_id), len(later))
        if tried + 1 < len(later):
            contact = later[tried + 1]
            number = claim.details.get("number", "")
            return Intent(
                claim.incident_id, "email", claim.template, claim.role, contact.email or "", contact.id,
                str(number), claim.details,
            )  # fmt: skip
    return None
