"""Viewers that cannot keep up: how old their pictures are, and what the others notice."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from bench.parts import PICTURES, Camera, Load, Pace, Product, Relay, Server, Window, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result, middle, raw_windows
from bench.scenarios import link

AGE_TARGET_MS = 350
RATIO_TARGET = 1.3
ADDED_TARGET_MS = 4.0
FRAME_BYTES = 25_000
FPS = 30
READING = 100
STALLED = 100
SLOW = 4


def run(pace: Pace) -> Result:
    """Targets: at a quarter of the rate a median age of at most 350 ms; stalled viewers cost the others nothing."""
    result = Result("slow", pace.quick)
    files = pictures(PICTURES, FRAME_BYTES - STAMP_BYTES, 4)
    with Camera(files, fps=FPS) as camera:
        with Product({"cam": camera.url()}) as product, Relay([camera.url()]) as relay:
            _quarter(result, [relay, product], pace)
        _shaped(result, pace)
        with Product({"cam": camera.url()}) as product:
            _half_stalled(result, product, pace)
    return result


def _quarter(result: Result, servers: list[Server], pace: Pace) -> None:
    """A link of a quarter of the bandwidth, filled for a while before the window: stale pictures pile up in time."""
    filled = Pace(rounds=1, window_s=pace.window_s * 1.5, settle_s=pace.settle_s + pace.window_s)
    ages = {}
    for server in servers:
        window = watch(
            server, [server.viewer_url()], 20 + SLOW, filled, exact=20, slow=SLOW, slow_rate=FRAME_BYTES * FPS / 4
        )
        ages[server.name] = dict(window.load["age_ms"] or {"p50": float("inf")})
        result.raw[f"quarter, {server.name}"] = raw_windows([window])
    ours, relay = ages[servers[1].name]["p50"], ages[servers[0].name]["p50"]
    result.measures.append(_age("age of the picture, read at a quarter of the rate, median", ours, relay))


def _shaped(result: Result, pace: Pace) -> None:
    """The same over a link that the kernel shapes."""
    ages = link.measure(pace.window_s * 1.5)
    if ages is None:
        result.notes.append("No link could be shaped here (it needs user namespaces, ip and tc).")
        return
    result.raw["shaped link"] = ages
    ours, relay = ages[Product.name]["p50"], ages[Relay.name]["p50"]
    result.measures.append(_age("age of the picture over a link of a quarter of the rate, median", ours, relay))


def _age(what: str, ours: float, relay: float) -> Measure:
    return Measure(
        what,
        f"{ours:.0f} ms",
        f"{relay:.0f} ms",
        f"{ours / relay:.2f}",
        f"≤ {AGE_TARGET_MS} ms",
        ours <= AGE_TARGET_MS,
    )


def _half_stalled(result: Result, product: Product, pace: Pace) -> None:
    """100 viewers alone, and the same with 100 more that never read, in turn."""
    alone: list[Window] = []
    beside: list[Window] = []
    grown: list[float] = []
    url = product.viewer_url()
    for _ in range(pace.rounds):
        alone.append(watch(product, [url], READING, pace, exact=READING))
        window, growth = _with_stalled(product, url, pace)
        beside.append(window)
        grown.append(growth)
    result.raw["alone"] = raw_windows(alone)
    result.raw["half stalled"] = raw_windows(beside)
    result.raw["growth_bytes"] = grown
    without = middle([window.latency_ms["p99"] for window in alone])
    with_stalled = middle([window.latency_ms["p99"] for window in beside])
    missing = sum(window.missing for window in beside)
    frame = int(beside[-1].load["part_bytes"])
    each = median(grown) / STALLED
    result.measures += [
        Measure(
            "others' p99 with half of 200 viewers stalled",
            f"{with_stalled:.2f} ms",
            f"{without:.2f} ms without",
            f"{with_stalled / without:.2f}",
            f"≤ {RATIO_TARGET} or + {ADDED_TARGET_MS:g} ms",
            with_stalled <= max(without * RATIO_TARGET, without + ADDED_TARGET_MS),
        ),
        Measure("frames the others miss meanwhile", f"{missing}", "", "", "0", missing == 0),
        Measure(
            "memory grown per stalled viewer",
            f"{each / 1024:.1f} KiB",
            f"{frame / 1024:.1f} KiB a frame",
            f"{each / frame:.2f}",
            "≤ 1 frame",
            each <= frame,
        ),
    ]


def _with_stalled(product: Product, url: str, pace: Pace) -> tuple[Window, float]:
    """The window, and the memory that 100 stalled viewers came to cost, their connections included."""
    with Load([url], READING, exact=READING) as load:
        load.joined()
        time.sleep(pace.settle_s)
        before = product.rss_bytes()
        with Load([url], STALLED, stalled=STALLED):
            time.sleep(pace.settle_s * 2)
            product.drain()
            load.begin()
            cpu, from_s = product.cpu_s(), time.monotonic()
            time.sleep(pace.window_s)
            cores = (product.cpu_s() - cpu) / (time.monotonic() - from_s)
            seen: dict[str, Any] = load.end()
            after = product.rss_bytes()
    return Window(product.name, cores, seen, before, after), float(after - before)
