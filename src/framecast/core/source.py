"""What a source of frames is, and what it may say.

A source connects, speaks the device's language, and hands over whole candidate pictures. Everything about time
(stalls, reconnects, backoff) and about trust (is this a whole JPEG, is it too large) belongs to the reader that
runs it, so that no dialect has to get it right again.
"""

from __future__ import annotations

from typing import Protocol

from framecast.core.clock import Clock


class Feed(Protocol):
    """The reader, as its source sees it."""

    clock: Clock

    @property
    def next_frame_id(self) -> int:
        """What the next accepted picture will be called."""

    def connected(self, dialect: str, address: str = "") -> None:
        """The device speaks.

        Args:
            dialect: Name of what it speaks, for people: ``Espressif CameraWebServer``.
            address: ``host:port`` or path it was found at.
        """

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        """One whole candidate picture.

        Args:
            payload: What should be a JPEG, padding included.
            stamp_s: The device's own stamp in seconds, uptime or Unix, where it sends one.
            received_ns: When its last byte came, Unix ns of ``clock``; now when left out.

        Returns:
            Whether it passed the integrity gate and went to the viewers.
        """

    def alive(self) -> None:
        """The device answers but has nothing new to show (a still picture that has not changed)."""

    def quirk(self, code: str) -> None:
        """Count something the firmware does oddly and we cope with (docs/devices.md has the codes)."""

    def fault(self, cause: str) -> None:
        """Count something that was lost or refused before it was a whole picture."""


class Source(Protocol):
    """One way in to one device."""

    async def run(self, feed: Feed) -> None:
        """Connect and feed until the device ends.

        Raises:
            DeviceError: The device could not be reached, or broke its protocol.
        """
