"""Churn for a long time, then everything must be back where it was: `python -m bench.soak --seconds N [--viewers N]`.

Theory of operation. A server with one healthy camera, which ten steady viewers watch throughout, and one that is
pushed to. Around them everything comes and goes: viewers over MJPEG, dashboards over WebSocket, snapshots, half
requests, cameras added and removed over the API that point at fake devices with faults, or at nothing at all. There
is a warm-up of the same churn, since pools, caches and the allocator's arenas fill once; then all of it stops and
descriptors, tasks and memory are noted; then the churn runs for the time asked for, stops, and they are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.parts import LOGS, OUT, PICTURES, Camera, Load, Product, build, framecast
from bench.pictures import STAMP_BYTES, pictures
from bench.processes import Child, cores

CONFIG = """
[network]
allow_loopback = true

[stream]
grace_s = 1.0
"""

DEVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("espressif", "/stream", ("reboot=4", "truncate=0.1", "corrupt-scan=0.05")),
    ("esphome", "/", ("wifi-loop=3", "padding")),
    ("tasmota", "/stream", ("freeze-mid-frame=3", "not-jpeg=0.1")),
    ("espressif", "/stream", ("hang=3", "http-500=0.3", "wrong-content-length=0.1")),
)
"""Fake devices that misbehave all the time: dialect, path, faults."""

STEADY_VIEWERS = 10
SETTLE_S = 12.0
FD_SLACK = 2
TASK_SLACK = 2
RSS_SLACK_BYTES = 8 << 20
MISSING_SHARE = 0.001
LOG_SIZE_BYTES = 64 << 20


@dataclass
class Churn:
    """What goes on, and counts of it."""

    product: Product
    session: aiohttp.ClientSession
    device_urls: list[str]
    viewers: int
    random: random.Random = field(default_factory=lambda: random.Random(5))
    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    added: list[str] = field(default_factory=list)

    def camera(self) -> str:
        """A camera to watch: one that is there, or (rarely) one that is not."""
        if self.random.random() < 0.03:
            return "nobody"
        return self.random.choice(["cam", "cam", "pushed", *self.added])

    async def run(self, seconds: float) -> None:
        """Everything at once, until the time is up; then it is all taken away."""
        until = time.monotonic() + seconds
        parts: list[Callable[[], Awaitable[None]]] = [self.watch_mjpeg] * self.viewers
        parts += [self.watch_dashboard] * (self.viewers // 3) + [self.take_snapshots, self.change_cameras, self.push]
        parts += [self.misbehave]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._again(part, until))
        for name in list(self.added):
            await self.remove(name)

    async def _again(self, part: Callable[[], Awaitable[None]], until: float) -> None:
        while time.monotonic() < until:
            # What a part does ends by itself within seconds; a server that does not answer shows as a count.
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                try:
                    await asyncio.wait_for(part(), 30)
                except TimeoutError:
                    self.wrong[f"{part.__name__} took over 30 s"] += 1

    def _answered(self, what: str, status: int, allowed: set[int]) -> None:
        self.counts[f"{what} {status}"] += 1
        if status not in allowed:
            self.wrong[f"{what} answered {status}"] += 1

    async def _reads(self, answer: aiohttp.ClientResponse, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for chunk in answer.content.iter_any():
                    self.counts["MJPEG bytes"] += len(chunk)

    async def watch_mjpeg(self) -> None:
        """A viewer for a moment, now and then with a wish, leaving without a word or in order."""
        wish = self.random.choice(
            ["", "", "", "?fps=5", "?width=160", "?quality=40", "?overlay=frame-id", "?width=abc"]
        )
        url = f"{self.product.base}/api/v1/cameras/{self.camera()}/stream.mjpeg{wish}"
        async with self.session.get(url) as answer:
            self._answered("viewer", answer.status, {200, 400, 404, 503})
            if answer.status == 200:
                await self._reads(answer, self.random.uniform(0.05, 3))
            if self.random.random() < 0.3:
                answer.close()

    async def watch_dashboard(self) -> None:
        """A dashboard that acknowledges (or forgets to), changes its mind, and goes."""
        async with self.session.ws_connect(f"{self.product.base}/api/v1/ws", max_msg_size=0) as dashboard:
            self.counts["dashboards"] += 1
            wanted = [{"id": "*"}] if self.random.random() < 0.5 else [{"id": self.camera(), "width": 160, "fps": 5}]
            await dashboard.send_json({"type": "subscribe", "cameras": wanted})
            await dashboard.send_json({"type": "stats", "interval_s": 1})
            forgetful = self.random.random() < 0.2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.random.uniform(0.1, 5)):
                    async for message in dashboard:
                        if message.type is not aiohttp.WSMsgType.BINARY:
                            continue
                        self.counts["dashboard frames"] += 1
                        number = int.from_bytes(message.data[4:6], "little")
                        frame = int.from_bytes(message.data[16:24], "little")
                        if not forgetful:
                            await dashboard.send_json({"type": "ack", "camera": number, "frame": frame})

    async def take_snapshots(self) -> None:
        """A recorder that polls."""
        url = f"{self.product.base}/api/v1/cameras/{self.camera()}/snapshot.jpg"
        async with self.session.get(url) as answer:
            self._answered("snapshot", answer.status, {200, 404, 503})
            self.counts["snapshot bytes"] += len(await answer.read())
        await asyncio.sleep(0.2)

    async def change_cameras(self) -> None:
        """Cameras come (some at addresses where nobody is), are changed, and go."""
        name = f"soak-{self.random.randrange(10_000)}"
        body = {
            "id": name,
            "url": self.random.choice(self.device_urls),
            "policy": self.random.choice(["on_demand", "always"]),
        }
        async with self.session.post(f"{self.product.base}/api/v1/cameras", json=body) as answer:
            self._answered("camera added", answer.status, {201, 409})
            if answer.status == 201:
                self.added.append(name)
        if self.added and self.random.random() < 0.3:
            url = f"{self.product.base}/api/v1/cameras/{self.random.choice(self.added)}"
            async with self.session.post(f"{url}/restart") as answer:
                self._answered("camera restarted", answer.status, {200, 409})
            async with self.session.patch(url, json={"rotate": self.random.choice([0, 90])}) as answer:
                self._answered("camera changed", answer.status, {200})
        await asyncio.sleep(self.random.uniform(0.2, 1.5))
        if len(self.added) > 6 or (self.added and self.random.random() < 0.3):
            await self.remove(self.random.choice(self.added))

    async def remove(self, name: str) -> None:
        """Takes one camera away, its viewers still watching."""
        self.added.remove(name)
        async with self.session.delete(f"{self.product.base}/api/v1/cameras/{name}") as answer:
            self._answered("camera removed", answer.status, {204})

    async def push(self) -> None:
        """A device that pushes over one way or the other, and takes over from itself."""
        jpeg = self.random.choice(list(PICTURES.glob("640x480-*.jpg"))).read_bytes()
        base = f"{self.product.base}/api/v1/cameras/pushed"
        if self.random.random() < 0.5:
            async with self.session.ws_connect(f"{base}/publish") as device:
                for _ in range(self.random.randrange(1, 20)):
                    await device.send_bytes(jpeg)
                    await asyncio.sleep(0.05)
            self.counts["WebSocket devices"] += 1
        else:
            for _ in range(self.random.randrange(1, 20)):
                form = aiohttp.FormData()
                form.add_field("frame", jpeg, filename="frame.jpg", content_type="image/jpeg")
                async with self.session.post(f"{base}/frames", data=form) as answer:
                    self._answered("push", answer.status, {200, 201, 409})
                await asyncio.sleep(0.05)

    async def misbehave(self) -> None:
        """Requests that end half-way, say nonsense, or nothing at all."""
        bad = [
            b"",
            b"GET /api/v1/cam",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01" * 20,
            b"POST /api/v1/cameras HTTP/1.1\r\n",
        ]
        _, writer = await asyncio.open_connection("127.0.0.1", self.product.port)
        writer.write(self.random.choice(bad))
        await asyncio.sleep(self.random.uniform(0.05, 0.5))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.counts["half requests"] += 1


@asynccontextmanager
async def fake_devices() -> AsyncIterator[list[str]]:
    """The devices that misbehave, and one address where nobody is."""
    async with AsyncExitStack() as stack:
        urls = []
        for dialect, path, faults in DEVICES:
            port = _free_port()
            command: list[object] = [framecast(), "mock-camera", "--listen", port, "--dialect", dialect]
            command += ["--fps", 10, "--size", "320x240"]
            for fault in faults:
                command += ["--fault", fault]
            stack.enter_context(Child(command, core=cores()[0], log=LOGS / "mock-camera.log"))
            urls.append(f"http://127.0.0.1:{port}{path}")
        yield [*urls, f"http://127.0.0.1:{_free_port()}/stream"]


async def settled(product: Product) -> dict[str, float]:
    """The lowest figures while everything is quiet: what is still being let go is not a leak."""
    lowest = product.state()
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        await asyncio.sleep(0.5)
        now = product.state()
        lowest = {name: min(lowest[name], now[name]) for name in lowest}
        product.drain()
    return lowest


async def tell(product: Product, churn: Churn, every_s: float) -> None:
    """A line now and then, so that one can watch."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(every_s)
        product.drain()
        state = product.state()
        print(
            f"{time.monotonic() - began:6.0f} s  {state['fds']:4.0f} descriptors  {state['tasks']:4.0f} tasks  "
            f"{state['rss_bytes'] / 2**20:6.1f} MiB  {len(churn.added)} added cameras  "
            f"{sum(n for what, n in churn.counts.items() if what.startswith('viewer')):,} viewers",
            flush=True,
        )


