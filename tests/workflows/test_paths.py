"""Each path that a disconnection can take, on real servers."""

from __future__ import annotations

from datetime import timedelta

from tests.workflows.world import World


async def test_reported_recovery_without_a_monitor(world: World) -> None:
    """Disconnected, everybody told, a later success held for the quiet window, everybody told that it is over."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
