"""An integration that should call us (monitor `heartbeat`): one that went silent looks connected, and is dead."""

from __future__ import annotations

from activities.probes.monitor import HeartbeatMonitor
from activities.probes.seen import Known, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import ConnectionState, Failure, Surface, WhoFixes
from workflows.domain.durations import how_long
from workflows.domain.heartbeat import feel_pulse


def look_at_heartbeat(judge: Judge, provider: str, monitor: HeartbeatMonitor, known: Known) -> Seen:
    """Asks nobody: judged by the last successful sync that was reported."""
    pulse = feel_pulse(monitor.every, known.last_successful_sync, known.registered_at, known.now)
    silence, wanted = how_long(pulse.silent_for), how_long(monitor.every)
    if not pulse.ever and not pulse.is_dead:
        return Seen(Check.INCONCLUSIVE, f"no successful sync yet; one is expected every {wanted}")
    if not pulse.is_dead:
        return Seen(Check.WORKING, f"the last successful sync was {silence} ago")
    said = (
        f"no successful sync for {silence}" if pulse.ever else f"no successful sync since it was set up {silence} ago"
    )
    failure = Failure(
        provider=provider, surface=Surface.REST_API, error_code="heartbeat_missed", error_description=said
    )
    return judge.stated(
        Check.BROKEN,
        failure,
        f"{said}; one is expected every {wanted}",
        ConnectionState.DISCONNECTED,
        who_fixes=WhoFixes.CUSTOMER_ADMIN,
        self_serve_reconnect=False,
        confidence=0.8,
        reason=f"Went silent: {said}, one is expected every {wanted}",
        explanation=(
            "The integration reports no error. It simply stopped calling: usually the job, server or agent on the"
            " customer's side was stopped, moved or lost its schedule."
        ),
        steps=(
            "Ask the customer's technical contact whether the job or agent that syncs is still running",
            "If it runs, look at its log for the last attempt to reach us",
            "If it was retired on purpose, close this as no longer used",
        ),
        customer_reason=f"We have received nothing from it for {silence}; we expect a sync every {wanted}.",
        customer_steps=(
            "Check that the job or agent that syncs with {product_name} is still running",
            "Start it again if it was stopped, and look at its log if it runs",
        ),
    )
