"""MJPEG over HTTP: `multipart/x-mixed-replace`, byte for byte as docs/protocol.md pins it.

A boundary follows each picture at once (a reader that waits for it has the whole picture), and Content-Length is the
last header (small displays read the picture right after that line). Chromium paints a part only when it has seen the
next part's headers: to a browser's picture request they are sent early (`advance`), in the only form that holds for a
picture not yet known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from framecast.core.fanout import Fanout
from framecast.core.ladder import Level
from framecast.core.limits import Quietly
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.seat import Seat
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.following import Follower, Plan
from framecast.output.transport import Takeover

log = logging.getLogger("framecast.output.mjpeg")

CONTENT_TYPE = "multipart/x-mixed-replace; boundary=frame"
HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
"""Of the answer, so that nobody on the way keeps it, changes it or holds it back."""
OPENING = b"--frame\r\n"
DELIMITER = b"\r\n--frame\r\n"
EARLY_HEADERS = b"Content-Type: image/jpeg\r\n\r\n"


def timestamp(pts_ns: int) -> str:
    """Unix seconds with six decimals, as X-Timestamp carries them."""
    return f"{pts_ns // 1_000_000_000}.{pts_ns // 1000 % 1_000_000:06d}"


def headers(packet: Packet) -> bytes:
    """The header lines of a part, blank line included."""
    return (
        f"Content-Type: image/jpeg\r\nX-Frame-Id: {packet.frame_id}\r\n"
        f"X-Timestamp: {timestamp(packet.pts_ns)}\r\nContent-Length: {len(packet.payload)}\r\n\r\n"
    ).encode("ascii")


def chunk(data: bytes) -> bytes:
    """``data`` as one HTTP/1.1 chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
"""Ends a body in chunks."""


class Package:
    """One form of the multipart body.

    Args:
        chunked: Each part is one chunk (HTTP/1.1).
        advance: The next part's header lines follow each picture.
    """

    def __init__(self, *, chunked: bool, advance: bool) -> None:
        self._chunked = chunked
        self._advance = advance
        self._first: tuple[Packet, bytes] | None = None
        self._next: tuple[Packet, bytes] | None = None

    def first(self, packet: Packet) -> bytes:
        """The first part a viewer gets: with all headers."""
        if self._first is None or self._first[0] is not packet:
            tail = DELIMITER + EARLY_HEADERS if self._advance else DELIMITER
            self._first = (packet, self._frame(b"".join((headers(packet), packet.payload, tail))))
        return self._first[1]

    def next(self, packet: Packet) -> bytes:
        """Any later part."""
        if not self._advance:
            return self.first(packet)
        if self._next is None or self._next[0] is not packet:
            self._next = (packet, self._frame(b"".join((packet.payload, DELIMITER, EARLY_HEADERS))))
        return self._next[1]

    def opening(self) -> bytes:
        """What opens the body."""
        return self._frame(OPENING)

    def _frame(self, data: bytes) -> bytes:
        return chunk(data) if self._chunked else data


class _Form:
    """The fan-outs of one form, for a viewer that moves between renditions."""

    def __init__(self, output: Output, chunked: bool, advance: bool) -> None:
        self.stream = output.stream
        self._output = output
        self._chunked = chunked
        self._advance = advance

    def open(self, plan: Plan) -> tuple[Fanout, Track]:
        """See `output.following.Fanouts`."""
        return self._output.open(self._key(plan))

    def drop(self, plan: Plan) -> None:
        """See `output.following.Fanouts`."""
        self._output.drop(self._key(plan))

    def _key(self, plan: Plan) -> FanoutKey:
        return (plan.rendition, self._chunked, self._advance, plan.fps)


FanoutKey = tuple[Rendition, bool, bool, float]


