"""Fan-out: CPU at 600 and 1,500 viewers, and latency at 200, beside the C relay of the same camera."""

from __future__ import annotations

from bench.parts import PICTURES, Camera, Pace, Product, Relay, Server, Window, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result, middle, paired_ratio, raw_windows

CPU_TARGET = 1.25
CPU_AIM = 1.1
LATENCY_TARGET = 1.3
FRAME_BYTES = 25_000
FPS = 30


def interleaved(servers: list[Server], viewers: int, pace: Pace, exact: int) -> dict[str, list[Window]]:
    """Windows of each server in turn, `pace.rounds` times; both read the camera all the while."""
    windows: dict[str, list[Window]] = {server.name: [] for server in servers}
    for number in range(pace.rounds):
        # The order alternates, so that neither always has the other's aftermath.
        for server in servers if number % 2 == 0 else servers[::-1]:
            windows[server.name].append(watch(server, [server.viewer_url()], viewers, pace, exact=exact))
    return windows


def run(pace: Pace) -> Result:
    """Targets: at most 1.25 x the relay's CPU with no frame missing; p50 and p99 at most 1.3 x its latency."""
    result = Result("fanout", pace.quick)
    files = pictures(PICTURES, FRAME_BYTES - STAMP_BYTES, 4)
    with (
        Camera(files, fps=FPS) as camera,
        Product({"cam": camera.url()}) as product,
        Relay([camera.url()]) as relay,
    ):
        for viewers in (600, 1500):
            windows = interleaved([relay, product], viewers, pace, exact=20)
            result.raw[str(viewers)] = {name: raw_windows(some) for name, some in windows.items()}
            result.measures += _cpu(viewers, windows[product.name], windows[relay.name])
        windows = interleaved([relay, product], 200, pace, exact=50)
        result.raw["200"] = {name: raw_windows(some) for name, some in windows.items()}
        result.measures += _latency(windows[product.name], windows[relay.name])
    return result


def _cpu(viewers: int, ours: list[Window], theirs: list[Window]) -> list[Measure]:
    mine, other = [window.cpu_cores for window in ours], [window.cpu_cores for window in theirs]
    ratio = paired_ratio(mine, other)
    missing, expected = sum(window.missing for window in ours), sum(window.load["frames"] for window in ours)
    grown = (ours[0].rss_bytes - ours[0].rss_before_bytes) / viewers
    relay_grown = (theirs[0].rss_bytes - theirs[0].rss_before_bytes) / viewers
    return [
        Measure(
            f"CPU, {viewers:,} viewers of 25 KB x 30 fps",
            f"{middle(mine):.3f} core",
            f"{middle(other):.3f} core",
            f"{ratio:.2f}",
            f"≤ {CPU_TARGET} (aim {CPU_AIM})",
            ratio <= CPU_TARGET,
        ),
        Measure(
            f"frames missing, {viewers:,} viewers",
            f"{missing} of {expected:,}",
            f"{sum(window.missing for window in theirs)}",
            "",
            "0",
            missing == 0,
        ),
        Measure(
            f"memory per viewer, {viewers:,} viewers",
            f"{grown / 1024:.1f} KiB",
            f"{relay_grown / 1024:.1f} KiB",
        ),
    ]


def _latency(ours: list[Window], theirs: list[Window]) -> list[Measure]:
    measures = []
    for at in ("p50", "p99"):
        mine = [window.latency_ms[at] for window in ours]
        other = [window.latency_ms[at] for window in theirs]
        ratio = paired_ratio(mine, other)
        measures.append(
            Measure(
                f"latency {at}, camera to 200 viewers",
                f"{middle(mine):.2f} ms",
                f"{middle(other):.2f} ms",
                f"{ratio:.2f}",
                f"≤ {LATENCY_TARGET}",
                ratio <= LATENCY_TARGET,
            )
        )
    return measures
