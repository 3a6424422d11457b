"""The picture that belongs to a sound."""

from __future__ import annotations

from framecast.core.packet import Packet
from framecast.core.synced import synced_frame
from framecast.core.track import Track
from tests.core.fakes import JPEG

MS = 1_000_000


def shown(*times_ms: int) -> Track:
    """Pictures captured then."""
    track = Track("video")
    for number, at_ms in enumerate(times_ms):
        track.publish(Packet(b"x", JPEG, number, number, 1, at_ms * MS, at_ms * MS))
    return track


def at(track: Track, ms: int) -> int | None:
    packet = synced_frame(track, ms * MS)
    return None if packet is None else packet.frame_id


def test_the_nearest_in_either_direction() -> None:
    track = shown(1000, 1200, 1400)
    assert [at(track, ms) for ms in (990, 1099, 1101, 1200, 1350, 1500)] == [0, 0, 1, 1, 2, 2]


def test_none_beyond_half_a_second() -> None:
    track = shown(1000, 1200, 1400)
    assert (at(track, 500), at(track, 1900)) == (0, 2)
    assert (at(track, 499), at(track, 1901)) == (None, None)


def test_none_without_a_picture() -> None:
    assert at(shown(), 0) is None


def test_only_kept_pictures_count() -> None:
    assert at(shown(*range(0, 10_000, 100)), 6000) is None
