"""Who is known by the face, in a running server: the album and its photos, a thread for each, and the stages' news."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from framecast.core.errors import Misuse, StateError
from framecast.core.limits import Quietly
from framecast.core.rendition import DETECTIONS
from framecast.core.supervise import Supervisor
from framecast.core.threads import give_way
from framecast.service.cameras.cameras import Cameras
from framecast.service.errors import ApiError, Refused, closing
from framecast.service.faces.album import Album, sample_of
from framecast.service.store.database import Database
from framecast.vision.faces.register import Register
from framecast.vision.faces.tools import KEEP_S, KINDS, OFF, Tools, Workshop
from framecast.vision.factories import MakeFaces, no_faces
from framecast.vision.options import Options

if TYPE_CHECKING:
    from framecast.vision.stage import FaceStage

log = logging.getLogger("framecast.service.faces")

T = TypeVar("T")
NEWS_S = 2.0


class Gallery:
    """All of one server.

    Args:
        cameras: Whose pictures people are known in.
        database: The state file.
        folders: Where models are, the first first.
        kind: Which way faces are known, see `framecast.vision.faces.tools.KINDS`.

    Attributes:
        register: What the stages look up.
    """

    def __init__(self, cameras: Cameras, database: Database, folders: Sequence[Path], kind: str) -> None:
        self.register = Register()
        self._cameras = cameras
        cameras.make_faces = self.make_faces
        cameras.on_looks_ended.append(self.register.forget_pictures)
        self._workshop = Workshop(folders)
        self._album = Album(database, self.register, self._workshop, kind)
        # One thread: what is asked of the album is done one by one, and the state's thread waits for no model.
        self._thread = ThreadPoolExecutor(1, "faces", initializer=give_way)
        # And who asks the album waits for no photo, which dlib may search for long.
        self._photos = ThreadPoolExecutor(1, "photos", initializer=give_way)
        self._closed = False
        self._quietly = Quietly(60.0)
        self._task: asyncio.Task[None] | None = None

    def start(self, supervisor: Supervisor) -> None:
        """Know those who are kept, and keep whom the cameras see."""
        self._task = supervisor.keep("faces", self._run)

    async def close(self) -> None:
        """Keep what is to be kept, and let go of models and threads. Safe to call twice."""
        if self._closed:
            return
        self._album.stopping = True
        if self._task is not None:
            self._task.cancel()  # it would ask the thread after its end
            await asyncio.gather(self._task, return_exceptions=True)
        await self._keep_news()
        await self.run(lambda album: self._workshop.close())
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._photos.shutdown)
        self._thread.shutdown()

    async def run(self, work: Callable[[Album], T]) -> T:
        """What ``work`` returns that is done with the album, in its thread; raises ApiError for what it refuses."""
        return await self._in(self._thread, partial(work, self._album))

    async def add_photo(self, person: str, data: bytes) -> dict[str, Any]:
        """Know somebody by another photo, a JPEG or PNG; raises ApiError."""
        tools = await self.run(lambda album: album.tools_for(person))
        photo = await self._in(self._photos, partial(sample_of, tools, data))
        return await self.run(lambda album: album.keep_photo(person, photo))

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise closing()
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        except Refused as error:
            raise ApiError(error.status, error.code, str(error)) from None
        except Misuse as error:
            raise ApiError(400, "bad_value", str(error)) from None

    def make_faces(self, camera_id: str, options: Options) -> MakeFaces:
        """What makes a camera's stage (`framecast.service.cameras.cameras.Cameras.make_faces`)."""
        if options.faces == OFF:
            return no_faces
        return lambda: self._make_stage(camera_id, options)

    def _make_stage(self, camera_id: str, options: Options) -> FaceStage | None:
        from framecast.vision.faces.face import FacesUnavailable

        try:
            if not self._album.is_told:
                self._thread.submit(self._album.see_that_it_is_told).result()
            # Not in the album's thread, which may be at a photo: who waits here has a place that all cameras share.
            tools = self._workshop.get(options.faces)
        except (FacesUnavailable, ModuleNotFoundError, RuntimeError) as error:
            log.info("%s: no faces: %s", camera_id, error)
            return None
        self._prepare_later(tools)
        from framecast.vision.faces.stage import FaceNamer

        return FaceNamer(self.register, tools, camera_id, options.face_threshold)

    def _prepare_later(self, tools: Tools) -> None:
        with contextlib.suppress(RuntimeError):  # the server stops
            self._thread.submit(self._prepare, tools)

    def _prepare(self, tools: Tools) -> None:
        """Have what knows faces ready, and everybody known to it: a photo at a time, so that others get their turn."""
        from framecast.vision.faces.face import FacesUnavailable

        try:
            tools.start()
            if self._album.look_anew(tools):
                self._prepare_later(tools)
        except (FacesUnavailable, StateError) as error:
            log.warning("not everybody may be known: %s", error)

    async def _run(self) -> None:
        if await self.run(lambda album: album.tell()):
            await self.run(lambda album: album.load())
        marks = await self.run(lambda album: self._marks())
        while True:
            await asyncio.sleep(NEWS_S)
            await self._keep_news()
            await self.run(lambda album: self._workshop.let_go(time.monotonic() - KEEP_S))
            before, marks = marks, await self.run(lambda album: self._marks())
            if marks != before:
                log.info("what knows faces is another now: every camera begins anew")
                for camera in self._cameras:
                    camera.stream.remake(DETECTIONS)

    def _marks(self) -> list[object]:
        """Others when there is something else to know faces by, of any kind."""
        return [self._workshop.mark(kind) for kind in KINDS]

    async def _keep_news(self) -> None:
        try:
            await self.run(lambda album: album.keep_news())
        except StateError as error:
            if self._quietly.due():
                log.error("whom the cameras saw can't be kept: %s", error)
