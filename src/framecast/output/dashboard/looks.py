"""What is seen by a camera, as dashboard messages: JSON texts, made once for all pages.

A page that is behind gets the newest look when there is room again; nothing piles up.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from framecast.core.packet import Packet
from framecast.core.seat import GONE
from framecast.core.track import Track
from framecast.output.dashboard.page import Page
from framecast.wire.wsframe import Opcode, server_frame


class Looks:
    """One camera's track ``detections``; attached to it while a page wants it.

    Args:
        camera_id: The camera's.
        number: Likewise.
        track: Where the looks come from.
        on_empty: Called when the last page has left.
    """

    bulk = True

    def __init__(self, camera_id: str, number: int, track: Track, on_empty: Callable[[], None]) -> None:
        self._head = json.dumps({"type": "detections", "id": camera_id, "camera": number})[:-1].encode() + b","
        self._track = track
        self._on_empty = on_empty
        self._readers: dict[LookReader, None] = {}

    def add(self, page: Page, latest: Packet | None) -> LookReader:
        """Let a page have what was seen last (`framecast.output.looks.newest`), and what will be."""
        reader = LookReader(page, self)
        self._readers[reader] = None
        self._track.attach(self)
        if latest is not None:
            reader.offer(self._message(latest))
        return reader

    def remove(self, reader: LookReader) -> None:
        """Take a page out. Safe to call twice."""
        if self._readers.pop(reader, 0) is None and not self._readers:
            self._track.detach(self)
            self._on_empty()

    def push(self, packet: Packet) -> None:
        """Offer a look to everybody."""
        message = self._message(packet)
        for reader in tuple(self._readers):
            reader.offer(message)

    def clear(self) -> None:
        """Forget what waits (see `Track.clear`)."""
        for reader in self._readers:
            reader.clear()

    def _message(self, packet: Packet) -> bytes:
        return server_frame(Opcode.TEXT, self._head + packet.payload[1:])


class LookReader:
    """One page's interest in what a camera sees.

    Attributes:
        sent: Looks it was told.
        drops: Looks it was not, since it was behind.
    """

    def __init__(self, page: Page, looks: Looks) -> None:
        self._page = page
        self._looks = looks
        self._waiting: bytes | None = None
        self.sent = 0
        self.drops = 0

    def offer(self, message: bytes) -> None:
        """A look came."""
        if self._waiting is not None:
            self.drops += 1
        self._waiting = message
        if self._page.full:
            self._page.hold(self)
        else:
            self.pump()

    def pump(self) -> None:
        """Send what waits."""
        message, self._waiting = self._waiting, None
        if message is None:
            return
        try:
            self._page.write(message)
        except GONE:
            self.leave()
            return
        self.sent += 1

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = None

    def leave(self) -> None:
        """Hear nothing more. Safe to call twice."""
        self._page.forget(self)
        self._looks.remove(self)
