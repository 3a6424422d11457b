"""Times of sound: by arrival or by stamps, from one device to the next, always rising."""

from __future__ import annotations

import pytest

from framecast.core.packet import Format
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.soundtimeline import Chunk, SoundTimeline

RATE = 16_000
CHUNK = 320
MS = 1_000_000
CHUNK_NS = 20 * MS
START_NS = 1_700_000_000_000_000_000
FORM = Format("pcm_s16le", sample_rate_hz=RATE, channels=1)
UPTIME_S = 100.0


def chunk(number: int, *, delay_ms: float = 3, ahead_ms: float | None = None, form: Format = FORM) -> Chunk:
    """The chunk recorded ``number`` chunks after the start.

    Args:
        delay_ms: How long it was under way.
        ahead_ms: Of its stamp, which is right by the device's clock at 0; None without one.
    """
    stamp_s = None if ahead_ms is None else UPTIME_S + number * CHUNK / RATE + ahead_ms / 1000
    received_ns = START_NS + (number + 1) * CHUNK_NS + round(delay_ms * MS)
    return Chunk(bytes(2 * CHUNK), form, CHUNK, stamp_s, received_ns)


def true_ns(number: int) -> int:
    """When it was recorded."""
    return START_NS + number * CHUNK_NS


def stamped(delay_ms: float = 30) -> SoundTimeline:
    """One that follows pictures which have been under way for so long."""
    timeline, pictures = SoundTimeline(), CaptureClock()
    for number in range(-20, 0):
        at_s = number / 20
        pictures.map(START_NS + round(at_s * 1e9) + round(delay_ms * MS), UPTIME_S + at_s)
    timeline.follow(pictures)
    return timeline


def test_without_stamps_the_arrival_counts() -> None:
    timeline = SoundTimeline()
    for number in range(100):
        assert timeline.pts_ns(chunk(number)) - true_ns(number) == pytest.approx(3 * MS, abs=10)


def test_lost_chunks_leave_their_time_free() -> None:
    timeline = SoundTimeline()
    for number in range(50):
        timeline.pts_ns(chunk(number))
    assert timeline.pts_ns(chunk(53), lost=3) - true_ns(53) == pytest.approx(3 * MS, abs=10)
    assert timeline.pauses == 0


def test_stamps_are_mapped_as_those_of_the_pictures() -> None:
    timeline = stamped(delay_ms=30)
    for number in range(100):
        sound = chunk(number, delay_ms=3 + number % 7 * 10, ahead_ms=0)
        assert timeline.pts_ns(sound) - true_ns(number) == pytest.approx(30 * MS, abs=MS)


def test_before_the_first_picture_stamps_tell_nothing() -> None:
    timeline = SoundTimeline()
    assert timeline.pts_ns(chunk(0, ahead_ms=0)) == true_ns(0) + 3 * MS
    timeline.follow(CaptureClock())
    assert timeline.pts_ns(chunk(1, ahead_ms=0)) == pytest.approx(true_ns(1) + 3 * MS, abs=10)


@pytest.mark.parametrize("ahead_ms", [-20_000, 2_000])
def test_stamps_far_off_tell_nothing(ahead_ms: float) -> None:
    timeline = stamped()
    for number in range(10):
        sound = chunk(number, ahead_ms=ahead_ms)
        assert timeline.pts_ns(sound) - true_ns(number) == pytest.approx(3 * MS, abs=MS)


@pytest.mark.parametrize("wrong", [1, 2])
@pytest.mark.parametrize("ahead_ms", [100, 900, 5_000])
@pytest.mark.parametrize("pictures_ms", [5, 30, 150])
def test_a_wrong_stamp_ahead_moves_nothing(pictures_ms: float, ahead_ms: float, wrong: int) -> None:
    timeline = stamped(pictures_ms)
    for number in range(200):
        ahead = ahead_ms if number % 100 in range(50, 50 + wrong) else 0
        sound = chunk(number, delay_ms=3 + number % 5, ahead_ms=ahead)
        assert timeline.pts_ns(sound) - true_ns(number) == pytest.approx(pictures_ms * MS, abs=MS)
    assert timeline.pauses == 0


def test_what_is_lost_before_a_wrong_stamp_leaves_its_time_free() -> None:
    timeline = stamped()
    for number in range(50):
        timeline.pts_ns(chunk(number, ahead_ms=0))
    assert timeline.pts_ns(chunk(53, ahead_ms=900), lost=3) - true_ns(53) == pytest.approx(30 * MS, abs=MS)


def test_pictures_that_are_under_way_for_long_take_the_sound_along() -> None:
    """However far it is ahead of its arrival, from the first chunk on: or it would come before its picture."""
    timeline = stamped(delay_ms=400)
    for number in range(200):
        sound = chunk(number, delay_ms=3 + (100 if 50 <= number < 120 else number % 5), ahead_ms=0)
        assert timeline.pts_ns(sound) - true_ns(number) == pytest.approx(400 * MS, abs=MS)


def test_where_the_line_of_the_pictures_has_moved_the_sound_follows() -> None:
    timeline = stamped()
    for number in range(50):
        timeline.pts_ns(chunk(number, ahead_ms=0))
    off = [timeline.pts_ns(chunk(number, ahead_ms=200)) - true_ns(number) for number in range(50, 60)]
    assert off[:2] == pytest.approx([30 * MS] * 2, abs=MS)
    assert off[2:] == pytest.approx([230 * MS] * 8, abs=MS)


@pytest.mark.parametrize("cause", ["restarted", "another form", "another device"])
def test_what_begins_anew_has_a_line_of_its_own(cause: str) -> None:
    timeline = SoundTimeline()
    for number in range(50):
        timeline.pts_ns(chunk(number))
    if cause == "another device":
        timeline.end()
        assert timeline.drift_ppm == 0
    form = Format("pcm_s16le", sample_rate_hz=RATE, channels=2) if cause == "another form" else FORM
    # It is under way for longer: on the old line that would be the network's.
    sound = chunk(60, delay_ms=40, form=form)
    assert timeline.pts_ns(sound, restarted=cause == "restarted") == true_ns(60) + 40 * MS


def test_times_rise_from_one_device_to_the_next() -> None:
    timeline = SoundTimeline()
    before_ns = timeline.pts_ns(chunk(10))
    timeline.end()
    assert timeline.pts_ns(chunk(3)) == before_ns + 1_000


def test_pauses_add_up() -> None:
    timeline = SoundTimeline()
    for first in (0, 100, 200):
        for number in range(first, first + 50):
            timeline.pts_ns(chunk(number))
        if first == 100:
            timeline.end()
            timeline.pts_ns(chunk(150))
    assert timeline.pauses == 2
