"""`python -m starter.embedded.inbox FOLDER SMTP_PORT HTTP_PORT`: the inbox as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from starter.embedded.inbox import inbox
from starter.embedded.process import until_stopped


async def _main(folder: str, smtp_port: str, http_port: str) -> None:
    async with inbox(Path(folder), smtp_port=int(smtp_port), http_port=int(http_port)):
        await until_stopped()


asyncio.run(_main(*sys.argv[1:4]))
