"""A camera that is power-cycled under its viewers."""

from __future__ import annotations

import signal
import time

from bench.parts import PICTURES, Camera, Load, Pace, Product
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result, middle

VIEWERS = 50
FPS = 30
SLACK_MS = 250


def run(pace: Pace) -> Result:
    """Target: no connection lost, and a new picture within an interval + 250 ms of the device's first byte."""
    result = Result("restart", pace.quick)
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    limit_ms = 1000 / FPS + SLACK_MS
    worst: list[float] = []
    back: list[float] = []
    lost = blind = 0
    camera = Camera(files, fps=FPS)
    try:
        with (
            Product({"cam": camera.url()}) as product,
            Load([product.viewer_url()], VIEWERS, exact=VIEWERS) as load,
        ):
            load.joined()
            for _ in range(1 if pace.quick else 5):
                load.begin()
                time.sleep(1)
                camera.stop(signal.SIGKILL)
                time.sleep(1)
                up_ns = time.monotonic_ns()
                camera = Camera(files, fps=FPS, port=camera.port)
                first_byte_ns = int(camera.line_with("first-byte", 20).split()[1])
                time.sleep(1)
                seen = load.end()
                after_ms = [(one["arrival_ns"] - first_byte_ns) / 1e6 for one in seen["restarts"]]
                result.raw.setdefault("after_ms", []).append(after_ms)
                worst.append(max(after_ms, default=float("inf")))
                back.append((first_byte_ns - up_ns) / 1e9)
                lost = int(seen["lost"])
                blind += VIEWERS - len(after_ms)
    finally:
        camera.stop()
    result.raw["reconnected_after_s"] = back
    result.measures += [
        Measure(
            f"power cycle: device's first byte to the new picture, the last of {VIEWERS} viewers",
            f"{max(worst):.0f} ms",
            f"{middle(worst):.0f} ms median",
            f"{max(worst) / limit_ms:.2f}",
            f"≤ {limit_ms:.0f} ms",
            max(worst) <= limit_ms,
        ),
        Measure("power cycle: connections lost", str(lost + blind), "", "", "0", lost + blind == 0),
        Measure("power cycle: device up to its first byte asked for", f"{middle(back):.2f} s"),
    ]
    return result