class Output:
    """All MJPEG viewers of one camera: a fan-out for each rendition, form and frame rate in use.

    Args:
        stream: The camera.
        heartbeat_s: Pause between repeats of the last picture when none comes.
    """

    def __init__(self, stream: Stream, *, heartbeat_s: float) -> None:
        self.stream = stream
        self.heartbeat_s = heartbeat_s
        self._fanouts: dict[FanoutKey, Fanout] = {}
        self._tracks: dict[FanoutKey, Track] = {}
        self._packages: dict[tuple[Rendition, bool, bool], Package] = {}
        self._connections: set[Takeover] = set()
        self._quietly = Quietly()
        self._overruns = 0
        self._closed = False

    def repeat_every(self, heartbeat_s: float) -> None:
        """Have another pause between repeats from now on."""
        self.heartbeat_s = heartbeat_s
        for fanout in self._fanouts.values():
            fanout.repeat_every(heartbeat_s)

    @property
    def fanouts(self) -> dict[FanoutKey, Fanout]:
        """The fan-outs there are, for statistics."""
        return self._fanouts

    @property
    def overruns(self) -> int:
        """Frames that everybody missed because passes took longer than frames come."""
        return self._overruns + sum(fanout.overruns for fanout in self._fanouts.values())

    async def serve(
        self,
        transport: asyncio.Transport,
        viewer: Viewer,
        *,
        rendition: Rendition,
        chunked: bool,
        advance: bool,
        fps: float,
        plan: Callable[[Level], Plan] | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        """Serve a viewer whose response head is out, until its connection ends (at once when it has ended already).

        With ``plan`` it moves from level to level as its connection allows; ``rendition`` and ``fps`` are then those of
        the best one.

        One that comes after `close`, its camera removed while the head was on its way, is hung up on.

        Raises:
            LimitReached: The camera has too many renditions already; nothing was written.
        """
        if self._closed:
            transport.abort()
        if transport.is_closing():
            return
        key = (rendition, chunked, advance, fps)
        fanout, _ = self.open(key)
        seat = Seat(transport.write, viewer)
        connection = Takeover(seat, transport, self.stream)
        form = _Form(self, chunked, advance)
        follower = None if plan is None else Follower(seat, transport, form, plan)
        self._connections.add(connection)
        try:
            transport.write(Package(chunked=chunked, advance=advance).opening())
            if not transport.is_closing():
                fanout.add(seat)
            if on_start is not None:
                on_start()
            await connection.ended
        finally:
            self._connections.discard(connection)
            if follower is not None:
                follower.close()
            seat.leave()
            if not transport.is_closing():
                connection.close()
            self.drop(key)  # it may never have got its viewer: the opening met a dead connection

    def check(self, rendition: Rendition) -> None:
        """See whether ``rendition`` can be had.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        self.stream.check(rendition)

    def close(self) -> None:
        """Drop all viewers; none is served any more."""
        self._closed = True
        for connection in tuple(self._connections):
            connection.close()

    def open(self, key: FanoutKey) -> tuple[Fanout, Track]:
        """The fan-out of a rendition, form and rate, and the track it reads.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        rendition, chunked, advance, fps = key
        fanout = self._fanouts.get(key)
        if fanout is not None:
            return fanout, self._tracks[key]
        track = self.stream.track(rendition)
        package = self._packages.setdefault(key[:3], Package(chunked=chunked, advance=advance))
        fanout = Fanout(
            package,
            heartbeat_s=self.heartbeat_s,
            fps=fps,
            clock=self.stream.clock,
            on_empty=lambda: self._end(key),
            on_repeat=self._log_repeat,
        )
        if track.latest is not None and self.stream.worth_showing(track.latest):
            fanout.prime(track.latest)
        self._fanouts[key] = fanout
        self._tracks[key] = track
        track.attach(fanout)
        return fanout, track

    def drop(self, key: FanoutKey) -> None:
        """End a fan-out that has no viewer."""
        fanout = self._fanouts.get(key)
        if fanout is not None and not fanout:
            self._end(key)

    def _end(self, key: FanoutKey) -> None:
        fanout = self._fanouts.pop(key)
        if not any(other[:3] == key[:3] for other in self._fanouts):
            del self._packages[key[:3]]
        self._tracks.pop(key).detach(fanout)

    def _log_repeat(self, viewer: Viewer, packet: Packet) -> None:
        if self._quietly.due():
            log.info("Client %d heartbeat sent (frame %d)", viewer.number, packet.frame_id)
