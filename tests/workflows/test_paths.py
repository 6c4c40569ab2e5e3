"""Each path that a disconnection can take, on real servers."""

from __future__ import annotations

from datetime import timedelta

from tests.workflows.world import World


async def test_the_story(world: World) -> None:
    """Disconnected, everybody told, reconnected, held, everybody told that it is over."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        print(await world.timeline(incident), await world.deliveries(incident))
        import asyncio; await asyncio.sleep(2); print(await world.timeline(incident))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        print(await world.result(incident))
        print(await world.timeline(incident), await world.deliveries(incident))
        assert (await world.row(incident))["resolution"] == "reported"
