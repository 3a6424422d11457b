"""Playlists of low-latency HLS, written from what is in them; and what a player asks for in its query.

    media playlist     header tags, then segments; those near the end with the parts they are made of, then the parts of
                       the segment in the making, and a hint at the part after them
    index              the one media playlist there is, with its codecs and bandwidth

Source: draft-pantos-hls-rfc8216bis, 4.4 (tags), 6.2.5.2 (blocking reload), B.1 (server configuration for low latency).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

CONTENT_TYPE = "application/vnd.apple.mpegurl"
PARTS_FOR = 3
"""Segments so many target durations from the end, or farther, are listed without their parts."""
HOLD_BACK_PARTS = 3
"""A player stays at least so many part targets behind the end: no less is allowed."""

_WHOLE = re.compile("[0-9]{1,15}")


class Part(NamedTuple):
    """A piece of a segment; `independent` when decoding can begin there."""

    uri: str
    duration_s: float
    independent: bool


class Segment(NamedTuple):
    """A piece of a stream that begins with a key picture.

    Attributes:
        uri: Empty while it is in the making.
        duration_s: Of all its parts.
        began_ns: Capture time of its first picture, Unix ns.
        init_uri: The init segment that holds for it.
        parts: What it is made of, so far.
        discontinuous: It does not follow the one before.
    """

    uri: str
    duration_s: float
    began_ns: int
    init_uri: str
    parts: Sequence[Part] = ()
    discontinuous: bool = False


class Playlist(NamedTuple):
    """A media playlist.

    Attributes:
        segments: The oldest first; the last one may be in the making.
        sequence: Number of the first segment.
        discontinuities: How many segments were discontinuous among those that are listed no more.
        target_s: No segment lasts longer, rounded to whole seconds.
        part_target_s: No part lasts longer.
        hint: URI of the part that comes next.
    """

    segments: Sequence[Segment]
    sequence: int
    discontinuities: int
    target_s: int
    part_target_s: float
    hint: str


class Wanted(NamedTuple):
    """What a blocking request waits for: a part of a segment, or the whole segment where `part` is None."""

    sequence: int
    part: int | None


class QueryError(ValueError):
    """A query that asks for nothing there can be."""


def wanted(query: Mapping[str, str]) -> Wanted | None:
    """What `_HLS_msn` and `_HLS_part` ask to be waited for; None for an ordinary request.

    Raises:
        QueryError: They are no numbers, or a part of no segment is asked for.
    """
    numbers: dict[str, int] = {}
    for name in ("_HLS_msn", "_HLS_part"):
        text = query.get(name)
        if text is None:
            continue
        if not _WHOLE.fullmatch(text):
            raise QueryError(f"{name} has to be a whole number")
        numbers[name] = int(text)
    if "_HLS_msn" in numbers:
        return Wanted(numbers["_HLS_msn"], numbers.get("_HLS_part"))
    if numbers:
        raise QueryError("_HLS_part needs the segment it belongs to, _HLS_msn")
    return None


def media_playlist(playlist: Playlist, suffix: str = "") -> str:
    """The text of a media playlist.

    Args:
        playlist: What is in it.
        suffix: Behind each URI: a query that the requests for them must carry.
    """
    part_target_s = math.ceil(playlist.part_target_s * 1000) / 1000  # none may be longer than what is written
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        f"#EXT-X-TARGETDURATION:{playlist.target_s}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={HOLD_BACK_PARTS * part_target_s:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={part_target_s:.3f}",
        f"#EXT-X-MEDIA-SEQUENCE:{playlist.sequence}",
    ]
    if playlist.discontinuities:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{playlist.discontinuities}")
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    left_s = sum(segment.duration_s for segment in playlist.segments)
    init_uri = ""
    for segment in playlist.segments:
        left_s -= segment.duration_s
        if segment.discontinuous:
            lines.append("#EXT-X-DISCONTINUITY")
        if segment.init_uri != init_uri:
            init_uri = segment.init_uri
            lines.append(f'#EXT-X-MAP:URI="{init_uri}{suffix}"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time(segment.began_ns)}")
        if left_s < PARTS_FOR * playlist.target_s:
            for part in segment.parts:
                mark = ",INDEPENDENT=YES" if part.independent else ""
                lines.append(f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="{part.uri}{suffix}"{mark}')
        if segment.uri:
            lines.append(f"#EXTINF:{segment.duration_s:.5f},")
            lines.append(segment.uri + suffix)
    lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{playlist.hint}{suffix}"')
    return "\n".join(lines) + "\n"


def index(
    uri: str, *, codecs: str, bandwidth: int, width_px: int = 0, height_px: int = 0, fps: float = 0.0, suffix: str = ""
) -> str:
    """The text of an index with one media playlist.

    Args:
        uri: The media playlist's.
        codecs: As in a MIME type: ``avc1.42C01F,mp4a.40.2``.
        bandwidth: Most bits a second of any segment.
        width_px: Of the picture; left out when 0, as the height is.
        fps: Left out when 0.
        suffix: As in `media_playlist`.
    """
    attributes = [f"BANDWIDTH={bandwidth}", f'CODECS="{codecs}"']
    if width_px and height_px:
        attributes.append(f"RESOLUTION={width_px}x{height_px}")
    if fps:
        attributes.append(f"FRAME-RATE={fps:.3f}")
    return (
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f"#EXT-X-STREAM-INF:{','.join(attributes)}\n{uri}{suffix}\n"
    )


def date_time(time_ns: int) -> str:
    """A time as ISO 8601 says it, to the millisecond."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"