async def soak(seconds: float, viewers: int) -> dict[str, Any]:
    """The whole of it; its figures, with `failures` in words."""
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    log_at = (LOGS / "framecast.log").stat().st_size if (LOGS / "framecast.log").exists() else 0
    async with fake_devices() as urls, AsyncExitStack() as stack:
        camera = stack.enter_context(Camera(files, fps=15))
        product = stack.enter_context(Product({"cam": camera.url(), "pushed": "push:"}, config=CONFIG))
        steady = stack.enter_context(Load([product.viewer_url()], STEADY_VIEWERS, exact=STEADY_VIEWERS))
        steady.joined()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        )
        churn = Churn(product, session, [*urls, camera.url()], viewers)
        warm_up_s = min(max(seconds * 0.2, 10.0), 90.0)
        async with asyncio.TaskGroup() as group:
            teller = group.create_task(tell(product, churn, min(max(seconds / 20, 2.0), 30.0)))
            print(f"warming up for {warm_up_s:.0f} s")
            await churn.run(warm_up_s)
            before = await settled(product)
            steady.begin()
            print(f"churning for {seconds:.0f} s")
            await churn.run(seconds)
            seen = steady.end()
            after = await settled(product)
            teller.cancel()
        cpu_s, alive = product.cpu_s(), product.running()
    failures = judge(before, after, seen, churn, alive) + log_complaints(LOGS / "framecast.log", log_at)
    return {
        "seconds": seconds,
        "before": before,
        "after": after,
        "steady": {key: value for key, value in seen.items() if key != "restarts"},
        "cpu_s": cpu_s,
        "counts": dict(churn.counts),
        "wrong": dict(churn.wrong),
        "failures": failures,
    }


