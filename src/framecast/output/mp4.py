"""Coded video to viewers over HTTP: a file that does not end.

A viewer begins at a key picture and is never given anything it can't decode (`core.keyed`). Its connection is taken
over as an MJPEG viewer's is. What can't go on in the same file, because the camera changed its size, ends there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from framecast.core.keyed import KeyedFanout
from framecast.core.packet import Packet
from framecast.core.seat import Seat
from framecast.core.viewer import Viewer
from framecast.output.containers.fragments import Fragments
from framecast.output.mjpeg import LAST_CHUNK, chunk
from framecast.output.transport import Takeover

CONTENT_TYPE = "video/mp4"


class Mp4Package:
    """The bytes of an MP4 file as viewers get them.

    Args:
        chunked: Each fragment is one chunk (HTTP/1.1).
    """

    def __init__(self, fragments: Fragments, *, chunked: bool) -> None:
        self._fragments = fragments
        self._chunked = chunked
        self._next: tuple[Packet, bytes] | None = None

    def first(self, packet: Packet) -> bytes:
        """A fragment behind the init segment."""
        init = self._fragments.init or b""
        return (chunk(init) if self._chunked else init) + self.next(packet)

    def next(self, packet: Packet) -> bytes:
        """Any later fragment."""
        if not self._chunked:
            return packet.payload
        if self._next is None or self._next[0] is not packet:
            self._next = (packet, chunk(packet.payload))
        return self._next[1]


@dataclass(slots=True)
class _File:
    """All who watch the same fragments in the same framing; ``last`` ends it."""

    last: bytes
    fanout: KeyedFanout
    connections: set[Takeover] = field(default_factory=set)

    def turn_over(self) -> None:
        """Another init segment holds now, and a file has only one. Who has had none yet begins with this one."""
        for connection in tuple(self.connections):
            if connection.begun:
                connection.end(self.last)


class Mp4Output:
    """All viewers of ``stream.mp4``, of all cameras."""

    def __init__(self) -> None:
        self._files: dict[tuple[Fragments, bool], _File] = {}

    async def serve(
        self,
        transport: asyncio.Transport,
        viewer: Viewer,
        fragments: Fragments,
        *,
        chunked: bool,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        """Serve a viewer whose response head is out, until its connection ends (at once when it has ended already)."""
        if transport.is_closing():
            return
        file = self._file(fragments, chunked)
        seat = Seat(transport.write, viewer)
        connection = Takeover(seat, transport, fragments.stream)
        file.connections.add(connection)
        try:
            file.fanout.add(seat)
            if on_start is not None:
                on_start()
            await connection.ended
        finally:
            file.connections.discard(connection)
            seat.leave()
            if not transport.is_closing():
                connection.close()

    def close(self, camera_id: str) -> None:
        """Drop all viewers of a camera."""
        for (fragments, _), file in tuple(self._files.items()):
            if fragments.stream.camera_id == camera_id:
                for connection in tuple(file.connections):
                    connection.close()

    def _file(self, fragments: Fragments, chunked: bool) -> _File:
        key = (fragments, chunked)
        file = self._files.get(key)
        if file is not None:
            return file

        def empty() -> None:
            if self._files.pop(key, None) is not None:
                fragments.on_generation.remove(made.turn_over)
                fragments.track.detach(made.fanout)

        package = Mp4Package(fragments, chunked=chunked)
        fanout = KeyedFanout(package, fragments.track, clock=fragments.stream.clock, on_empty=empty)
        made = _File(LAST_CHUNK if chunked else b"", fanout)
        self._files[key] = made
        fragments.on_generation.append(made.turn_over)
        fragments.track.attach(made.fanout)
        fanout.prime(fragments.track.latest)  # made already: for the first viewer, who waited for it, or for others
        return made
