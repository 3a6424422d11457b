"""Many cameras at once: 50 of them, 10 fps, 10 viewers each."""

from __future__ import annotations

from bench.parts import PICTURES, Camera, Pace, Product, Relay, Server, Window, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result, middle, paired_ratio, raw_windows

CAMERAS = 50
FPS = 10
VIEWERS_EACH = 10


def urls(server: Server, cameras: int) -> list[str]:
    """Where each camera is watched."""
    return [server.viewer_url(number) for number in range(cameras)]


def run(pace: Pace) -> Result:
    """No target but that no frame is missing; the C relay does the same work without the checks."""
    result = Result("many", pace.quick)
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    windows: dict[str, list[Window]] = {}
    with Camera(files, cameras=CAMERAS, fps=FPS) as camera:
        named = {f"c{number}": url for number, url in enumerate(camera.urls())}
        with Product(named) as product, Relay(camera.urls()) as relay:
            for _ in range(pace.rounds):
                for server in (relay, product):
                    window = watch(server, urls(server, CAMERAS), CAMERAS * VIEWERS_EACH, pace, exact=100)
                    windows.setdefault(server.name, []).append(window)
    ours, theirs = windows[product.name], windows[relay.name]
    result.raw = {name: raw_windows(some) for name, some in windows.items()}
    mine, other = [window.cpu_cores for window in ours], [window.cpu_cores for window in theirs]
    missing = sum(window.missing for window in ours)
    what = f"{CAMERAS} cameras x {FPS} fps x {VIEWERS_EACH} viewers"
    result.measures += [
        Measure(
            f"CPU, {what}",
            f"{middle(mine):.3f} core",
            f"{middle(other):.3f} core",
            f"{paired_ratio(mine, other):.2f}",
        ),
        Measure(f"frames missing, {what}", str(missing), "", "", "0", missing == 0),
    ]
    for at in ("p50", "p99"):
        mine = [window.latency_ms[at] for window in ours]
        other = [window.latency_ms[at] for window in theirs]
        result.measures.append(
            Measure(
                f"latency {at}, {what}",
                f"{middle(mine):.2f} ms",
                f"{middle(other):.2f} ms",
                f"{paired_ratio(mine, other):.2f}",
            )
        )
    return result
