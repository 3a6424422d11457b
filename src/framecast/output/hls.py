"""HLS with low latency: playlists, and the segments and parts they name, for players that ask again and again.

Theory of operation. `Hls` is one camera's, in one rendition. It is attached to the fragments while somebody asks for
its playlists: each address that asked within the grace is one viewer, and the last one's going ends it. A player that
asks for what is not there yet is kept waiting; each new part wakes all who wait. Playlists are written once for all who
ask between two parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from framecast.core.errors import LimitReached
from framecast.core.packet import Packet
from framecast.core.viewer import Viewer
from framecast.output.fragments import Fragments
from framecast.output.segments import Segmenter
from framecast.wire import m3u8

GRACE_S = 15.0
"""So long after its last request an address counts as a viewer."""
CHECK_S = 5.0
START_WAIT_S = 10.0
"""Longest wait for a camera's first segment."""
MOST_WAIT_S = 12.0
"""Longest wait for a part; three target durations, but less than the grace."""
AHEAD = 2
"""Who asks for a segment farther ahead will not get it, however long it waits."""
MOST_ADDRESSES = 10_000
MOST_SUFFIXES = 32
FIRST_BANDWIDTH = 2_000_000
"""Said before anything was measured, in bits a second."""

INDEX, STREAM = "index.m3u8", "stream.m3u8"
"""Names of the two playlists."""


class Gone(Exception):
    """The camera was removed while somebody waited."""


@dataclass(slots=True)
class _Asker:
    viewer: Viewer
    seen_ns: int


