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

    @property
    def wants_pictures(self) -> bool:
        """Whether anybody needs JPEGs of a source that sends H.264 itself."""

    def access_unit(
        self,
        payload: bytes,
        *,
        key: bool,
        width_px: int,
        height_px: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> int | None:
        """One H.264 access unit of a source that codes by itself, in the order in which it is shown.

        Args:
            payload: Annex B; parameter sets stand in front of each key picture.
            key: An IDR: decodable without anything before it.
            width_px: Of the picture.
            height_px: Of the picture.
            stamp_s: As for `jpeg`.
            received_ns: As for `jpeg`.

        Returns:
            The id it got; `picture_of` takes it. None when it went nowhere.
        """

    def picture_of(self, frame_id: int, payload: bytes) -> None:
        """The JPEG that an access unit decodes to, when `wants_pictures`; ids that are not recent mean nothing."""

    def codes_itself(self, yes: bool) -> None:
        """Say, before the first picture, whether access units will come."""

    def sound(
        self,
        payload: bytes,
        *,
        sample_rate_hz: int,
        channels: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> None:
        """One block of sound.

        Args:
            payload: Interleaved s16le.
            sample_rate_hz: Samples a second, of each channel.
            channels: 1 or 2.
            stamp_s: The device's stamp of the first sample, of the same clock as the pictures'.
            received_ns: When its last byte came; now when left out.
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
