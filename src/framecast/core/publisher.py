"""Who publishes a camera's pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from framecast.core.frameids import FrameIds
from framecast.core.meter import Meter
from framecast.core.packet import Format, Packet
from framecast.core.track import Track


class Camera(Protocol):
    """A camera's stream, as its publisher sees it; `core.stream.Stream` says what each is."""

    inlet: Track
    video: Track
    native: Track
    frame_ids: FrameIds
    meter: Meter
    published: int

    def begin_epoch(self) -> int:
        """The number of a new epoch."""

    def publisher_closed(self, publisher: Publisher) -> None:
        """Take the right back from a publisher that gives up."""


class Publisher:
    """The right to publish one camera's pictures, held by one connection at a time.

    A new epoch begins with its first picture (not before: a camera that is tried in vain has not restarted).

    Attributes:
        closed: Whether another publisher has taken over, or this one was closed.
    """

    def __init__(self, stream: Camera, name: str, on_replaced: Callable[[], None] | None) -> None:
        self.name = name
        self.closed = False
        self._stream = stream
        self._on_replaced = on_replaced
        self._last_pts_ns = 0
        self._epoch = 0

    def new_epoch(self) -> None:
        """The device has restarted: its clock begins anew."""
        self._epoch = self._stream.begin_epoch()
        self._last_pts_ns = 0

    def publish(self, payload: bytes, form: Format, pts_ns: int, received_ns: int) -> Packet | None:
        """Give one picture to everyone; None when this publisher was replaced.

        Stamps that do not rise within the epoch are pushed on by a microsecond.
        """
        packet = self._packet(payload, form, pts_ns, received_ns, key=True)
        if packet is not None:
            self._stream.inlet.publish(packet)
        return packet

    def publish_coded(self, payload: bytes, form: Format, pts_ns: int, received_ns: int, *, key: bool) -> Packet | None:
        """Give one access unit of a source that codes by itself to everyone; None when this publisher was replaced."""
        packet = self._packet(payload, form, pts_ns, received_ns, key=key)
        if packet is not None:
            stream = self._stream
            stream.native.publish(packet)
            for track in (stream.inlet, stream.video):
                if track.latest is not None and not stream.inlet.wanted and not stream.video.wanted:
                    # Decoded for nobody from here on: the last one would be shown to the next viewer, however old.
                    track.clear()
        return packet

    def publish_picture_of(self, coded: Packet, payload: bytes, form: Format) -> None:
        """Give the picture that an access unit decodes to, under the same id and stamps."""
        if not self.closed:
            stream = self._stream
            stream.inlet.publish(replace(coded, payload=payload, format=form, key=True))

    def _packet(self, payload: bytes, form: Format, pts_ns: int, received_ns: int, *, key: bool) -> Packet | None:
        if self.closed:
            return None
        if pts_ns <= self._last_pts_ns:
            pts_ns = self._last_pts_ns + 1_000
        self._last_pts_ns = pts_ns
        stream = self._stream
        if not self._epoch:
            self._epoch = stream.begin_epoch()
        packet = Packet(payload, form, stream.frame_ids.take(), stream.published, self._epoch, pts_ns, received_ns, key)
        stream.published += 1
        stream.meter.add(len(payload), received_ns)
        return packet

    def close(self) -> None:
        """Give the right back. Safe to call twice."""
        self.closed = True
        self._stream.publisher_closed(self)

    def replace(self) -> None:
        """Another one takes over."""
        self.closed = True
        if self._on_replaced is not None:
            self._on_replaced()