def judge(
    before: dict[str, float], after: dict[str, float], seen: dict[str, Any], churn: Churn, alive: bool
) -> list[str]:
    """What is not as it should be, in words."""
    failures = [] if alive else ["the server ended"]
    for name, slack, unit in (("fds", FD_SLACK, "descriptors"), ("tasks", TASK_SLACK, "tasks")):
        if after[name] - before[name] > slack:
            failures.append(f"{unit}: {before[name]:.0f} before, {after[name]:.0f} after")
    if after["rss_bytes"] - before["rss_bytes"] > RSS_SLACK_BYTES:
        failures.append(f"memory: {before['rss_bytes'] / 2**20:.1f} MiB before, {after['rss_bytes'] / 2**20:.1f} after")
    if seen["lost"]:
        failures.append(f"{seen['lost']} of {STEADY_VIEWERS} steady viewers lost their connection")
    if seen["missing"] > MISSING_SHARE * seen["frames"]:
        failures.append(f"steady viewers missed {seen['missing']} of {seen['frames']} frames")
    return failures + [f"{what}: {count} times" for what, count in churn.wrong.items()]


def log_complaints(log: Path, at: int) -> list[str]:
    """Tracebacks since byte `at` of the server's log, and a log that grows without bound."""
    with log.open("rb") as file:
        file.seek(at)
        text = file.read()
    complaints = []
    if b"Traceback" in text:
        complaints.append(f"{text.count(b'Traceback')} tracebacks in {log}")
    if len(text) > LOG_SIZE_BYTES:
        complaints.append(f"{len(text) / 2**20:.0f} MiB of log")
    return complaints


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Exit status 1 when something did not come back."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Churn, then compare.")
    parser.add_argument("--seconds", type=float, default=600.0, help="of churn, after the warm-up [600]")
    parser.add_argument("--viewers", type=int, default=12, help="churning MJPEG viewers at a time [12]")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    build()
    figures = asyncio.run(soak(options.seconds, options.viewers))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "soak").mkdir(exist_ok=True)
    (OUT / "soak" / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
    for what, count in sorted(figures["counts"].items()):
        print(f"{count:14,}  {what}")
    for name in ("fds", "tasks", "threads"):
        print(f"{name:8} {figures['before'][name]:8.0f} -> {figures['after'][name]:8.0f}")
    memory = [figures[when]["rss_bytes"] / 2**20 for when in ("before", "after")]
    print(f"memory   {memory[0]:6.1f} MiB -> {memory[1]:6.1f} MiB")
    steady = figures["steady"]
    print(
        f"steady viewers: {steady['frames']:,} frames, {steady['missing']} missing, {steady['lost']} lost, "
        f"latency p99 {(steady['latency_ms'] or {}).get('p99', 0):.1f} ms"
    )
    for failure in figures["failures"]:
        print(f"FAILED: {failure}")
    print("passed" if not figures["failures"] else "failed")
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
