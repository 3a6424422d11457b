"""A camera's pictures and sound pushed on to another server, as they are.

Theory of operation. A `Restream` is ``connecting``, then ``sending``, or ``waiting`` after a failure, longer each time
up to `CAP_S`, and no longer than until the camera is back where that had nothing to send. It is attached to the coded
tracks only while it is connected: what nobody takes isn't encoded. It begins at a key picture. What it can't get rid of
in time waits in its `Intake`, and when that is full everything is lost up to the next key picture: the camera, its
viewers and other restreams never notice.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from framecast.core.errors import LimitReached, Misuse, reason_of
from framecast.core.limits import Quietly
from framecast.core.packet import Packet
from framecast.core.rendition import AAC, H264, OPUS
from framecast.core.stream import State, Stream
from framecast.core.supervise import Backoff
from framecast.output.farewell import see_through

log = logging.getLogger("framecast.output.restream")

CONNECT_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 10.0
FIRST_S, CAP_S = 1.0, 30.0
STEADY_S = 5.0
"""A connection that lasted as long was a success: the next failure begins with the first pause again."""
MOST_PACKETS = 240
MOST_BYTES = 4 << 20
SOUND_WAIT_S = 1.0
"""How long a stream waits for its first sound, so that both are announced at its beginning."""


class RestreamError(Exception):
    """The other end can't be pushed to, or refused; the message says why, without secrets."""


class Session(Protocol):
    """One connection to where it goes."""

    sound: str
    """Codec of the sound it takes: ``aac``, ``opus``."""
    key_wanted: bool
    """Whether the other end has asked for a key picture; whoever reads it takes it back."""

    async def open(self) -> None:
        """Connect, up to where media may be sent.

        Raises:
            RestreamError, OSError: It can't be.
        """

    async def start(self, video: Packet, sound: Packet | None) -> None:
        """Announce what comes, seeing the first key picture and the first sound."""

    async def send(self, packet: Packet) -> None:
        """Send a picture or a sound; returns when there is room for the next."""

    async def watch(self) -> None:
        """Read what comes back until the other end goes, which it tells by an error."""

    async def close(self) -> None:
        """Say good-bye and disconnect. Never raises."""


async def _finish(tasks: list[asyncio.Task[None]], session: Session) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()


class Intake:
    """What waits to be sent: a sink of both tracks, bounded in packets and bytes, beside what it began with.

    Attributes:
        drops: Pictures lost since they came faster than they went.
        clears: How often it had to forget everything.
    """

    bulk = False

    def __init__(self, want_key: Callable[[], None]) -> None:
        self.drops = 0
        self.clears = 0
        self._want_key = want_key
        self._queue: deque[Packet] = deque()
        self._bytes = 0
        self._beside_packets = self._beside_bytes = 0
        self._beginning = False
        self._skipping = True
        self._waiter: asyncio.Future[None] | None = None

    def begin(self, backlog: Iterable[Packet]) -> None:
        """Take what was kept. It does not count for the bounds, nor does what comes before the first is taken.

        Where the track is made on demand, what was kept comes after its reader, all at once.
        """
        self._beginning = True
        for packet in backlog:
            self.push(packet)

    def push(self, packet: Packet) -> None:
        """See `Sink`."""
        is_video = packet.format.codec == "h264"
        if self._beginning:
            self._beside_packets += 1
            self._beside_bytes += len(packet.payload)
        most_packets, most_bytes = MOST_PACKETS + self._beside_packets, MOST_BYTES + self._beside_bytes
        if len(self._queue) >= most_packets or self._bytes > most_bytes:
            self.drops += sum(each.format.codec == "h264" for each in self._queue)
            self._empty()
        if is_video and packet.key:
            self._skipping = False
        if self._skipping:
            self.drops += is_video
            if is_video:
                self._want_key()
            return
        self._queue.append(packet)
        self._bytes += len(packet.payload)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """See `Sink`."""
        self.clears += 1
        self._empty()

    async def get(self) -> Packet:
        """The next packet; the first one is a key picture."""
        while not self._queue:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        packet = self._queue.popleft()
        self._beginning = False
        self._bytes -= len(packet.payload)
        self._beside_packets = max(0, self._beside_packets - 1)
        self._beside_bytes = max(0, self._beside_bytes - len(packet.payload))
        return packet

    async def first_sound(self) -> Packet | None:
        """The first sound there is, left where it is; None when there is none in time."""
        try:
            async with asyncio.timeout(SOUND_WAIT_S):
                while True:
                    for packet in self._queue:
                        if packet.format.codec != "h264":
                            return packet
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return None

    def _empty(self) -> None:
        self._queue.clear()
        self._bytes = 0
        self._beside_packets = self._beside_bytes = 0
        self._skipping = True


