"""A crowd on one core: 2,000 viewers of 9 KB x 5 fps, as many as the configuration admits, and one more."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from bench.parts import PICTURES, Camera, Load, Pace, Product
from bench.pictures import STAMP_BYTES, pictures
from bench.results import Measure, Result

VIEWERS = 2000
FPS = 5
FRAME_BYTES = 9_000
CONFIG = f"[limits]\nmax_viewers_per_camera = {VIEWERS}\n"


def one_more(url: str) -> tuple[int, str]:
    """Status and words that one viewer too many is answered with; words are empty where it is let in."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, str(json.loads(error.read())["error"]["message"])


def run(pace: Pace) -> Result:
    """Targets: no frame missing, and the one too many is told so with 503 while nobody else notices."""
    result = Result("crowd", pace.quick)
    files = pictures(PICTURES, FRAME_BYTES - STAMP_BYTES, 4, 320, 240)
    with Camera(files, fps=FPS) as camera, Product({"cam": camera.url()}, config=CONFIG) as product:
        before = product.rss_bytes()
        with Load([product.viewer_url()], VIEWERS, exact=20) as load:
            load.joined(60)
            time.sleep(pace.settle_s)
            product.settle()
            load.begin()
            cpu_s, from_s = product.cpu_s(), time.monotonic()
            time.sleep(pace.window_s)
            status, words = one_more(product.viewer_url())
            time.sleep(pace.window_s * 2)
            cores = (product.cpu_s() - cpu_s) / (time.monotonic() - from_s)
            seen = load.end()
            grown = product.rss_bytes() - before
    result.raw = {"load": seen, "cpu_cores": cores, "status": status, "words": words, "grown_bytes": grown}
    missing = seen["missing"] + seen["lost"] + seen["unprobed"] + VIEWERS - seen["connected"]
    what = f"{VIEWERS:,} viewers of 9 KB x {FPS} fps"
    told = status == 503 and f"{VIEWERS}" in words.replace(",", "")
    result.measures += [
        Measure(f"CPU, {what}", f"{cores:.3f} core", "", "", "≤ 1", cores <= 1),
        Measure(f"frames missing, {what}", f"{missing} of {seen['frames']:,}", "", "", "0", missing == 0),
        Measure(f"latency p99, {what}", f"{(seen['latency_ms'] or {}).get('p99', 0):.1f} ms"),
        Measure(f"memory per viewer, {what}", f"{grown / VIEWERS / 1024:.1f} KiB"),
        Measure("one viewer more", f"{status} {words}", "", "", "503, in words", told),
    ]
    return result
