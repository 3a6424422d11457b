"""A small machine for a long time: `python -m bench.small --minutes N` (`make small MINUTES=60`).

Theory of operation. `framecast serve` under a limit of 256 MiB, as on the smallest machines that are to be had: five
cameras, and twenty viewers in the three forms that people use side by side (MJPEG; dashboards that show all cameras
over one WebSocket; `stream.mp4`, for which one camera is coded to H.264). It has to let nobody go, and not grow.

The limit is the kernel's (`RLIMIT_DATA`: heap and every private writable mapping; what goes beyond fails in the
server), since it needs no rights. It knows neither shared libraries nor what the system takes for itself, so the peak
of resident memory, libraries included, has to stay below `ROOM_BYTES`, too. Threads' stacks are bounded to what they
can use, for their address space would count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.parts import LOGS, OUT, PICTURES, Camera, Load, Product, build
from bench.pictures import STAMP_BYTES, pictures
from bench.soak import log_complaints

LIMIT_BYTES = 256 << 20
ROOM_BYTES = 200 << 20
"""What 256 MiB leave to one program, beside the kernel and what starts it."""
STACK_BYTES = 1 << 20
CAMERAS = 5
FPS = 15
PICTURE_BYTES = 20_000
MJPEG_VIEWERS = 12
DASHBOARDS = 4
MP4_VIEWERS = 4
WARM_UP_SHARE = 0.15
"""Before the time that counts, between half a minute and five: pools, rings and the allocator's heaps fill once."""
FLAT_BYTES = 4 << 20
"""By how much the last quarter may lie above the first after the warm-up (medians)."""
SILENCE_S = 10.0


@dataclass
class Seen:
    """What one viewer of ours got."""

    what: str
    count: int = 0
    size_bytes: int = 0
    longest_silence_s: float = 0.0
    ended: str = ""
    last_s: float = field(default_factory=time.monotonic)

    def add(self, size_bytes: int) -> None:
        """Something came."""
        now = time.monotonic()
        self.longest_silence_s = max(self.longest_silence_s, now - self.last_s)
        self.last_s = now
        self.count += 1
        self.size_bytes += size_bytes


async def watch_dashboard(session: aiohttp.ClientSession, base: str, seen: Seen) -> None:
    """All cameras over one WebSocket, every frame acknowledged."""
    async with session.ws_connect(f"{base}/api/v1/ws", max_msg_size=0) as dashboard:
        await dashboard.send_json({"type": "subscribe", "cameras": [{"id": "*"}]})
        async for message in dashboard:
            if message.type is aiohttp.WSMsgType.BINARY:
                seen.add(len(message.data))
                number = int.from_bytes(message.data[4:6], "little")
                frame = int.from_bytes(message.data[16:24], "little")
                await dashboard.send_json({"type": "ack", "camera": number, "frame": frame})
    seen.ended = f"closed with {dashboard.close_code}"


async def watch_mp4(session: aiohttp.ClientSession, base: str, seen: Seen) -> None:
    """The first camera as H.264 in MP4."""
    async with session.get(f"{base}/api/v1/cameras/c0/stream.mp4") as answer:
        if answer.status != 200:
            seen.ended = f"answered {answer.status}"
            return
        async for chunk in answer.content.iter_any():
            seen.add(len(chunk))
    seen.ended = "the file ended"


def memory(pid: int) -> dict[str, int]:
    """Resident memory now (`rss`, of it `anon`), its peak, and what counts against the limit (`data`), in bytes."""
    names = {"VmRSS": "rss", "RssAnon": "anon", "VmHWM": "peak", "VmData": "data"}
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in names:
            found[names[name]] = int(value.split()[0]) * 1024
    return found


