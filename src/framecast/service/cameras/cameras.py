"""The cameras of this server: from configuration to running readers, and back when something is changed."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from framecast.core.clock import SYSTEM, Clock
from framecast.core.errors import LimitReached
from framecast.core.frameids import FrameIds
from framecast.core.rendition import DETECTIONS, Rendition
from framecast.core.source import Source
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import Viewer, new_viewer
from framecast.core.worker import Worker
from framecast.ingest.gate import Gate, Limits, ScanBudget
from framecast.ingest.push import Desk
from framecast.ingest.reader import Reader
from framecast.output.mjpeg import Output
from framecast.service.cameras.parts import FrameIdStore, OnFault, Parts
from framecast.service.cameras.reading import reading_of, transform_of
from framecast.service.cameras.sound import Sound, open_sound
from framecast.service.config import CameraConfig, Settings, StreamOptions, mask_url
from framecast.vision.factories import MakeFaces, no_faces
from framecast.vision.options import Options as VisionOptions
from framecast.vision.sight import Sight

__all__ = ["Camera", "Cameras", "FrameIdStore", "OnFault", "Parts", "transform_of"]

log = logging.getLogger("framecast.service.cameras.cameras")

MOST_NUMBERS = 65_535
FRAME_ID_BLOCK = 10_000


@dataclass(slots=True)
class Camera:
    """One configured camera and what runs for it.

    Attributes:
        origin: Who named it: ``config``, ``api``, ``command line``.
        reader: Fetches its pictures, or takes them in when it pushes.
        sound: What it hears and says.
        seeks: What its detection is told.
        sight: What is known of its detection.
        reading: What its source and reader were begun with.
    """

    camera_id: str
    config: CameraConfig
    options: StreamOptions
    origin: str
    stream: Stream
    output: Output
    sound: Sound
    seeks: VisionOptions
    sight: Sight
    reader: Reader | Desk
    task: asyncio.Task[None]
    reading: tuple[object, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.config.name or self.camera_id

    @property
    def desk(self) -> Desk | None:
        """Where it hands in pictures, when it is one that pushes."""
        return self.reader if isinstance(self.reader, Desk) else None


class Cameras:
    """All cameras, by id.

    Args:
        settings: Effective settings.
        parts: How sources and renditions are made.
        supervisor: Owner of all tasks.
        frame_ids: Where ids are reserved.
        executor: For blocking calls.

    Attributes:
        on_looks_ended: Told of cameras, by id, of which looks that are under way must leave nothing behind.
        on_forgotten: Told of those whose pictures so far may be neither kept nor sent any more: a mask was set.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        supervisor: Supervisor,
        *,
        frame_ids: FrameIdStore,
        executor: Executor,
        clock: Clock = SYSTEM,
    ) -> None:
        self.settings = settings
        self.budget = ScanBudget()
        self.make_faces: Callable[[str, VisionOptions], MakeFaces] = lambda camera_id, options: no_faces
        self.on_added: list[Callable[[Camera], None]] = []
        self.on_changed: list[Callable[[Camera], None]] = []
        self.on_removed: list[Callable[[Camera], None]] = []
        self.on_looks_ended: list[Callable[[str], None]] = []
        self.on_forgotten: list[Callable[[str], None]] = []
        self._parts = parts
        self._supervisor = supervisor
        self._frame_ids = frame_ids
        self._executor = executor
        self._clock = clock
        self._cameras: dict[str, Camera] = {}
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._cameras)

    def __iter__(self) -> Iterator[Camera]:
        return iter(tuple(self._cameras.values()))

    def __contains__(self, camera_id: str) -> bool:
        return camera_id in self._cameras

    def get(self, camera_id: str) -> Camera | None:
        """The camera of this id."""
        return self._cameras.get(camera_id)

    def has(self, camera: Camera) -> bool:
        """Whether it is still here, changed or not: it may have been removed while somebody waited."""
        here = self._cameras.get(camera.camera_id)
        return here is not None and here.stream is camera.stream

    @property
    def first(self) -> Camera | None:
        """The first camera, which the routes of older programs mean when nothing else is said."""
        return next(iter(self._cameras.values()), None)

    @property
    def viewers(self) -> int:
        """Viewers of all cameras."""
        return sum(len(camera.stream.viewers) for camera in self._cameras.values())

    async def add(self, camera_id: str, config: CameraConfig, origin: str, sound_origin: str = "") -> Camera:
        """Start a camera.

        Args:
            origin: Who gave its URL.
            sound_origin: Who gave the URL of its sound; the same when left out.

        Raises:
            Misuse: Its URL can't be opened here.
            LimitReached: There are as many as the operator allows.
        """
        limit = self.settings.limits.max_cameras
        if len(self._cameras) >= limit:
            raise LimitReached(f"there are {limit} cameras already (limits.max_cameras)", limit)
        source = self._open(camera_id, config, origin, self.settings)
        fetched = open_sound(config, self.settings.network, sound_origin or origin)
        sight = Sight()
        stream = Stream(
            camera_id,
            self._number(camera_id),
            self._supervisor,
            make_worker=lambda rendition: self._make_worker(stream, sight, rendition),
            clock=self._clock,
            frame_ids=await self._open_frame_ids(camera_id),
            viewer_limit=self.settings.limits.max_viewers_per_camera,
        )
        stream.viewer_stall_timeout_s = self.settings.limits.viewer_stall_timeout_s
        transform = self._parts.make_transform(config, stream.count_transform_fault)
        sound = Sound(stream, self.settings.sound.talk_duplex)
        camera = self._start(camera_id, config, origin, source, transform, stream, sound, sight)
        sound.start(fetched, camera.options, self._supervisor)
        self._cameras[camera_id] = camera
        log.info("%s: Broadcaster ID created for: %s", camera_id, mask_url(config.url))
        for listener in self.on_added:
            listener(camera)
        return camera

    def check(self, camera_id: str, config: CameraConfig, origin: str, settings: Settings | None = None) -> None:
        """See whether a camera could be configured so; nothing is begun.

        Args:
            settings: With which; those that hold when left out.

        Raises:
            Misuse: Its URL can't be opened here, or its pictures not be changed so.
        """
        settings = settings or self.settings
        self._open(camera_id, config, origin, settings)
        open_sound(config, settings.network, origin)
        self._parts.make_transform(config, str)

    async def change(self, camera_id: str, config: CameraConfig, origin: str, sound_origin: str = "") -> Camera:
        """Give a camera another configuration, or the settings that hold now.

        Its viewers stay, and so does the device where it is read as before.

        Args:
            origin: Who gave its URL.
            sound_origin: Who gave the URL of its sound; the same when left out.

        Raises:
            Misuse: Its URL can't be opened here; the camera is as it was.
        """
        old = self._cameras[camera_id]
        stream = old.stream
        turned = transform_of(config) != transform_of(old.config)
        if old.reading == reading_of(self.settings, config, origin):
            if turned:
                stream.set_transform(self._parts.make_transform(config, stream.count_transform_fault), again=True)
            seeks = self.settings.vision_options(config)
            options = self.settings.stream_options(config)
            camera = self._cameras[camera_id] = replace(old, config=config, options=options, seeks=seeks)
            if seeks != old.seeks:
                camera.stream.remake(DETECTIONS)
            if turned or seeks != old.seeks:
                self._forget(camera_id, pictures=turned)
        else:
            source = self._open(camera_id, config, origin, self.settings)
            fetched = open_sound(config, self.settings.network, sound_origin or origin)
            transform = self._parts.make_transform(config, stream.count_transform_fault)
            await self._stop(old)
            self._forget(camera_id, pictures=turned)
            camera = self._start(camera_id, config, origin, source, transform, stream, old.sound, old.sight, old.output)
            camera.sound.start(fetched, camera.options, self._supervisor)
        self._cameras[camera_id] = camera
        camera.output.repeat_every(camera.options.heartbeat_interval_s)
        for listener in self.on_changed:
            listener(camera)
        return camera

    async def remove(self, camera_id: str) -> None:
        """End a camera; its viewers are disconnected."""
        camera = self._cameras.pop(camera_id)
        await self._stop(camera)
        for listener in self.on_removed:
            listener(camera)
        camera.output.close()
        camera.sound.close()
        camera.stream.close()

    async def close(self) -> None:
        """End all cameras."""
        for camera in self:
            await self.remove(camera.camera_id)

    def _forget(self, camera_id: str, *, pictures: bool) -> None:
        for listener in (*self.on_looks_ended, *(self.on_forgotten if pictures else ())):
            listener(camera_id)

    def restart(self, camera_id: str) -> None:
        """Let one camera's reader connect anew."""
        self._cameras[camera_id].reader.restart()

    def admit(
        self,
        camera: Camera,
        kind: str,
        address: str,
        *,
        fps_limit: float = 0.0,
        rendition: str = "video",
        holder: str = "",
    ) -> Viewer:
        """Count a viewer in.

        Args:
            holder: Whose credential lets it in.

        Raises:
            LimitReached: The camera has as many as the operator allows.
        """
        viewer = new_viewer(kind, address, self._clock, fps_limit=fps_limit, rendition=rendition, holder=holder)
        try:
            camera.stream.admit(viewer)
        except LimitReached as error:
            words = f"{error} (limits.max_viewers_per_camera); try again when one has gone"
            raise LimitReached(words, error.limit) from None
        log.log(
            logging.DEBUG if kind == "snapshot" else logging.INFO,
            "%s: subscriber added (total: %d). Client %d connected. Total active clients: %d",
            camera.camera_id,
            len(camera.stream.viewers),
            viewer.number,
            self.viewers,
        )
        return viewer

    def dismiss(self, camera: Camera, viewer: Viewer) -> None:
        """Count a viewer out."""
        camera.stream.dismiss(viewer)
        log.log(
            logging.DEBUG if viewer.kind == "snapshot" else logging.INFO,
            "%s: Client %d disconnected after %d frames, %d dropped, %d bytes. Total active clients: %d",
            camera.camera_id,
            viewer.number,
            viewer.sent,
            viewer.drops,
            viewer.bytes,
            self.viewers,
        )

    def _make_worker(self, stream: Stream, sight: Sight, rendition: Rendition) -> Worker:
        if rendition != DETECTIONS:
            return self._parts.make_worker(rendition, stream.count_fault, lambda: stream.track(DETECTIONS))
        camera = self._cameras.get(stream.camera_id)
        options = VisionOptions(enabled=False) if camera is None else camera.seeks  # it is going just now
        return self._parts.make_detector(options, sight, self.make_faces(stream.camera_id, options), stream.clock)

    def _open(self, camera_id: str, config: CameraConfig, origin: str, settings: Settings) -> Source | None:
        """Where the pictures are fetched; None for a camera that pushes them."""
        return None if config.kind == "push" else self._parts.open_source(camera_id, config, settings, origin)

    def _start(
        self,
        camera_id: str,
        config: CameraConfig,
        origin: str,
        source: Source | None,
        transform: Callable[[], Worker] | None,
        stream: Stream,
        sound: Sound,
        sight: Sight,
        output: Output | None = None,
    ) -> Camera:
        options = self.settings.stream_options(config)
        limits = self.settings.limits
        gate = Gate(
            stream,
            limits=Limits(limits.max_frame_bytes, limits.max_pixels, limits.max_fps_per_camera),
            verify=options.verify,
            budget=self.budget,
        )
        reader: Reader | Desk
        if source is None:
            reader = Desk(stream, gate, stall_timeout_s=options.stall_timeout_s, microphone=sound.microphone)
        else:
            reader = Reader(
                stream,
                source,
                gate,
                label=mask_url(config.url),
                policy=options.policy,
                grace_s=options.grace_s,
                stall_timeout_s=options.stall_timeout_s,
                microphone=sound.microphone,
            )
        stream.set_transform(transform)
        output = output or Output(stream, heartbeat_s=options.heartbeat_interval_s)
        task = self._supervisor.keep(f"camera:{camera_id}", reader.run)
        seeks = self.settings.vision_options(config)
        reading = reading_of(self.settings, config, origin)
        return Camera(camera_id, config, options, origin, stream, output, sound, seeks, sight, reader, task, reading)

    async def _stop(self, camera: Camera) -> None:
        await camera.sound.stop()
        camera.task.cancel()
        await asyncio.gather(camera.task, return_exceptions=True)
        if camera.desk is not None:
            camera.desk.restart()  # a device that is connected must not go on at a desk nobody looks after

    async def _open_frame_ids(self, camera_id: str) -> FrameIds:
        first = await self._reserve(camera_id)

        def reserve(frame_ids: FrameIds) -> None:
            async def extend() -> None:
                start = await self._reserve(camera_id)
                frame_ids.extend(start + FRAME_ID_BLOCK)

            self._supervisor.spawn(f"frame ids:{camera_id}", extend())

        return FrameIds(first, first + FRAME_ID_BLOCK, reserve)

    async def _reserve(self, camera_id: str) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._frame_ids.reserve_frame_ids, camera_id, FRAME_ID_BLOCK)

    def _number(self, camera_id: str) -> int:
        """A number that stays with the id, so that a camera that comes back has the same one on every open page."""
        if camera_id not in self._numbers:
            if len(self._numbers) == MOST_NUMBERS:
                self._numbers = {each: self._numbers[each] for each in self._cameras}
            used = set(self._numbers.values())
            self._numbers[camera_id] = next(each for each in itertools.count(1) if each not in used)
        return self._numbers[camera_id]
