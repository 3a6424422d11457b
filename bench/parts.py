"""What scenarios are put together from: the C programs, the product, and a measuring window over any server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.processes import Child, cores

HERE = Path(__file__).parent
BUILD = HERE / "build"
OUT = HERE / "out"
PICTURES = OUT / "pictures"
LOGS = OUT / "logs"

READY = re.compile(r"Framecast is ready at http://([^:/]+):(\d+)/")


def build() -> None:
    """Compiles the C programs when they are older than their sources. Raises `RuntimeError` without a compiler."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        raise RuntimeError("the bench needs make and a C compiler (Debian: apt install build-essential)")
    done = subprocess.run(["make", "-s", "-C", str(HERE)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the bench's C programs do not compile:\n{done.stderr}")


def framecast() -> str:
    """The product's command, of the environment this Python belongs to."""
    return str(Path(sys.executable).parent / "framecast")


class Camera(Child):
    """`cameras` devices of one program. Their URLs: `url(number)`."""

    def __init__(
        self,
        pictures: list[Path],
        *,
        cameras: int = 1,
        fps: float = 30,
        port: int = 0,
        stamped: bool = True,
        cut_after: int = 0,
    ) -> None:
        command: list[object] = [BUILD / "camera", "--cameras", cameras, "--fps", fps, "--port", port]
        for picture in pictures:
            command += ["--picture", picture]
        if not stamped:
            command.append("--no-stamp")
        if cut_after:
            command += ["--cut-after", cut_after]
        super().__init__(command, core=cores()[0], log=LOGS / "camera.log")
        self.cameras = cameras
        self.port = int(self.line_with("listening", 5).split()[1])

    def url(self, number: int = 0) -> str:
        """Where camera `number` streams."""
        return f"http://127.0.0.1:{self.port}/{number}/stream"

    def urls(self) -> list[str]:
        """Where each camera streams."""
        return [self.url(number) for number in range(self.cameras)]


class Server(Child):
    """A server under measurement, on a core of its own."""

    name = "server"
    port = 0

    def viewer_url(self, number: int = 0) -> str:
        """Where camera `number` is watched over MJPEG."""
        raise NotImplementedError

    def settle(self) -> None:
        """Reads what it printed."""
        self.drain()


class Relay(Server):
    """The limit: `relay.c`."""

    name = "C relay"

    def __init__(self, urls: list[str], *, core: int | None = None) -> None:
        command: list[object] = [BUILD / "relay"]
        for url in urls:
            command += ["--camera", url]
        super().__init__(command, core=cores()[1] if core is None else core, log=LOGS / "relay.log")
        self.port = int(self.line_with("listening", 5).split()[1])

    def viewer_url(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.port}/{number}/stream"


class Product(Server):
    """`framecast serve`, as anybody starts it: its own routes, checks, counters and headers all on."""

    name = "Framecast"

    def __init__(self, cameras: dict[str, str], *, config: str = "", arguments: tuple[str, ...] = ()) -> None:
        self.cameras = list(cameras)
        self._data = tempfile.TemporaryDirectory(prefix="framecast-bench-")
        command: list[object] = [framecast(), "serve", "--host", "127.0.0.1", "--port", 0, "--data", self._data.name]
        if config:
            path = Path(self._data.name) / "bench.toml"
            path.write_text(config)
            command += ["--config", path]
        for camera, url in cameras.items():
            command += ["--camera", f"{camera}={url}"]
        started = time.monotonic()
        # What one core can take is asked here, not what one camera may send.
        limits = ("MAX_FPS_PER_CAMERA", "RECEIVED_BYTES_PER_S", "REQUESTS_PER_S")
        env = {f"FRAMECAST_LIMITS_{name}": "0" for name in limits}
        super().__init__([*command, *arguments], core=cores()[1], log=LOGS / "framecast.log", env=env)
        match = READY.search(self.line_with("Framecast is ready", 20))
        assert match is not None
        self.ready_after_s = time.monotonic() - started
        self.port = int(match[2])

    def stop(self, sig: int = 15) -> str:
        out = super().stop(sig)
        self._data.cleanup()
        return out

    @property
    def base(self) -> str:
        """Its URL, without a slash."""
        return f"http://127.0.0.1:{self.port}"

    def viewer_url(self, number: int = 0) -> str:
        return f"{self.base}/api/v1/cameras/{self.cameras[number]}/stream.mjpeg"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One API call; its JSON answer, None for an empty one."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stats(self) -> dict[str, Any]:
        """`GET /api/v1/stats`."""
        return dict(self.call("GET", "/api/v1/stats"))

    def accepted(self) -> int:
        """Frames accepted so far, of all cameras."""
        cameras = self.call("GET", "/api/v1/cameras")["cameras"]
        return sum(int(camera["counters"]["frames"]) for camera in cameras)

    def connects(self) -> int:
        """Connections to devices so far, of all cameras."""
        cameras = self.call("GET", "/api/v1/cameras")["cameras"]
        return sum(int(camera["connection"]["connects"]) for camera in cameras)

    def state(self) -> dict[str, float]:
        """What must not grow: `fds`, `tasks`, `threads`, `rss_bytes`."""
        process = self.stats()["process"]
        return {
            "fds": self.fds(),
            "tasks": float(process["tasks"]),
            "threads": self.threads(),
            "rss_bytes": self.rss_bytes(),
        }


class Load(Child):
    """Viewers; see `bench/c/load.c` for the kinds."""

    def __init__(
        self,
        urls: list[str],
        viewers: int,
        *,
        exact: int = 0,
        slow: int = 0,
        slow_rate: float = 0,
        stalled: int = 0,
        joins: int = 0,
        join_rate: float = 0,
    ) -> None:
        command: list[object] = [BUILD / "load", "--viewers", viewers]
        for url in urls:
            command += ["--url", url]
        for name, value in (("exact", exact), ("slow", slow), ("stalled", stalled), ("joins", joins)):
            if value:
                command += [f"--{name}", value]
        if slow:
            command += ["--slow-rate", slow_rate]
        if join_rate:
            command += ["--join-rate", join_rate]
        self.viewers = viewers
        self._begun_ns = 0
        super().__init__(command, core=cores()[0], log=LOGS / "load.log")

    def joined(self, within_s: float = 20) -> None:
        """Returns once every viewer that reads has a picture."""
        self.line_with('"joined"', within_s)

    def begin(self) -> None:
        """Opens a measuring window."""
        self.say("begin")

    def end(self) -> dict[str, Any]:
        """Closes it; the figures."""
        self.say("end")
        return dict(json.loads(self.line_with('"window"', 10)))


@dataclass
class Window:
    """One measuring window: the server's CPU (cores), its memory before and after the viewers, what viewers saw."""

    server: str
    cpu_cores: float
    load: dict[str, Any]
    rss_before_bytes: int = 0
    rss_bytes: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Frames that viewers should have seen and did not, lost viewers and unreadable counts included."""
        return int(self.load["missing"]) + int(self.load["lost"]) + int(self.load["unprobed"])

    @property
    def latency_ms(self) -> dict[str, float]:
        """The exact viewers' latency: `p50`, `p99`, `max`, …"""
        return dict(self.load["latency_ms"] or {})


@dataclass(frozen=True)
class Pace:
    """How long and how often: a whole run, or a quick one."""

    rounds: int = 5
    window_s: float = 4.0
    settle_s: float = 1.2
    quick: bool = False

    @classmethod
    def hurried(cls) -> Self:
        """For `--quick`: the same measurements, coarser."""
        return cls(rounds=3, window_s=1.2, settle_s=0.5, quick=True)


def watch(server: Server, urls: list[str], viewers: int, pace: Pace, **kinds: Any) -> Window:
    """One window over `server` with that many viewers, who join in a burst and leave at its end."""
    before = server.rss_bytes()
    with Load(urls, viewers, **kinds) as load:
        load.joined()
        time.sleep(pace.settle_s)
        server.settle()
        load.begin()
        cpu, from_s = server.cpu_s(), time.monotonic()
        time.sleep(pace.window_s)
        cpu, elapsed_s = server.cpu_s() - cpu, time.monotonic() - from_s
        seen = load.end()
        after = server.rss_bytes()
    return Window(server.name, cpu / elapsed_s, seen, before, after)


def hardware() -> dict[str, str]:
    """What it was measured on, in words."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": f"{model}, {len(os.sched_getaffinity(0))} cores used",
        "memory": f"{memory_gib:.0f} GiB",
        "system": f"Linux {os.uname().release}, Python {sys.version.split()[0]}",
    }


def wait_until(what: str, check: Any, within_s: float, every_s: float = 0.1) -> None:
    """Returns once `check()` is true; raises `RuntimeError` naming `what` after `within_s`."""
    until = time.monotonic() + within_s
    while True:
        try:
            if check():
                return
        except (urllib.error.URLError, OSError):
            pass
        if time.monotonic() > until:
            raise RuntimeError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)