async def small(minutes: float) -> dict[str, Any]:
    """The whole of it; its figures, with `failures` in words."""
    seconds = minutes * 60
    files = pictures(PICTURES, PICTURE_BYTES - STAMP_BYTES, 4)
    log = LOGS / "framecast.log"
    log_at = log.stat().st_size if log.exists() else 0
    # Inherited by the server, whose threads take it as the size of their stacks.
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    samples: list[dict[str, float]] = []
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(Camera(files, cameras=CAMERAS, fps=FPS))
        product = stack.enter_context(Product({f"c{number}": url for number, url in enumerate(camera.urls())}))
        # It holds what it has at its start; this is for all that it takes from now on.
        resource.prlimit(product.pid, resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=SILENCE_S)
            )
        )
        urls = [product.viewer_url(number) for number in range(CAMERAS)]
        load = stack.enter_context(Load(urls, MJPEG_VIEWERS, exact=MJPEG_VIEWERS))
        await asyncio.to_thread(load.joined)
        viewers = [Seen(f"dashboard {number}") for number in range(DASHBOARDS)]
        tasks = [asyncio.create_task(watch_dashboard(session, product.base, seen)) for seen in viewers]
        coded = [Seen(f"stream.mp4 {number}") for number in range(MP4_VIEWERS)]
        tasks += [asyncio.create_task(watch_mp4(session, product.base, seen)) for seen in coded]
        viewers += coded
        began = time.monotonic()
        warm_up_s = min(max(seconds * WARM_UP_SHARE, 30.0), 300.0)
        load.begin()
        cpu_s = product.cpu_s()
        every_s = max(min(seconds / 120, 15.0), 1.0)
        while (elapsed_s := time.monotonic() - began) < seconds + warm_up_s and product.running():
            await asyncio.sleep(every_s)
            product.drain()
            sample = {"at_s": elapsed_s, **memory(product.pid), **await asyncio.to_thread(product.state)}
            sample["viewers"] = float((await asyncio.to_thread(product.stats))["clients"])
            samples.append(sample)
            if len(samples) % 8 == 1:
                tell(sample)
        cpu_cores = (product.cpu_s() - cpu_s) / (time.monotonic() - began)
        seen = load.end()
        alive = product.running()
        for task, viewer in zip(tasks, viewers, strict=True):
            if task.done() and (error := task.exception()) is not None:
                viewer.ended = f"{type(error).__name__}: {error}"
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    steady = [sample for sample in samples if sample["at_s"] >= warm_up_s]
    figures = {
        "minutes": minutes,
        "warm_up_s": warm_up_s,
        "cpu_cores": cpu_cores,
        "mjpeg": {key: value for key, value in seen.items() if key != "restarts"},
        "others": [
            {"what": each.what, "count": each.count, "bytes": each.size_bytes, "silence_s": each.longest_silence_s}
            for each in viewers
        ],
        "samples": samples,
        "first": quarter(steady[: len(steady) // 4 or 1]),
        "last": quarter(steady[-(len(steady) // 4 or 1) :]),
        "peak_bytes": max(sample["peak"] for sample in samples),
    }
    figures["failures"] = [] if alive else ["the server ended"]
    figures["failures"] += judge(figures, viewers) + log_complaints(log, log_at)
    return figures


def quarter(samples: list[dict[str, float]]) -> dict[str, float]:
    """The middle of each figure."""
    return {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}


def tell(sample: dict[str, float]) -> None:
    """A line now and then, so that one can watch."""
    print(
        f"{sample['at_s']:6.0f} s  resident {sample['rss'] / 2**20:6.1f} MiB  peak {sample['peak'] / 2**20:6.1f}  "
        f"against the limit {sample['data'] / 2**20:6.1f} of {LIMIT_BYTES >> 20}  {sample['fds']:.0f} descriptors  "
        f"{sample['tasks']:.0f} tasks  {sample['threads']:.0f} threads  {sample['viewers']:.0f} viewers",
        flush=True,
    )


def judge(figures: dict[str, Any], viewers: list[Seen]) -> list[str]:
    """What is not as it should be, in words."""
    failures = [f"{viewer.what}: {viewer.ended}" for viewer in viewers if viewer.ended]
    failures += [f"{viewer.what} saw nothing" for viewer in viewers if not viewer.count]
    first, last = figures["first"], figures["last"]
    for name in ("rss", "anon"):
        if last[name] - first[name] > FLAT_BYTES:
            failures.append(f"{name} grew from {first[name] / 2**20:.1f} to {last[name] / 2**20:.1f} MiB")
    for name in ("fds", "tasks", "threads"):
        if last[name] > first[name] + 2:
            failures.append(f"{name} grew from {first[name]:.0f} to {last[name]:.0f}")
    if figures["peak_bytes"] > ROOM_BYTES:
        failures.append(f"{figures['peak_bytes'] / 2**20:.1f} MiB at the peak; there is room for {ROOM_BYTES >> 20}")
    if figures["mjpeg"]["lost"]:
        failures.append(f"{figures['mjpeg']['lost']} of {MJPEG_VIEWERS} MJPEG viewers lost their connection")
    if last["viewers"] < MJPEG_VIEWERS + DASHBOARDS * CAMERAS + MP4_VIEWERS:  # a dashboard counts at each camera
        failures.append(f"{last['viewers']:.0f} viewers were left")
    return failures


def main() -> int:
    """Exit status 1 when it did not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.small", description="A small machine for a long time.")
    parser.add_argument("--minutes", type=float, default=60.0, help="after the warm-up [60]")
    options = parser.parse_args()
    build()
    figures = asyncio.run(small(options.minutes))
    (OUT / "small").mkdir(parents=True, exist_ok=True)
    (OUT / "small" / "small.json").write_text(json.dumps(figures, indent=1) + "\n")
    for name in ("rss", "anon", "data"):
        first, last = (figures[when][name] / 2**20 for when in ("first", "last"))
        print(f"{name:5} {first:6.1f} MiB -> {last:6.1f} MiB (medians of the first and the last quarter)")
    print(f"peak  {figures['peak_bytes'] / 2**20:6.1f} MiB resident, {figures['cpu_cores']:.2f} core")
    mjpeg = figures["mjpeg"]
    print(
        f"{MJPEG_VIEWERS} MJPEG viewers: {mjpeg['frames']:,} frames, {mjpeg['missing']} missing, {mjpeg['lost']} lost"
    )
    for other in figures["others"]:
        print(f"{other['what']}: {other['count']:,} pieces, silent for {other['silence_s']:.1f} s at most")
    for failure in figures["failures"]:
        print(f"FAILED: {failure}")
    print("passed" if not figures["failures"] else "failed")
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
