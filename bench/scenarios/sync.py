"""Flash against click at the viewers of every output that carries both, from a device whose clock is 200 ppm off."""

from __future__ import annotations

import asyncio
import socket

from tests.support.claps import Witness
from tests.support.clapviewers import VIEWERS, Viewer, m5stack

from bench.parts import LOGS, Pace, Product, framecast
from bench.processes import Child, cores
from bench.results import Measure, Result, middle

PPM = 200
MOST_MS = 40.0


def run(pace: Pace) -> Result:
    """Target: in one real minute no click farther than 40 ms from its flash, at any output."""
    result = Result("sync", pace.quick)
    seconds = 10.0 if pace.quick else 60.0
    least = round(0.6 * seconds)  # HLS begins late, and everybody while the device does
    m5_port = _free_port()
    config = f"[compat]\nm5_device_port = {_free_port()}\nm5_viewer_port = {m5_port}\n"
    with Product({"door": "push:"}, config=config) as product:
        viewers = VIEWERS | {"MPEG-TS on the M5Stack port": m5stack(f"ws://127.0.0.1:{m5_port}")}
        device: list[object] = [framecast(), "mock-camera", "--dialect", "post-raw", "--fps", 15, "--audio"]
        device += ["--clock-ppm", PPM, "--to", f"{product.base}/api/v1/cameras/door/frames"]
        with Child(device, core=cores()[0], log=LOGS / "clapping.log"):
            seen = asyncio.run(_watch(viewers, product.base, seconds))
    for name, witness in seen.items():
        offsets_ms = [offset * 1000 for offset in witness.offsets()]
        farthest_ms = max(map(abs, offsets_ms), default=float("inf"))
        result.raw[name] = {"offsets_ms": offsets_ms, "gaps": witness.gaps, "pictures": len(witness.picture_times)}
        result.measures.append(
            Measure(
                f"{name}: click after flash, median and farthest of {len(offsets_ms)} claps",
                f"{middle(offsets_ms):+.1f} ms",
                f"{farthest_ms:.1f} ms",
                "",
                f"≤ {MOST_MS:.0f} ms, {least} claps",
                farthest_ms <= MOST_MS and len(offsets_ms) >= least,
            )
        )
    return result


async def _watch(viewers: dict[str, Viewer], base: str, seconds: float) -> dict[str, Witness]:
    seen = await asyncio.gather(*(view(base, "door", seconds) for view in viewers.values()))
    return dict(zip(viewers, seen, strict=True))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
