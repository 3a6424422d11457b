"""Ways in: how many pushed and pulled pictures one core takes, checks and counters on."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from typing import Any

from bench.parts import BUILD, HERE, LOGS, PICTURES, Camera, Pace, Product, Server
from bench.pictures import pictures
from bench.processes import Child, cores
from bench.results import Measure, Result, middle, paired_ratio

FRAME_BYTES = 19_000
DEVICES = 8
PULLED_CAMERAS = 50
PULLED_FPS = 400
PULLED_TARGET = 4_000

WAYS: tuple[tuple[str, tuple[str, ...], str, int], ...] = (
    ("multipart POST", ("--mode", "multipart"), "frames", 7_000),
    ("raw POST", ("--mode", "raw"), "frames", 0),
    ("multipart POST in 1 KB pieces", ("--mode", "multipart", "--fragment", "1024"), "frames", 0),
    ("WebSocket, unfragmented", ("--mode", "ws"), "publish", 25_000),
    ("WebSocket, 1 KB fragments", ("--mode", "ws", "--fragment", "1024"), "publish", 0),
)
"""Name, arguments of `push`, last part of the route, target in frames/s (0: the figure is wanted, no target)."""


class Bare(Server):
    """The limit: aiohttp that takes the pictures and does nothing; see `bench/bare.py`."""

    name = "bare aiohttp"

    def __init__(self) -> None:
        env = {"PYTHONPATH": str(HERE.parent)}
        super().__init__([sys.executable, "-m", "bench.bare"], core=cores()[1], log=LOGS / "bare.log", env=env)
        self.port = int(self.line_with("listening", 10).split()[1])

    def accepted(self) -> int:
        """Pictures so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count", timeout=20) as answer:
            return int(json.load(answer)["accepted"])


def run(pace: Pace) -> Result:
    """Targets, on one core: 7,000 multipart and 25,000 WebSocket frames/s, 4,000 pulled over 50 cameras."""
    result = Result("ingest", pace.quick)
    with Product({f"p{i}": "push:" for i in range(DEVICES)}) as product, Bare() as bare:
        rates: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name, *_ in WAYS}
        for _ in range(pace.rounds):
            for name, arguments, route, _target in WAYS:
                for server in (bare, product):
                    burst = push(server, arguments, route, pace.window_s / 3)
                    rates[name].setdefault(server.name, []).append(burst)
    for name, _, _, target in WAYS:
        ours, theirs = rates[name][product.name], rates[name][bare.name]
        result.raw[name] = rates[name]
        rate = middle([one["per_s"] for one in ours])
        result.measures.append(
            Measure(
                f"{name}, 19 KB, {DEVICES} devices",
                _rate(ours),
                f"bare aiohttp {_rate(theirs)}",
                f"{paired_ratio([one['per_cpu_s'] for one in ours], [one['per_cpu_s'] for one in theirs]):.2f}",
                f"≥ {target:,} frames/s" if target else "",
                rate >= target if target else None,
            )
        )
    _pulled(result, pace)
    return result


def _rate(bursts: list[dict[str, Any]]) -> str:
    per_s, per_cpu_s = middle([one["per_s"] for one in bursts]), middle([one["per_cpu_s"] for one in bursts])
    return f"{per_s:,.0f} frames/s ({per_cpu_s:,.0f} per s of CPU)"


def push(server: Product | Bare, arguments: tuple[str, ...], route: str, seconds: float) -> dict[str, Any]:
    """One burst. What counts is what the server says it accepted."""
    command: list[object] = [BUILD / "push", "--url", f"http://127.0.0.1:{server.port}/api/v1/cameras/p%d/{route}"]
    command += ["--connections", DEVICES, "--seconds", seconds, *arguments]
    for path in pictures(PICTURES, FRAME_BYTES, 4):
        command += ["--picture", path]
    accepted, cpu = server.accepted(), server.cpu_s()
    with Child(command, core=cores()[0], log=LOGS / "push.log") as pusher:
        told = dict(json.loads(pusher.line(seconds + 15)))
    cpu = server.cpu_s() - cpu
    server.drain()
    told["accepted_by_server"] = server.accepted() - accepted
    told["per_s"] = told["accepted_by_server"] / told["seconds"]
    told["per_cpu_s"] = told["accepted_by_server"] / cpu
    told["cpu_cores"] = cpu / told["seconds"]
    if told["refused"] or told["broken"] or not told["accepted_by_server"]:
        raise RuntimeError(f"pushing with {' '.join(arguments)} to {server.name} went wrong: {told}")
    return told


def _pulled(result: Result, pace: Pace) -> None:
    """50 cameras that offer more than one core can take, so that the server sets the pace."""
    files = pictures(PICTURES, FRAME_BYTES, 4)
    bursts: list[dict[str, Any]] = []
    with Camera(files, cameras=PULLED_CAMERAS, fps=PULLED_FPS, stamped=False) as camera:
        urls = {f"c{number}": url for number, url in enumerate(camera.urls())}
        with Product(urls) as product:
            for name in urls:
                product.call("PATCH", f"/api/v1/cameras/{name}", {"policy": "always"})
            time.sleep(3)
            before = product.stats()
            for _ in range(pace.rounds):
                product.drain()
                time.sleep(pace.window_s / 2)
                asked_s = time.monotonic()
                now = product.stats()
                burst = _between(before, now)
                burst["answer_s"] = time.monotonic() - asked_s
                bursts.append(burst)
                before = now
    result.raw["pulled"] = bursts
    rate = middle([one["per_s"] for one in bursts])
    result.measures.append(
        Measure(
            f"pulled over {PULLED_CAMERAS} cameras, 19 KB",
            _rate(bursts),
            f"{PULLED_CAMERAS * PULLED_FPS:,} frames/s offered",
            "",
            f"≥ {PULLED_TARGET:,} frames/s",
            rate >= PULLED_TARGET,
        )
    )
    answer_s = middle([one["answer_s"] for one in bursts])
    result.measures.append(Measure("the API's answer meanwhile, all of it busy reading cameras", f"{answer_s:.2f} s"))


def _between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Rates between two answers of the statistics, each of one moment: a busy server answers late."""
    frames = sum(int(camera["frames"]) for camera in after["cameras"].values())
    frames -= sum(int(camera["frames"]) for camera in before["cameras"].values())
    elapsed_s = float(after["uptime_s"]) - float(before["uptime_s"])
    cpu = float(after["process"]["cpu_s"]) - float(before["process"]["cpu_s"])
    return {"per_s": frames / elapsed_s, "per_cpu_s": frames / cpu, "cpu_cores": cpu / elapsed_s}
