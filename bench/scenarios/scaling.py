"""How the cost grows with viewers and with cameras: the curves of the plot."""

from __future__ import annotations

from bench.parts import PICTURES, Camera, Pace, Product, Relay, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result
from bench.scenarios.many import urls

VIEWERS = (50, 100, 200, 400, 600, 1000, 1500)
CAMERAS = (1, 10, 25, 50)
VIEWERS_EACH = 10


def run(pace: Pace) -> Result:
    """CPU over viewers of one camera at 30 fps, and over cameras at 10 fps with 10 viewers each; memory per viewer."""
    result = Result("scaling", pace.quick)
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    counts = VIEWERS[::3] if pace.quick else VIEWERS
    with (
        Camera(files, fps=30) as camera,
        Product({"cam": camera.url()}) as product,
        Relay([camera.url()]) as relay,
    ):
        for count in counts:
            for server in (relay, product):
                window = watch(server, [server.viewer_url()], count, pace, exact=min(20, count))
                key = f"CPU over viewers, {server.name}"
                result.series.setdefault(key, []).append((count, window.cpu_cores))
                for at in ("p50", "p99"):
                    key = f"latency {at} over viewers, {server.name}"
                    result.series.setdefault(key, []).append((count, window.latency_ms[at]))
    for count in CAMERAS[::3] if pace.quick else CAMERAS:
        with Camera(files, cameras=count, fps=10) as camera:
            named = {f"c{number}": url for number, url in enumerate(camera.urls())}
            with Product(named) as product, Relay(camera.urls()) as relay:
                for server in (relay, product):
                    window = watch(server, urls(server, count), count * VIEWERS_EACH, pace, exact=count)
                    key = f"CPU over cameras, {server.name}"
                    result.series.setdefault(key, []).append((count, window.cpu_cores))
    for over, unit in (("viewers", "viewer at 30 fps"), ("cameras", f"camera at 10 fps with {VIEWERS_EACH} viewers")):
        ours, theirs = (_slope(result.series[f"CPU over {over}, {name}"]) for name in (product.name, relay.name))
        result.measures.append(
            Measure(
                f"CPU for one more {unit}",
                f"{ours * 1000:.3f} ‰ core",
                f"{theirs * 1000:.3f} ‰ core",
                f"{ours / theirs:.2f}" if theirs else "",
            )
        )
    return result


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares: what one more costs, apart from what the first one does."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
