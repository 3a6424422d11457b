"""HLS with low latency: playlists, and the segments and parts they name, for players that ask again and again.

Theory of operation. `Hls` is one camera's, in one rendition. It is attached to the fragments while somebody asks for
its playlists: each address that asked within the grace is one viewer, and the last one's going ends it. A player that
asks for what is not there yet is kept waiting; each new part wakes all who wait. Playlists are written once for all who
ask between two parts.

Few players get over another init segment, and the first one of a camera that just woke is often without the sound,
which comes a moment later. So nothing is told before it is *settled* whether there is sound.

Both containers are made at no cost but their bytes. MP4 is what browsers' own players and hls.js take without work.
FFmpeg reads the init segment again with every playlist and warns each time, and does not get over another one; of
MPEG-TS it has nothing to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from framecast.core.errors import LimitReached
from framecast.core.packet import Packet
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.containers.fragments import Fragments
from framecast.output.hls.parts import Mp4Container, TsContainer
from framecast.output.hls.segments import NS, Segmenter
from framecast.wire import aac, h264, m3u8

GRACE_S = 15.0
"""So long after its last request an address counts as a viewer."""
CHECK_S = 5.0
START_WAIT_S = 12.0
"""Longest wait for a camera's first segments: it may be one that sends a key picture each 10 s."""
MOST_WAIT_S = 12.0
"""Longest wait for a part; three target durations, but less than the grace."""
AHEAD = 2
"""Who asks for a segment farther ahead will not get it, however long it waits."""
AGAIN_NS = 2_000_000_000
"""Who asks again so soon, as it is, is told when there is more."""
MOST_ADDRESSES = 10_000
MOST_SUFFIXES = 32
SILENT_NS = 300_000_000
"""A camera that has sent no sound so long after its first picture has none."""
SOUND_WAIT_NS = 2_000_000_000
"""Longest wait for the sound of one that has."""
NO_PICTURE = "avc1.42C01F", 0, 0
FIRST_BANDWIDTH = 2_000_000
"""Said before anything was measured, in bits a second."""

INDEX, STREAM = "index.m3u8", "stream.m3u8"
"""Names of the two playlists."""


class Gone(Exception):
    """The camera was removed while somebody waited."""


class Source(Protocol):
    """What HLS is cut from: `Fragments` or a `TransportStream`."""

    @property
    def stream(self) -> Stream:
        """The camera."""

    @property
    def track(self) -> Track:
        """Pieces, one per picture, and sound between them."""

    @property
    def has_sound(self) -> bool:
        """Whether there is sound between them."""


@dataclass(slots=True)
class _Asker:
    viewer: Viewer
    seen_ns: int
    told: int = -1
    told_ns: int = 0