class Hls:
    """One camera's HLS in one rendition.

    Args:
        fragments: What it is cut from.
        admit: Counts a viewer of an address in.
        dismiss: Counts it out.
        on_end: Called when nobody has asked for a while.

    Attributes:
        segmenter: What there is to be had.
        closed: Whether it has ended; another one has to be made.
    """

    bulk = True

    def __init__(
        self,
        fragments: Fragments,
        admit: Callable[[str], Viewer],
        dismiss: Callable[[Viewer], None],
        on_end: Callable[[], None],
    ) -> None:
        self.fragments = fragments
        self.closed = False
        self._clock = fragments.stream.clock
        self.segmenter = Segmenter(self._clock.now_ns() // 1_000_000_000, fragments.track.want_key, self._tell)
        self._admit = admit
        self._dismiss = dismiss
        self._on_end = on_end
        self._askers: dict[str, _Asker] = {}
        self._news = asyncio.Event()
        self._texts: dict[str, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None

    # Its life.

    def touch(self, address: str) -> None:
        """Somebody asks for a playlist; the first one starts it.

        Raises:
            LimitReached: The camera has as many viewers as it may have.
        """
        asker = self._askers.get(address)
        if asker is not None:
            asker.seen_ns = self._clock.now_ns()
            return
        if len(self._askers) >= MOST_ADDRESSES:
            raise LimitReached("too many addresses watch this camera", MOST_ADDRESSES)
        try:
            viewer = self._admit(address)
        except LimitReached:
            if not self._askers:
                self.close()
            raise
        self._askers[address] = _Asker(viewer, self._clock.now_ns())
        if self._timer is None:
            self._start()

    def _start(self) -> None:
        fragments = self.fragments
        fragments.on_generation.append(self._turn_over)
        if fragments.init is not None:  # others watch already
            self._turn_over()
            for packet in fragments.track.backlog:
                self.segmenter.push(packet)
        fragments.track.attach(self)
        self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)

    def _check(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
        self.expire()

    def expire(self) -> None:
        """Count those out who have not asked for a while; with the last one it ends."""
        oldest_ns = self._clock.now_ns() - int(GRACE_S * 1e9)
        for address, asker in tuple(self._askers.items()):
            if asker.seen_ns < oldest_ns:
                del self._askers[address]
                self._dismiss(asker.viewer)
        if not self._askers:
            self.close()

    def close(self) -> None:
        """End; who waits is told. Safe to call twice."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self.fragments.track.detach(self)
            self.fragments.on_generation.remove(self._turn_over)
        for asker in self._askers.values():
            self._dismiss(asker.viewer)
        self._askers.clear()
        self._tell()
        self._on_end()

    # What comes in.

    def push(self, packet: Packet) -> None:
        """Take a fragment."""
        self.segmenter.push(packet)

    def clear(self) -> None:
        """Forget everything (see `Track.clear`), unless it is only another init segment that holds from now on."""
        if self.fragments.init is None:
            self.segmenter.clear()

    def _turn_over(self) -> None:
        assert self.fragments.init is not None
        self.segmenter.set_init(self.fragments.init)
        self._tell()

    def _tell(self) -> None:
        self._texts.clear()
        news, self._news = self._news, asyncio.Event()
        news.set()

    # What goes out.

    async def wait(self, ready: Callable[[], bool], address: str, timeout_s: float) -> bool:
        """Wait until ``ready()``; False when that takes longer. Cancel-safe.

        Raises:
            Gone: The camera was removed meanwhile.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not ready():
                    if self.closed:
                        raise Gone
                    await self._news.wait()
        except TimeoutError:
            return False
        finally:
            asker = self._askers.get(address)
            if asker is not None:
                asker.seen_ns = self._clock.now_ns()
        return True

    async def wait_for_index(self, address: str) -> bool:
        """Wait until it is known what there is to be had."""
        return await self.wait(lambda: bool(self.fragments.mime), address, START_WAIT_S)

    async def wait_for_start(self, address: str) -> bool:
        """Wait for the first whole segment: players that know nothing of parts can't begin without."""
        segmenter = self.segmenter
        return await self.wait(lambda: bool(segmenter.segments), address, START_WAIT_S)

    async def wait_for(self, wanted: m3u8.Wanted, address: str) -> bool:
        """Wait for a segment or part."""
        return await self.wait(lambda: self.segmenter.has(wanted), address, MOST_WAIT_S)

    async def wait_for_part(self, name: str, address: str) -> bool:
        """Wait for the part that the playlist hints at; False at once for any other that is not there."""
        segmenter = self.segmenter
        if segmenter.find(name) is None and name == segmenter.hint:
            await self.wait(lambda: name != segmenter.hint, address, MOST_WAIT_S)
        return segmenter.find(name) is not None

    def index(self, suffix: str) -> bytes:
        """The index, when `wait_for_index` was true; ``suffix`` goes behind each URI."""
        latest = self.fragments.track.latest
        width, height = (latest.format.width_px, latest.format.height_px) if latest is not None else (0, 0)
        codecs = self.fragments.mime.partition('"')[2].rstrip('"').replace(" ", "")
        bandwidth = self.segmenter.bandwidth or FIRST_BANDWIDTH
        text = m3u8.index(STREAM, codecs=codecs, bandwidth=bandwidth, width_px=width, height_px=height, suffix=suffix)
        return text.encode()

    def playlist(self, suffix: str) -> bytes:
        """The media playlist as it is now."""
        text = self._texts.get(suffix)
        if text is None:
            if len(self._texts) >= MOST_SUFFIXES:
                self._texts.clear()
            text = self._texts[suffix] = m3u8.media_playlist(self.segmenter.playlist(), suffix).encode()
        return text

    def take(self, name: str, address: str) -> bytes | None:
        """The bytes of a segment, part or init segment; None when there is none of this name."""
        found = self.segmenter.find(name)
        if found is None:
            return None
        asker = self._askers.get(address)
        if asker is not None:
            asker.viewer.count(sent=found[1])
        return bytes(found[0])


class HlsHub:
    """The HLS of all cameras."""

    def __init__(self) -> None:
        self._running: dict[Fragments, Hls] = {}

    def get(self, fragments: Fragments) -> Hls | None:
        """What runs; None where nobody has asked for a playlist lately."""
        return self._running.get(fragments)

    def open(self, fragments: Fragments, admit: Callable[[str], Viewer], dismiss: Callable[[Viewer], None]) -> Hls:
        """What runs, or begins to with the first `Hls.touch`."""
        running = self._running.get(fragments)
        if running is None:

            def forget() -> None:
                if self._running.get(fragments) is made:
                    del self._running[fragments]

            running = made = self._running[fragments] = Hls(fragments, admit, dismiss, forget)
        return running

    def close(self, camera_id: str) -> None:
        """A camera is gone."""
        for fragments, running in tuple(self._running.items()):
            if fragments.stream.camera_id == camera_id:
                running.close()
