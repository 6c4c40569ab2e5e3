"""`make bench`: every figure as a ratio to a floor that was measured in the same run; writes `bench/results.md`.

A floor does only what can't be left out (one durable insert, one workflow with one empty activity); so a ratio says how
much Relink adds, on whatever machine it runs.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from pathlib import Path

from bench import diagnosing, diagnosis, intake, response
from bench.measure import Figure

RESULTS = Path(__file__).parent / "results.md"


async def main() -> None:
    """Runs all benchmarks, prints the table and writes it."""
    figures: list[Figure] = [*diagnosing.figures(), *await intake.figures(), *await response.figures()]
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` on {platform.machine()}, Python {platform.python_version()}: medians, floors of the same run.",
        "",
        "| What | Measured | Floor | Ratio |",
        "|---|---|---|---|",
        *(f"| {f.what} | {f.measured} | {f.floor} | {f.ratio:.2f} |" for f in figures),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n" + diagnosis.report() + "\n")


asyncio.run(main())
