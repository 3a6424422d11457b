"""The binary messages of the dashboard's WebSocket (``/api/v1/ws``).

Little-endian, a header of 32 bytes and then the payload as the camera sent it:

    offset  type  field
    0       u8    version, 1
    1       u8    kind: 1 video, 2 audio, 3 detections
    2       u8    codec: 1 jpeg, 2 h264 (Annex B), 3 pcm_s16le
    3       u8    flags: bit 0 key frame
    4       u16   camera number
    6       u16   width in pixels
    8       u16   height in pixels
    10      u16   reserved, 0
    12      u32   epoch
    16      u64   frame id
    24      i64   capture time, Unix nanoseconds
    32            payload

The camera number is the server's, not the viewer's, so that one byte string serves every socket.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
HEADER_BYTES = 32
KEY = 1
"""Bit 0 of the flags: decodable without an earlier message."""

_HEADER = struct.Struct("<BBBBHHHHIQq")


class Kind(IntEnum):
    """What a message carries."""

    VIDEO = 1
    AUDIO = 2
    DETECTIONS = 3


class Codec(IntEnum):
    """How the payload is coded."""

    JPEG = 1
    H264 = 2
    PCM_S16LE = 3


class MediaError(ValueError):
    """These bytes are no media message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A media message taken apart; fields as in the table above."""

    kind: Kind
    codec: Codec
    key: bool
    camera: int
    width_px: int
    height_px: int
    epoch: int
    frame_id: int
    pts_ns: int
    payload: bytes


def pack_header(
    *,
    camera: int,
    frame_id: int,
    pts_ns: int,
    epoch: int = 0,
    width_px: int = 0,
    height_px: int = 0,
    kind: int = Kind.VIDEO,
    codec: int = Codec.JPEG,
    key: bool = True,
) -> bytes:
    """The 32 bytes that stand in front of a payload.

    Sizes above 65,535 px are capped and the epoch wraps at 2**32, since neither may stop a picture.

    Raises:
        MediaError: The camera number, frame id or capture time does not fit its field.
    """
    try:
        return _HEADER.pack(
            VERSION,
            kind,
            codec,
            KEY if key else 0,
            camera,
            min(width_px, 0xFFFF),
            min(height_px, 0xFFFF),
            0,
            epoch & 0xFFFFFFFF,
            frame_id,
            pts_ns,
        )
    except struct.error as error:
        raise MediaError(f"no room in the header: {error}") from None


def unpack(data: bytes) -> Message:
    """A media message from its bytes.

    Raises:
        MediaError: Too short, another version, or a kind or codec this version does not know.
    """
    if len(data) < HEADER_BYTES:
        raise MediaError(f"{len(data)} bytes where the header alone has {HEADER_BYTES}")
    version, kind, codec, flags, camera, width, height, _, epoch, frame_id, pts_ns = _HEADER.unpack_from(data)
    if version != VERSION:
        raise MediaError(f"version {version} where {VERSION} is spoken")
    try:
        return Message(
            kind=Kind(kind),
            codec=Codec(codec),
            key=bool(flags & KEY),
            camera=camera,
            width_px=width,
            height_px=height,
            epoch=epoch,
            frame_id=frame_id,
            pts_ns=pts_ns,
            payload=bytes(data[HEADER_BYTES:]),
        )
    except ValueError as error:
        raise MediaError(str(error)) from None