class Restream:
    """One camera to one place.

    Args:
        label: The URL as people may see it.
        open_session: Makes a connection that is not open yet; may raise `Misuse` where it may not go.
        hide: Takes the URL's secrets out of words that people may see: the other end may say them.

    Attributes:
        state: ``connecting``, ``sending``, ``waiting``.
        last_error: Why the last attempt ended, in words; empty before the first failure.
        connects: Connections that got as far as sending.
        frames: Pictures sent.
        bytes: Bytes of pictures and sound sent.
        since_ns: When the state began, Unix ns.
        retry_at: Time of the loop at which it is tried again, None while it is not waiting.
    """

    def __init__(
        self,
        stream: Stream,
        label: str,
        open_session: Callable[[], Awaitable[Session]],
        hide: Callable[[str], str] = str,
    ) -> None:
        self.stream = stream
        self.label = label
        self.state = "connecting"
        self.last_error = ""
        self.connects = 0
        self.frames = 0
        self.bytes = 0
        self.since_ns = stream.clock.now_ns()
        self.retry_at: float | None = None
        self._open_session = open_session
        self._hide = hide
        self._drops = 0
        self._lacks_pictures = False
        self._intake: Intake | None = None
        self._quietly = Quietly(10.0)

    @property
    def drops(self) -> int:
        """Pictures lost since the other end took them too slowly."""
        return self._drops + (self._intake.drops if self._intake is not None else 0)

    async def run(self, backoff: Backoff | None = None) -> None:
        """Push until cancelled."""
        backoff = backoff or Backoff(FIRST_S, CAP_S)
        loop = asyncio.get_running_loop()
        while True:
            self._enter("connecting")
            began = loop.time()
            try:
                await self._attempt()
                error = "the other end closed the connection"
            except (RestreamError, Misuse, LimitReached) as failure:
                error = str(failure)
            except TimeoutError:
                error = "it took too long"
            except ssl.SSLError as failure:
                error = f"TLS failed: {failure.reason or failure}"
            except OSError as failure:
                error = reason_of(failure)
            if self.state == "sending" and loop.time() - began > STEADY_S:
                backoff.reset()
            error = self._hide(error)
            pause_s = backoff.next_s()
            if error != self.last_error or self._quietly.due():
                log.warning("%s: restream to %s: %s; again in %.0f s", self._name, self.label, error, pause_s)
            self.last_error = error
            self._enter("waiting")
            self.retry_at = loop.time() + pause_s
            await self._rest(pause_s)
            self.retry_at = None

    async def _rest(self, pause_s: float) -> None:
        """Wait before the next attempt. Servers hang up on who sends nothing: that is no reason to let them wait."""
        is_back = asyncio.Event()

        def look(stream: Stream) -> None:
            if stream.state is State.LIVE and self._lacks_pictures:
                is_back.set()

        self.stream.on_state.append(look)
        try:
            async with asyncio.timeout(pause_s):
                await is_back.wait()
        except TimeoutError:
            pass
        finally:
            if look in self.stream.on_state:  # a stream that is closed has let everybody go
                self.stream.on_state.remove(look)

    async def _attempt(self) -> None:
        self._lacks_pictures = False
        session = await self._open_session()
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await session.open()
            tasks = [asyncio.ensure_future(self._send(session)), asyncio.ensure_future(session.watch())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await see_through(_finish(tasks, session))

    async def _send(self, session: Session) -> None:
        video = self.stream.track(H264)
        sound = self.stream.track(OPUS if session.sound == "opus" else AAC)
        intake = self._intake = Intake(video.want_key)
        try:
            sound.attach(intake)
            video.attach(intake)
            if not video.gives_keys:  # a camera that codes itself gives no key picture for the asking
                intake.begin(video.ring)
            video.want_key()
            self._lacks_pictures = True
            first, clears = await intake.get(), intake.clears
            self._lacks_pictures = False
            began_with = await intake.first_sound()  # whether the camera has any is not known before
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await session.start(first, began_with)
            self.connects += 1
            self._enter("sending")
            log.info("%s: restream to %s has begun", self._name, self.label)
            packet = first if intake.clears == clears else await intake.get()  # a mask may have been set meanwhile
            while True:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await session.send(packet)
                if session.key_wanted:
                    session.key_wanted = False
                    video.want_key()
                self.bytes += len(packet.payload)
                self.frames += packet.format.codec == "h264"
                packet = await intake.get()
        finally:
            video.detach(intake)
            sound.detach(intake)
            self._drops += intake.drops
            self._intake = None

    def _enter(self, state: str) -> None:
        self.state = state
        self.since_ns = self.stream.clock.now_ns()

    @property
    def _name(self) -> str:
        return self.stream.camera_id
