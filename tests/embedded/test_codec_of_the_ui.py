"""The embedded Temporal's web UI shows what is encrypted, on this machine only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payloads

from activities.codec import data_converter
from starter.embedded import ports
from starter.embedded.process import Program, running

KEYS = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
UI = "http://127.0.0.1:8233"


async def test_it_decrypts_for_the_page_of_the_ui_alone(folder: Path) -> None:
    """Not for a page whose name leads here, and no other page may read the answer."""
    port = ports.free_port()
    program = Program(
        name="Codec",
        command=[sys.executable, "-m", "starter.embedded.codec", str(port)],
        ready=ports.serves(port, "/"),
        log=folder / "codec.log",
        env=os.environ | {"RELINK_ENCRYPTION_KEYS": KEYS, "RELINK_TEMPORAL_UI_URL": UI},
    )
    sent = MessageToDict(Payloads(payloads=await data_converter(KEYS).encode(["Task for the CSM"])))
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False)
    async with running(program), client as http:
        shown = await http.post("/decode", json=sent, headers={"Origin": UI})
        elsewhere = await http.post("/decode", json=sent, headers={"Origin": "https://evil.example"})
        rebound = await http.post("/decode", json=sent, headers={"Host": f"evil.example:{port}"})
        garbage = await http.post("/decode", json={"payloads": 1})
    payloads = ParseDict(shown.json(), Payloads()).payloads
    assert await data_converter(None).decode(payloads) == ["Task for the CSM"]
    assert shown.headers["access-control-allow-origin"] == UI
    assert "access-control-allow-origin" not in elsewhere.headers
    assert rebound.status_code == 400
    assert garbage.status_code == 422
