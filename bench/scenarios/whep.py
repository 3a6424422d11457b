"""WebRTC: one encode to many viewers, who decrypt and count what comes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

from bench.parts import LOGS, Pace, Product
from bench.processes import Child, cores
from bench.results import Measure, Result, middle

FPS = 24
SIZE = "640x480"
COUNTS = (1, 10, 50)


@dataclass
class Take:
    """What one window showed."""

    cpu_cores: float
    pictures: float
    gaps: int
    mbit_s: float
    encodes: float


def run(pace: Pace) -> Result:
    """Target: 50 viewers on one core beside the encode, no packet missing, one encode whatever their number."""
    result = Result("whep", pace.quick)
    takes: dict[int, list[Take]] = {}
    with Product({"cam": f"mock:?fps={FPS}&size={SIZE}"}) as product:
        for _ in range(pace.rounds):
            for count in COUNTS:
                takes.setdefault(count, []).append(_take(product, count, pace))
    result.raw = {str(count): [vars(take) for take in some] for count, some in takes.items()}
    cpu = {count: middle([take.cpu_cores for take in some]) for count, some in takes.items()}
    most = COUNTS[-1]
    each = (cpu[most] - cpu[1]) / (most - 1)
    rate = middle([take.mbit_s for take in takes[most]])
    result.measures += [
        Measure(
            f"CPU, {count} WebRTC viewers x {FPS} fps, encode included",
            f"{cpu[count]:.3f} core",
            "",
            "",
            "< 1 core" if count == most else "",
            cpu[count] < 1 if count == most else None,
        )
        for count in COUNTS
    ]
    result.measures += [
        Measure(f"CPU of one more WebRTC viewer, {rate:.1f} Mbit/s", f"{each * 1000:.2f} ms/s"),
        Measure("WebRTC viewers one core carries beside the encode", f"{(1 - cpu[1]) / each + 1:.0f}" if each else ""),
    ]
    for count in (1, most):
        ratio = middle([take.encodes for take in takes[count]])
        what = f"encodes a picture, {count} WebRTC viewer{'s' if count > 1 else ''}"
        result.measures.append(Measure(what, f"{ratio:.2f}", "", "", "≤ 1.00", ratio < 1.05))
    missing = sum(take.gaps for take in takes[most])
    share = middle([take.pictures for take in takes[most]]) / (most * FPS)
    result.measures += [
        Measure(f"gaps in what {most} WebRTC viewers get", str(missing), "", "", "0", missing == 0),
        Measure(f"pictures that {most} WebRTC viewers get, of those sent", f"{share:.3f}"),
    ]
    result.notes.append("The receivers share the other core; gaps can be theirs when they have more than it can take.")
    return result


def _take(product: Product, count: int, pace: Pace) -> Take:
    url = f"{product.base}/api/v1/cameras/cam/whep"
    command = [sys.executable, "-m", "bench.whepreceiver", url, count]
    with Child(command, core=cores()[0], log=LOGS / "whepreceiver.log") as viewers:
        viewers.line_with("ready", 30)
        time.sleep(pace.settle_s)
        viewers.say("")
        viewers.line(5)
        published, encodes = product.accepted(), _encodes(product)
        cpu, began = product.cpu_s(), time.monotonic()
        time.sleep(pace.window_s)
        viewers.say("")
        seen = json.loads(viewers.line(5))
        elapsed_s, cpu = time.monotonic() - began, product.cpu_s() - cpu
        encodes, published = _encodes(product) - encodes, product.accepted() - published
        product.drain()
        viewers.say("")
    return Take(
        cpu / elapsed_s,
        seen["pictures"] / elapsed_s,
        seen["gaps"],
        seen["bytes"] * 8 / elapsed_s / count / 1e6,
        encodes / max(published, 1),
    )


def _encodes(product: Product) -> int:
    """Pictures encoded so far."""
    return int(product.stats()["encodes"])
