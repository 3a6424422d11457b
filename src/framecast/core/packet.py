"""What travels: one whole picture, sound block, access unit or fragment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """What a payload is.

    ``codec`` is FFmpeg's name: ``mjpeg``, ``pcm_s16le``, ``h264``. Zero means unknown or not applicable.
    """

    codec: str
    width_px: int = 0
    height_px: int = 0
    sample_rate_hz: int = 0
    channels: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One whole unit of media, shared by everybody who reads it and never copied.

    Attributes:
        payload: A whole JPEG, PCM block, access unit or fragment.
        format: What the payload is.
        frame_id: Id of the source picture. Kept by everything derived from it, rises by one per picture of a
            camera, and goes on rising when the server restarts. Viewers see it.
        seq: Position on its track, from 0. A gap seen by a reader is a drop.
        epoch: Rises by one when the device restarts or is replaced: its clock starts anew.
        pts_ns: Capture time, Unix ns of our clock. Rises strictly within an epoch.
        received_ns: When the last byte of the source picture was here, Unix ns of our clock.
        key: Decodable without an earlier packet.
    """

    payload: bytes
    format: Format
    frame_id: int
    seq: int
    epoch: int
    pts_ns: int
    received_ns: int
    key: bool = True
