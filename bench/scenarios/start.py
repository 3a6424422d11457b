"""From the command to the line that says it serves."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.parts import Pace, Product
from bench.results import Measure, Result, middle, paired_ratio

READY_S = 1.0
IMPORTS = "import aiohttp.web, uvloop, sqlite3, ssl"
"""What no such server starts without."""


def run(pace: Pace) -> Result:
    """Target: ready within a second, in a folder where nothing is yet."""
    result = Result("start", pace.quick)
    ready, bare = [], []
    for _ in range(3 if pace.quick else 9):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        bare.append(time.monotonic() - began)
        with Product({"cam": "push:"}) as product:
            ready.append(product.ready_after_s)
    result.raw["ready_s"] = {"framecast": ready, "imports": bare}
    result.measures.append(
        Measure(
            "start: command to ready, in a fresh folder",
            f"{middle(ready):.2f} s, {max(ready):.2f} s the slowest",
            f"{middle(bare):.2f} s for Python to import an HTTP server",
            f"{paired_ratio(ready, bare):.2f}",
            f"≤ {READY_S:.0f} s",
            middle(ready) <= READY_S,
        )
    )
    return result
