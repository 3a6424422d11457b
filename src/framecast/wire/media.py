"""The binary messages of the dashboard's WebSocket (``/api/v1/ws``).

Little-endian, a header of 32 bytes and then the payload as the camera sent it:

    offset  type  field
    0       u8    version, 1
    1       u8    kind: 1 video, 2 audio, 3 detections, 4 fragment, 5 padding
    2       u8    codec: 1 jpeg, 2 h264 (Annex B), 3 pcm_s16le, 4 fmp4; 0 in padding
    3       u8    flags: bit 0 key frame, bit 1 initialisation segment
    4       u16   camera number
    6       u16   width in pixels; of sound, samples a second
    8       u16   height in pixels; of sound, channels
    10      u16   reserved, 0
    12      u32   epoch
    16      u64   frame id; of sound, the block's number
    24      i64   capture time, Unix nanoseconds
    32            payload

The camera number is the server's, not the viewer's, so that one byte string serves every socket. A fragment is an fMP4
movie fragment, which an initialisation segment comes before. Padding is zeros, sent to see what a link carries; readers
throw it away.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
HEADER_BYTES = 32
KEY = 1
"""Bit 0 of the flags: decodable without an earlier message."""
INIT = 2
"""Bit 1 of the flags: no fragment but the initialisation segment of those that follow."""

_HEADER = struct.Struct("<BBBBHHHHIQq")


class Kind(IntEnum):
    """What a message carries."""

    VIDEO = 1
    AUDIO = 2
    DETECTIONS = 3
    FRAGMENT = 4
    PADDING = 5


class Codec(IntEnum):
    """How the payload is coded."""

    NONE = 0
    JPEG = 1
    H264 = 2
    PCM_S16LE = 3
    FMP4 = 4


class MediaError(ValueError):
    """These bytes are no media message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A media message taken apart; fields as in the table above.

    Of sound the size in pixels is 0, of everything else the rate and the channels are.
    """

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
    init: bool = False
    sample_rate_hz: int = 0
    channels: int = 0


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
    init: bool = False,
    sample_rate_hz: int = 0,
    channels: int = 0,
) -> bytes:
    """The 32 bytes that stand in front of a payload.

    Of sound the rate and the channels go into the header, of everything else the size. What is above 65,535 is capped
    and the epoch wraps at 2**32, since neither may stop a picture.

    Raises:
        MediaError: The camera number, frame id or capture time does not fit its field.
    """
    first, second = (sample_rate_hz, channels) if kind == Kind.AUDIO else (width_px, height_px)
    try:
        return _HEADER.pack(
            VERSION,
            kind,
            codec,
            (KEY if key else 0) | (INIT if init else 0),
            camera,
            min(first, 0xFFFF),
            min(second, 0xFFFF),
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
    version, kind, codec, flags, camera, first, second, _, epoch, frame_id, pts_ns = _HEADER.unpack_from(data)
    if version != VERSION:
        raise MediaError(f"version {version} where {VERSION} is spoken")
    sound = kind == Kind.AUDIO
    try:
        return Message(
            kind=Kind(kind),
            codec=Codec(codec),
            key=bool(flags & KEY),
            camera=camera,
            width_px=0 if sound else first,
            height_px=0 if sound else second,
            epoch=epoch,
            frame_id=frame_id,
            pts_ns=pts_ns,
            payload=bytes(data[HEADER_BYTES:]),
            init=bool(flags & INIT),
            sample_rate_hz=first if sound else 0,
            channels=second if sound else 0,
        )
    except ValueError as error:
        raise MediaError(str(error)) from None
