"""Storms: a thousand viewers that come and go, a thousand reconnects of devices. Nothing may be left of them."""

from __future__ import annotations

import time

from bench.parts import PICTURES, Camera, Load, Pace, Product, wait_until
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result

COUNT = 1000
AT_ONCE = 50
CAMERAS = 20
FRAMES_A_CONNECTION = 3
MEMORY_SLACK_BYTES = 4 << 20
COUNT_SLACK = 2
WARM_UP = 300
"""Reconnects until the allocator has all that so many devices at once take."""


def run(pace: Pace) -> Result:
    """Target: a storm leaves descriptors, tasks and memory as they were; a first, unmeasured one fills caches."""
    result = Result("storm", pace.quick)
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    with Camera(files, fps=30) as camera, Product({"cam": camera.url()}) as product:
        seconds = _viewers(product)
        before = _settled(product)
        _viewers(product)
        _measure(result, f"{COUNT:,} joins and leaves ({seconds:.1f} s)", before, _settled(product))
    with Camera(files, cameras=CAMERAS, fps=30, cut_after=FRAMES_A_CONNECTION) as camera:
        urls = {f"c{number}": url for number, url in enumerate(camera.urls())}
        with Product(urls) as product:
            for name in urls:
                product.call("PATCH", f"/api/v1/cameras/{name}", {"policy": "always"})
            count = COUNT // 4 if pace.quick else COUNT
            _reconnects(product, WARM_UP)
            before = _settled(product)
            seconds = _reconnects(product, count)
            _measure(result, f"{count:,} reconnects of {CAMERAS} devices ({seconds:.1f} s)", before, _settled(product))
    return result


def _viewers(product: Product) -> float:
    from_s = time.monotonic()
    with Load([product.viewer_url()], AT_ONCE, joins=COUNT) as load:
        load.line_with('"churned"', 60)
    return time.monotonic() - from_s


def _reconnects(product: Product, count: int) -> float:
    from_s, target = time.monotonic(), product.connects() + count
    wait_until(f"{count} reconnects of {CAMERAS} devices", lambda: product.connects() >= target, 120)
    return time.monotonic() - from_s


def _settled(product: Product) -> dict[str, float]:
    """The lowest counts within two seconds: devices that happen to be connected are not a leak."""
    lowest = product.state()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        time.sleep(0.1)
        now = product.state()
        lowest = {name: min(lowest[name], now[name]) for name in lowest}
        product.drain()
    return lowest


def _measure(result: Result, what: str, before: dict[str, float], after: dict[str, float]) -> None:
    grown = {name: after[name] - before[name] for name in before}
    result.raw[what] = {"before": before, "after": after}
    ok = grown["fds"] <= COUNT_SLACK and grown["tasks"] <= COUNT_SLACK and grown["rss_bytes"] <= MEMORY_SLACK_BYTES
    result.measures.append(
        Measure(
            what,
            f"{grown['fds']:+.0f} descriptors, {grown['tasks']:+.0f} tasks, {grown['rss_bytes'] / 2**20:+.1f} MiB",
            "",
            "",
            "no growth",
            ok,
        )
    )
