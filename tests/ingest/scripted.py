"""A camera that does what a test says, and the stream it feeds."""

from __future__ import annotations

import asyncio
from typing import Any

from framecast.core.clock import ManualClock
from framecast.core.errors import FramecastError
from framecast.core.source import Feed
from framecast.core.stream import State, Stream
from framecast.core.supervise import Backoff, Supervisor
from framecast.ingest.gate import Gate
from framecast.ingest.reader import Reader
from tests.core.fakes import Collector, until
from tests.data import frame

PICTURE = frame("small-0")


class ScriptedSource:
    """Connects at once, unless told otherwise, and sends when told.

    Attributes:
        runs: Sessions so far.
        feed: Whom to feed while a session runs.
        refusal: Raised by every session as it begins.
        silent: Never answers.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.feed: Feed | None = None
        self.refusal: Exception | None = None
        self.silent = False
        self._end: asyncio.Future[None] | None = None

    async def run(self, feed: Feed) -> None:
        self.runs += 1
        if self.refusal is not None:
            raise self.refusal
        self._end = asyncio.get_running_loop().create_future()
        try:
            if not self.silent:
                feed.connected("Scripted", "10.0.0.5:81")
                self.feed = feed
            await self._end
        finally:
            self.feed = None

    def send(self, picture: bytes = PICTURE, **options: Any) -> bool:
        """One picture, now; whether it passed."""
        assert self.feed is not None
        return self.feed.jpeg(picture, **options)

    def end(self, error: FramecastError | None = None) -> None:
        """The device closes the connection, or breaks."""
        assert self._end is not None
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)


class Kept:
    """A camera under its reader, with time by hand. Sessions are looked at all the time; pauses take a millisecond."""

    def __init__(self, supervisor: Supervisor, source: ScriptedSource | None = None, **options: Any) -> None:
        self.clock = ManualClock()
        self.source = source or ScriptedSource()
        self.stream = Stream("door", 1, supervisor, clock=self.clock)
        self.states: list[str] = []
        self.stream.on_state.append(lambda stream: self.states.append(stream.state.value))
        options = {"backoff": Backoff(first_s=0.001, cap_s=0.004, jitter=0.0), "label": "http://door/", **options}
        self.reader = Reader(self.stream, self.source, Gate(self.stream, verify="never"), **options)
        self.viewer = Collector()

    def watch(self) -> None:
        """Somebody comes."""
        self.stream.video.attach(self.viewer)

    def leave(self) -> None:
        """And goes."""
        self.stream.video.detach(self.viewer)

    async def connected(self, runs: int = 0) -> None:
        """Until a session has answered; that of this number when one is given."""
        await until(lambda: self.source.feed is not None and self.source.runs >= runs)

    async def state(self, state: State) -> None:
        """Until the camera is in this state."""
        await until(lambda: self.stream.state is state)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and the reader look at it."""
        self.clock.advance(seconds)
        await asyncio.sleep(0.01)

    async def live(self) -> None:
        """Watched, connected, and the first picture here."""
        self.watch()
        await self.connected()
        self.source.send()
