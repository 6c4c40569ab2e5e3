"""`python -m starter.embedded.slack FILE PORT INTERACTIONS_URL`: the stand-in as a process of its own.

Takes its token and signing secret from RELINK_SLACK_BOT_TOKEN and RELINK_SLACK_SIGNING_SECRET.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from starter.embedded.process import until_stopped
from starter.embedded.slack import slack


async def _main(path: str, port: str, interactions_url: str) -> None:
    async with slack(
        Path(path),
        port=int(port),
        token=os.environ["RELINK_SLACK_BOT_TOKEN"],
        signing_secret=os.environ["RELINK_SLACK_SIGNING_SECRET"],
        interactions_url=interactions_url,
    ):
        await until_stopped()


asyncio.run(_main(*sys.argv[1:4]))
