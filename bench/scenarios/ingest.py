"""Ways in: how many pushed and pulled pictures one core takes, checks and counters on."""

from __future__ import annotations

import json
import time
from typing import Any

from bench.parts import BUILD, LOGS, PICTURES, Camera, Pace, Product
from bench.pictures import pictures
from bench.processes import Child, cores
from bench.results import Measure, Result, middle

FRAME_BYTES = 19_000
DEVICES = 8
PULLED_CAMERAS = 50
PULLED_FPS = 200
PULLED_TARGET = 4_000

WAYS: tuple[tuple[str, tuple[str, ...], str, int], ...] = (
    ("multipart POST", ("--mode", "multipart"), "frames", 7_000),
    ("raw POST", ("--mode", "raw"), "frames", 0),
    ("multipart POST in 1 KB pieces", ("--mode", "multipart", "--fragment", "1024"), "frames", 0),
    ("WebSocket, unfragmented", ("--mode", "ws"), "publish", 25_000),
    ("WebSocket, 1 KB fragments", ("--mode", "ws", "--fragment", "1024"), "publish", 0),
)
"""Name, arguments of `push`, last part of the route, target in frames/s (0: the figure is wanted, no target)."""


def run(pace: Pace) -> Result:
    """Targets, on one core: 7,000 multipart and 25,000 WebSocket frames/s, 4,000 pulled over 50 cameras."""
    result = Result("ingest", pace.quick)
    with Product({f"p{i}": "push:" for i in range(DEVICES)}) as product:
        rates: dict[str, list[dict[str, Any]]] = {name: [] for name, *_ in WAYS}
        for _ in range(pace.rounds):
            for name, arguments, route, _target in WAYS:
                rates[name].append(_push(product, arguments, route, pace.window_s / 2))
    for name, _, _, target in WAYS:
        rate = middle([one["per_s"] for one in rates[name]])
        cpu = middle([one["cpu_cores"] for one in rates[name]])
        result.raw[name] = rates[name]
        result.measures.append(_measure(f"{name}, 19 KB, {DEVICES} devices", rate, cpu, target))
    _pulled(result, pace)
    return result


def _measure(what: str, rate: float, cpu: float, target: int) -> Measure:
    return Measure(
        what,
        f"{rate:,.0f} frames/s",
        f"{rate / cpu:,.0f} per core-second" if cpu else "",
        f"{rate / target:.2f}" if target else "",
        f"≥ {target:,} frames/s" if target else "",
        rate >= target if target else None,
    )


def _push(product: Product, arguments: tuple[str, ...], route: str, seconds: float) -> dict[str, Any]:
    """One burst. What counts is what the server says it accepted."""
    command: list[object] = [BUILD / "push", "--url", f"{product.base}/api/v1/cameras/p%d/{route}"]
    command += ["--connections", DEVICES, "--seconds", seconds, *arguments]
    for path in pictures(PICTURES, FRAME_BYTES, 4):
        command += ["--picture", path]
    accepted, cpu = product.accepted(), product.cpu_s()
    with Child(command, core=cores()[0], log=LOGS / "push.log") as push:
        told = dict(json.loads(push.line(seconds + 15)))
    cpu = product.cpu_s() - cpu
    product.drain()
    told["accepted_by_server"] = product.accepted() - accepted
    told["per_s"] = told["accepted_by_server"] / told["seconds"]
    told["cpu_cores"] = cpu / told["seconds"]
    if told["refused"] or told["broken"]:
        raise RuntimeError(f"pushing with {' '.join(arguments)} went wrong: {told}")
    return told


def _pulled(result: Result, pace: Pace) -> None:
    """50 cameras that offer 10,000 frames/s between them: more than is asked for, so that the server sets the pace."""
    files = pictures(PICTURES, FRAME_BYTES, 4)
    with Camera(files, cameras=PULLED_CAMERAS, fps=PULLED_FPS, stamped=False) as camera:
        urls = {f"c{number}": url for number, url in enumerate(camera.urls())}
        with Product(urls) as product:
            for name in urls:
                product.call("PATCH", f"/api/v1/cameras/{name}", {"policy": "always"})
            time.sleep(3)
            rates, cores_used = [], []
            for _ in range(pace.rounds):
                product.drain()
                accepted, cpu, from_s = product.accepted(), product.cpu_s(), time.monotonic()
                time.sleep(pace.window_s / 2)
                cpu, elapsed_s = product.cpu_s() - cpu, time.monotonic() - from_s
                rates.append((product.accepted() - accepted) / elapsed_s)
                cores_used.append(cpu / elapsed_s)
    result.raw["pulled"] = {"per_s": rates, "cpu_cores": cores_used}
    result.measures.append(
        _measure(f"pulled over {PULLED_CAMERAS} cameras, 19 KB", middle(rates), middle(cores_used), PULLED_TARGET)
    )
