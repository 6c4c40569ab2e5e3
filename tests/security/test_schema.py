"""The API is asked everything that its description allows, and much that it does not, by schemathesis, which nobody
here wrote: never a 5xx, and every answer is one that the description promises."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from tests.api.calling import Api
from tests.api.test_app import Temporal
from tests.api.test_hostile import served

SECONDS = 20  # of asking; a failing run shrinks its example for a while longer
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


async def test_every_answer_is_as_described(api: Api, tmp_path: Path) -> None:
    """With a customer, an integration and an incident to find; a failure prints the seed and a curl command."""
    await api.customer()
    await api.integration()
    await api.incident()
    object.__setattr__(api.resources, "temporal", Temporal())  # ready
    seed = random.randrange(10**6)
    async with served(api) as port:
        url = f"http://127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: {api.http.headers['authorization']}"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--seed", str(seed)),
            *("--max-time", str(SECONDS), "--request-timeout", "60", "--generation-allow-x00", "true"),
            *("--warnings", "off"),
            cwd=tmp_path,
            env={"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path), "PATH": "", "COLUMNS": "150"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, f"seed {seed}\n{said.decode()}"
