"""`python -m starter.embedded.codec PORT`: decrypts what the embedded Temporal's web UI shows.

Without a key: that Temporal has no login either, and both are reached from this machine only. In production the API's
`POST /codec/decode` does it.
"""

from __future__ import annotations

import asyncio
import sys

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from activities.codec import EncryptingCodec
from activities.secrets import Keys
from activities.settings import Settings
from starter.api.codec import PayloadsBody, decoded, for_page_of
from starter.api.problems import handle_errors
from starter.embedded import ports
from starter.embedded.process import until_stopped
from starter.embedded.web import serving


async def _main(port: str) -> None:
    settings = Settings.load()
    codec = EncryptingCodec(Keys(settings.encryption_keys))
    app = FastAPI(openapi_url=None)
    handle_errors(app)

    @app.get("/")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/decode")
    async def decode(body: PayloadsBody) -> object:
        return await decoded(codec, body)

    # A page elsewhere whose name leads to this machine is told apart by its name.
    only_here = TrustedHostMiddleware(for_page_of(settings.temporal_ui_url, app), allowed_hosts=[ports.HOST])
    async with serving(only_here, int(port)):
        await until_stopped()


asyncio.run(_main(sys.argv[1]))
