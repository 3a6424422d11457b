"""The composition root: which parts there are, and how they come together."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from framecast import web
from framecast.core.clock import Clock
from framecast.core.errors import Misuse
from framecast.core.rendition import Rendition
from framecast.core.source import Source
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.worker import Worker
from framecast.ingest.http_client import Options
from framecast.ingest.http_pull import HttpPull
from framecast.mock.source import MockSource
from framecast.process.factories import make_transform_worker, make_worker, warm_up
from framecast.process.options import H264Options
from framecast.process.transform import Transform
from framecast.process.worker import codec_executor
from framecast.service.cameras.cameras import OnFault
from framecast.service.cameras.reach import check_address
from framecast.service.config import CameraConfig, Configuration, Settings, check_camera
from framecast.service.config.sections import CaptureSettings
from framecast.service.front import control
from framecast.service.operations import logs
from framecast.service.server import Listeners, announce, event_loop, run_until_signal
from framecast.service.service import Service
from framecast.service.store.state import State
from framecast.vision.catalog import folders
from framecast.vision.factories import Eyes, MakeFaces
from framecast.vision.options import Options as VisionOptions
from framecast.vision.sight import Sight

if TYPE_CHECKING:
    from framecast.demonstration import Demonstration

DESCRIPTORS = 65_536
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def open_http(config: CameraConfig, settings: Settings, origin: str) -> Source:
    """MJPEG in any dialect, or a picture polled."""
    check = check_address(settings.network) if origin == "api" else None
    return HttpPull(
        config.url,
        user=config.username,
        password=config.password,
        options=Options(check_address=check, verify_tls=config.verify_tls),
        interval_s=config.poll_interval_s,
        max_bytes=settings.limits.max_frame_bytes,
    )


def open_av(config: CameraConfig, settings: Settings, origin: str) -> Source:
    """RTSP, files and local cameras, through FFmpeg's libraries."""
    from framecast.ingest.pyav import AvSource

    capture = settings.capture
    return AvSource(
        _captured(config.url, capture) if config.kind == "v4l2" else config.url,
        fps=capture.fps,
        quality=capture.quality,
        max_pixels=settings.limits.max_pixels,
        user=config.username,
        password=config.password,
        check_address=check_address(settings.network) if origin == "api" else None,
    )


def _captured(url: str, capture: CaptureSettings) -> str:
    """A local camera's URL with what `[capture]` says about size and rate, where the URL itself says nothing."""
    device, _, query = url.partition("?")
    wanted = [query] if query else []
    if capture.width and capture.height and "width=" not in query:
        wanted.append(f"width={capture.width}&height={capture.height}")
    if capture.fps >= 1 and "fps=" not in query:
        wanted.append(f"fps={capture.fps:.0f}")
    return f"{device}?{'&'.join(wanted)}" if wanted else device


def open_mock(config: CameraConfig, settings: Settings, origin: str) -> Source:
    """A synthetic camera."""
    return MockSource(config.url)


SOURCES: dict[str, Callable[[CameraConfig, Settings, str], Source]] = {
    "pull": open_http,
    "rtsp": open_av,
    "file": open_av,
    "v4l2": open_av,
    "mock": open_mock,
}
"""What opens each kind of camera (`CameraConfig.kind`); `push` cameras are not opened, they come."""


def open_url(url: str) -> Source:
    """The source behind any camera URL, with default settings; for a look from the command line."""
    config = check_camera({"url": url}, "command line")
    if config.kind not in SOURCES:
        raise Misuse("a camera that pushes can't be opened; it has to come by itself")
    return SOURCES[config.kind](config, Settings(), "command line")


