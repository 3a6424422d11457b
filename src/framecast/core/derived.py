"""How much is kept of a derived track, and how far its worker may be behind."""

from __future__ import annotations

from framecast.core.mailbox import Mailbox, Policy
from framecast.core.rendition import DETECTIONS, Rendition
from framecast.core.track import Track

SOUND_CHUNKS = 100
"""Blocks of sound kept for newcomers; a worker may be as far behind."""
ENCODER_WAITS = 3
"""Pictures that may wait for an encoder of video, which a busy machine holds up for a moment now and then."""
CODED_PACKETS, CODED_BYTES = 600, 8 << 20
"""Most of a coded track that is kept since its last key packet."""
MADE_PACKETS = 2
"""Of pictures and looks that are made here: the newest, and the one before."""


def track_of(rendition: Rendition) -> Track:
    """The track that carries it."""
    if rendition.codec == "mjpeg" or rendition == DETECTIONS:
        return Track(rendition.name, ring_packets=MADE_PACKETS)
    if rendition.is_sound:
        return Track(rendition.name, ring_packets=SOUND_CHUNKS)
    return Track(rendition.name, ring_packets=CODED_PACKETS, ring_bytes=CODED_BYTES, since_key=True)


def mailbox_of(rendition: Rendition) -> Mailbox:
    """What its worker reads the camera's pictures from, or its sound: the newest of the pictures, unless it codes."""
    if rendition.is_sound:
        return Mailbox(SOUND_CHUNKS, Policy.DROP_OLDEST)
    return Mailbox(ENCODER_WAITS) if rendition.codec == "h264" else Mailbox()


def access_units() -> Mailbox:
    """What hands on a source's own coded video reads it from."""
    return Mailbox(CODED_PACKETS, Policy.SKIP_TO_KEY)
