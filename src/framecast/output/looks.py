"""What is seen, as server-sent events: the same bytes to all who hear of one camera.

Whoever is behind gets the newest look, as viewers of pictures do. While nothing comes, a line for nothing keeps those
in between from taking the connection for dead.
"""

from __future__ import annotations

import asyncio

from framecast.core.fanout import Fanout
from framecast.core.packet import Packet
from framecast.core.rendition import DETECTIONS
from framecast.core.seat import Seat
from framecast.core.stream import State, Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.mjpeg import chunk
from framecast.output.transport import Takeover

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
BEAT_S = 15.0
BEAT = b":\n\n"
YOUNG_S = 2.0
"""What is older is not told to who comes, unless nothing came since."""


def newest(stream: Stream, looks: Track, young_s: float = YOUNG_S) -> Packet | None:
    """What was seen last, where it may be told to who comes: it is young, or of the picture that is still the newest.

    Args:
        stream: The camera.
        looks: Its track ``detections``.
        young_s: How old it may be in any case.
    """
    look, picture = looks.latest, stream.video.latest
    if look is None or stream.clock.now_ns() - look.pts_ns < young_s * 1e9:
        return look
    is_last = picture is not None and (look.frame_id, look.epoch) == (picture.frame_id, picture.epoch)
    return look if is_last and stream.state is State.LIVE else None


class Package:
    """A look as an event; its id is the frame's.

    Args:
        chunked: Each event is one chunk (HTTP/1.1).
    """

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked

    def first(self, packet: Packet) -> bytes:
        """See `core.fanout.Package`."""
        return self.frame(b"id: %d\ndata: %b\n\n" % (packet.frame_id, packet.payload))

    next = first

    def frame(self, data: bytes) -> bytes:
        """``data`` as it goes out."""
        return chunk(data) if self._chunked else data


class Output:
    """All who hear of one camera over plain HTTP.

    Args:
        stream: The camera.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._fanouts: dict[bool, tuple[Fanout, Track]] = {}
        self._connections: set[Takeover] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._connections)

    async def serve(self, transport: asyncio.Transport, viewer: Viewer, *, chunked: bool) -> None:
        """Serve somebody whose response head is out, until the connection ends (at once when it has ended already).

        One that comes after `close` is hung up on.
        """
        if self._closed:
            transport.abort()
        if transport.is_closing():
            return
        fanout = self._open(chunked)
        seat = Seat(transport.write, viewer)
        connection = Takeover(seat, transport, self._stream)
        self._connections.add(connection)
        beat = Package(chunked=chunked).frame(BEAT)
        try:
            fanout.add(seat)
            while not connection.ended.done():
                await asyncio.wait([connection.ended], timeout=BEAT_S)
                if seat.ready and not transport.is_closing():
                    transport.write(beat)
        finally:
            self._connections.discard(connection)
            seat.leave()
            if not transport.is_closing():
                connection.close()
            if not fanout:
                self._end(chunked)  # it may never have got its place

    def close(self) -> None:
        """Drop everybody; nobody is served any more."""
        self._closed = True
        for connection in tuple(self._connections):
            connection.close()

    def _open(self, chunked: bool) -> Fanout:
        if chunked not in self._fanouts:
            stream = self._stream
            fanout = Fanout(
                Package(chunked=chunked), heartbeat_s=0, clock=stream.clock, on_empty=lambda: self._end(chunked)
            )
            track = stream.track(DETECTIONS)
            latest = newest(stream, track)
            if latest is not None:
                fanout.prime(latest)
            self._fanouts[chunked] = (fanout, track)
            track.attach(fanout)
        return self._fanouts[chunked][0]

    def _end(self, chunked: bool) -> None:
        fanout, track = self._fanouts.pop(chunked, (None, None))
        if fanout is not None and track is not None:
            track.detach(fanout)