class Hls:
    """One camera's HLS in one rendition.

    Args:
        source: What it is cut from.
        admit: Counts a viewer in, by address and holder.
        dismiss: Counts it out.
        on_end: Called when nobody has asked for a while.
        sound: Whether the source has sound where there is some.

    Attributes:
        segmenter: What there is to be had.
        settled: Whether it is known if there is sound.
        closed: Whether it has ended; another one has to be made.
    """

    bulk = True

    def __init__(
        self,
        source: Source,
        admit: Callable[[str, str], Viewer],
        dismiss: Callable[[Viewer], None],
        on_end: Callable[[], None],
        *,
        sound: bool = True,
    ) -> None:
        self.source = source
        self.closed = False
        self.settled = not sound
        self._began_ns = 0
        self._with_sound = False
        self._fragments = source if isinstance(source, Fragments) else None
        self._clock = source.stream.clock
        container = Mp4Container() if self._fragments is not None else TsContainer()
        self.segmenter = Segmenter(container, self._clock.now_ns() // NS, source.track.want_key, self._tell)
        self._admit = admit
        self._dismiss = dismiss
        self._on_end = on_end
        self._askers: dict[str, _Asker] = {}
        self._news = asyncio.Event()
        self._texts: dict[str, bytes] = {}
        self._form: tuple[str, int, int] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # Its life.

    def touch(self, address: str, holder: str = "") -> None:
        """Somebody asks for a playlist; the first one starts it.

        Args:
            holder: Whose credential lets them; the first of an address stands for all behind it.

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
            viewer = self._admit(address, holder)
        except LimitReached:
            if not self._askers:
                self.close()
            raise
        self._askers[address] = _Asker(viewer, self._clock.now_ns())
        if self._timer is None:
            self._start()

    def _start(self) -> None:
        fragments = self._fragments
        if fragments is not None:
            fragments.on_generation.append(self._turn_over)
            if fragments.init is not None:
                self._turn_over()
        for packet in self.source.track.backlog:  # others watch already
            self.push(packet)
        self.source.track.attach(self)
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
            self.source.track.detach(self)
            if self._fragments is not None:
                self._fragments.on_generation.remove(self._turn_over)
        for asker in self._askers.values():
            self._dismiss(asker.viewer)
        self._askers.clear()
        self._tell()
        self._on_end()

    # What comes in.

    def push(self, packet: Packet) -> None:
        """Take a piece."""
        if packet.key:
            self._look()
        if not self.settled:
            self._settle(packet)
        if packet.key and self.source.has_sound is not self._with_sound:
            self._with_sound = not self._with_sound
            self.segmenter.break_off()  # other tracks than before
        self.segmenter.push(packet)

    def _settle(self, packet: Packet) -> None:
        self._began_ns = self._began_ns or packet.pts_ns
        since_ns = packet.pts_ns - self._began_ns
        if self.source.has_sound:
            self.segmenter.restart()  # what came before is without
            self.settled = True
        elif since_ns > SOUND_WAIT_NS or (since_ns > SILENT_NS and self.source.stream.audio.latest is None):
            self.settled = True
            self._tell()

    def clear(self) -> None:
        """Forget everything (see `Track.clear`), unless it is only another init segment that holds from now on."""
        if self._fragments is None or self._fragments.init is None:
            self.segmenter.clear()

    def _turn_over(self) -> None:
        assert self._fragments is not None
        assert self._fragments.init is not None
        self.segmenter.set_init(self._fragments.init)
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
        return await self.wait(lambda: self.settled and self._look() is not None, address, START_WAIT_S)

    async def wait_for_start(self, address: str) -> bool:
        """Wait for the first whole segments: players that know nothing of parts can't begin without."""
        return await self.wait(lambda: self._may_be_told and self.segmenter.enough, address, START_WAIT_S)

    async def wait_for_more(self, address: str) -> None:
        """Wait for a segment more than this address was told of a moment ago; a target duration at most.

        Chromium's own player reads all that it is told and asks again at once, and gives up where that was all, unless
        it plays already: a <video> that plays by itself does not, then.
        """
        asker = self._askers.get(address)
        if asker is None:
            return
        if self._clock.now_ns() - asker.told_ns < AGAIN_NS:
            await self.wait(lambda: self._last > asker.told, address, self.segmenter.target_s)
        asker.told, asker.told_ns = self._last, self._clock.now_ns()

    @property
    def _last(self) -> int:
        """Number of the newest whole segment."""
        return self.segmenter.segments[-1].sequence if self.segmenter.segments else -1

    @property
    def _may_be_told(self) -> bool:
        return self.settled and self.segmenter.settled

    @property
    def _tells_something(self) -> bool:
        """Whether there is anything in a playlist: not before it may be told, nor for a moment after a `clear`."""
        segmenter = self.segmenter
        is_empty = not segmenter.segments and (segmenter.open is None or not segmenter.open.parts)
        return self._may_be_told and not is_empty

    async def wait_for(self, wanted: m3u8.Wanted, address: str) -> bool:
        """Wait for a segment or part."""
        return await self.wait(lambda: self._tells_something and self.segmenter.has(wanted), address, MOST_WAIT_S)

    async def wait_for_part(self, name: str, address: str) -> bool:
        """Wait for the part that the playlist hints at; False at once for any other that is not there."""
        segmenter = self.segmenter
        if segmenter.find(name) is None and name == segmenter.hint:
            await self.wait(lambda: name != segmenter.hint, address, MOST_WAIT_S)
        return segmenter.find(name) is not None

    def index(self, suffix: str) -> bytes:
        """The index, when `wait_for_index` was true; ``suffix`` goes behind each URI."""
        codecs, width, height = self._look() or NO_PICTURE
        if self.source.has_sound:
            codecs += f",{aac.CODEC}"
        bandwidth = self.segmenter.bandwidth or FIRST_BANDWIDTH
        text = m3u8.index(STREAM, codecs=codecs, bandwidth=bandwidth, width_px=width, height_px=height, suffix=suffix)
        return text.encode()

    def _look(self) -> tuple[str, int, int] | None:
        """Codec, width and height of the newest key picture; of the one before where it has become too much to keep."""
        coded = self.source.track.upstream
        picture = coded.ring[0] if coded is not None and coded.ring else None
        if picture is not None and picture.key:
            sets = h264.parameter_sets(picture.payload)
            codec = f"avc1.{sets.sps[1:4].hex().upper()}" if sets is not None and len(sets.sps) >= 4 else NO_PICTURE[0]
            self._form = codec, picture.format.width_px, picture.format.height_px
        return self._form

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
            asker.viewer.count(sent=found[1], size_bytes=len(found[0]))
        return bytes(found[0])


class HlsHub:
    """The HLS of all cameras, by camera and what else tells one from another."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, Hashable], Hls] = {}

    def get(self, camera_id: str, which: Hashable) -> Hls | None:
        """What runs; None where nobody has asked for a playlist lately."""
        return self._running.get((camera_id, which))

    def open(self, camera_id: str, which: Hashable, make: Callable[[Callable[[], None]], Hls]) -> Hls:
        """What runs, or begins to with the first `Hls.touch`; ``make`` is given what to call at the end (`on_end`)."""
        key = (camera_id, which)
        running = self._running.get(key)
        if running is None:

            def forget() -> None:
                if self._running.get(key) is made:
                    del self._running[key]

            running = made = self._running[key] = make(forget)
        return running

    def close(self, camera_id: str) -> None:
        """A camera is gone."""
        for key, running in tuple(self._running.items()):
            if key[0] == camera_id:
                running.close()
