"""Which picture belongs to a sound."""

from __future__ import annotations

from framecast.core.packet import Packet
from framecast.core.track import Track

MATCH_NS = 500_000_000
"""Picture and sound that were captured further apart don't belong together."""


def synced_frame(video: Track, audio_timestamp_ns: int) -> Packet | None:
    """The kept picture captured nearest to a sound, None when none was within 500 ms of it.

    Args:
        video: The pictures.
        audio_timestamp_ns: Capture time of the sound, Unix ns of our clock, as of its packet.
    """
    nearest = min(video.ring, key=lambda packet: abs(packet.pts_ns - audio_timestamp_ns), default=None)
    if nearest is None or abs(nearest.pts_ns - audio_timestamp_ns) > MATCH_NS:
        return None
    return nearest
