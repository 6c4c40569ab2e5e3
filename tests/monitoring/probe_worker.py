"""The probe worker as a process that can be killed: `python -m tests.monitoring.probe_worker DATABASE TEMPORAL LEASE`.

Everything is the product's own but for the lease, which is short so that a test need not wait for two minutes.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.db.pool import create_pool
from activities.monitoring import Monitoring
from activities.policy import PolicySource
from activities.probes.http import ProbeClient
from activities.settings import Settings
from worker import make_probe_worker, probing


async def main(database: str, temporal: str, lease: float) -> None:
    client = await Client.connect(temporal, data_converter=pydantic_data_converter)
    async with create_pool(database) as pool, ProbeClient(allow_private=True) as probes:
        monitoring = next(
            o for o in probing(Settings(), PolicySource(), pool, client, probes) if isinstance(o, Monitoring)
        )
        sweeper = replace(monitoring.sweeper, lease=timedelta(seconds=lease))
        await make_probe_worker(client, [Monitoring(pool, sweeper, seconds=5)]).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