class Parts:
    """The parts that the service is given, so that it needs to know none of them.

    Args:
        settings: What holds; the defaults when left out.

    Attributes:
        encodes: Pictures encoded here so far.
        eyes: What all cameras share to see.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self._h264 = H264Options(**settings.h264.model_dump())
        self.eyes = Eyes(folders(settings.server.data, settings.vision.model_dir), settings.vision.places)
        self.encodes = 0
        self.codecs = codec_executor()

    def open_source(self, camera_id: str, config: CameraConfig, settings: Settings, origin: str) -> Source:
        """The source behind a camera's URL."""
        return SOURCES[config.kind](config, settings, origin)

    def make_worker(self, rendition: Rendition, on_fault: OnFault, looks: Callable[[], Track]) -> Worker:
        """What makes a rendition; ``looks`` gives the camera's track ``detections``, for those that show it."""
        return make_worker(rendition, self.codecs, self._count, on_fault, self._h264, looks)

    def make_detector(self, options: VisionOptions, sight: Sight, make_faces: MakeFaces, clock: Clock) -> Worker:
        """What sees what is in a camera's pictures."""
        return self.eyes.make_worker(options, sight, make_faces, clock)

    def make_transform(self, config: CameraConfig, on_fault: OnFault) -> Callable[[], Worker] | None:
        """What turns and masks a camera's pictures; None when they stay as they are."""
        spec = Transform.of(config.rotate, config.mirror, config.masks)
        return None if spec.is_identity else partial(make_transform_worker, spec, self.codecs, self._count, on_fault)

    def close(self) -> None:
        """Let go of the threads."""
        self.eyes.close()
        self.codecs.shutdown(wait=False, cancel_futures=True)

    def _count(self) -> None:
        self.encodes += 1


def serve(configuration: Configuration) -> int:
    """Serve until told to stop; returns the exit status."""
    _run(configuration, None)
    return 0


def demo(configuration: Configuration, video: Path | None) -> int:
    """Serve three synthetic devices that come in by three different routes; returns the exit status."""
    from framecast.demonstration import Demonstration

    demonstration = Demonstration(video)
    _run(configuration.with_cameras(demonstration.cameras(), "the demo", demonstration.settings), demonstration)
    return 0


def _run(configuration: Configuration, demonstration: Demonstration | None) -> None:
    control.see_that_none_runs(configuration.settings.server.data)  # before a word is logged of what won't be
    logs.configure(configuration.settings.log.level, configuration.settings.log.format)
    _raise_descriptor_limit()
    _steady_malloc()
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(_serve(configuration, demonstration))


async def _serve(configuration: Configuration, demonstration: Demonstration | None) -> None:
    parts = Parts(configuration.settings)
    with (
        closing(parts),
        ThreadPoolExecutor(1, thread_name_prefix="state") as state_thread,
        State.open(configuration.settings.server.data) as state,
    ):
        async with Supervisor() as supervisor:
            service = Service(
                configuration,
                state,
                parts,
                supervisor,
                state_executor=state_thread,
                assets=web.load(),
                encodes=lambda: parts.encodes,
            )
            service.administration.on_change.append(lambda changed: logs.set_level(changed.settings.log.level))
            logs.set_level(service.settings.log.level)  # the kept changes are known only now
            budget = service.cameras.budget
            budget.hold()

            async def warm_up() -> None:
                try:
                    await _warm_up(parts)
                finally:
                    budget.release()

            def ready(listeners: Listeners) -> None:
                announce(service, listeners)
                supervisor.spawn("warm-up", warm_up())
                if demonstration is not None:
                    demonstration.start(listeners.addresses[0].port, supervisor)

            await run_until_signal(service, ready)


async def _warm_up(parts: Parts) -> None:
    """Do, now that it serves, what would hold the loop later."""
    try:
        await asyncio.get_running_loop().run_in_executor(parts.codecs, warm_up)
    finally:
        # What lives as long as the process is taken out of the collector's full passes: they would stop the loop for
        # tens of milliseconds. The command has kept it from looking so far.
        gc.freeze()
        gc.enable()


def _steady_malloc() -> None:
    """Keep glibc's heaps few and large pictures out of them, or memory creeps up as cameras and viewers come and go.

    By default each thread may get a heap of its own, and the size from which a block is mapped by itself, and so given
    back for certain, grows with the largest block that was freed. See mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 128 * 1024)
        mallopt(M_TRIM_THRESHOLD, 1024 * 1024)


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system lets us have."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
