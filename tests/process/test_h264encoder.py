"""One stream's encoder: a card is x264 that behaves like a card."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import av
import pytest
from av.error import FFmpegError
from av.video.frame import VideoFrame

from framecast.core.errors import Misuse
from framecast.core.rendition import Rendition
from framecast.process import h264encoder as module
from framecast.process.encoders import ENCODERS, RETRY_S, SOFTWARE, Encoder, Encoders, Job, open_encoder
from framecast.process.errors import Unencodable
from framecast.process.h264 import H264Maker
from framecast.process.h264encoder import OpenEncoder

from .test_h264 import picture, shown

SOFT = ENCODERS[SOFTWARE]
VGA, TINY = Job(640, 480), Job(96, 96)
SMALLEST_PX = 145
STEP_NS = 40_000_000


def on(options: Any) -> Encoders:
    """A machine with a card."""
    return Encoders({"card": Encoder("card", "nv12", options, SOFTWARE), SOFTWARE: SOFT})


def not_small(job: Job) -> dict[str, str]:
    """As NVENC, which takes nothing that is less than 145 pixels wide."""
    return SOFT.options(job) if job.width_px >= SMALLEST_PX else {"preset": "none of these"}


def late_when_small(job: Job) -> dict[str, str]:
    """Opens for everything, and gives small pictures back late."""
    return SOFT.options(job) if job.width_px >= SMALLEST_PX else {"preset": "medium"}


def grey(job: Job, pixel_format: str) -> VideoFrame:
    frame = VideoFrame(job.width_px, job.height_px, pixel_format)
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def units(encoder: OpenEncoder, job: Job, count: int = 3) -> list[tuple[bytes, bool]]:
    """What becomes of so many pictures, of which the first is asked for as a keyframe."""
    return [encoder.encode(partial(grey, job), number * STEP_NS, number == 0) for number in range(count)]


@dataclass
class Sessions:
    """A card that has so many streams open at once, and no more."""

    left: int

    def open(self, encoder: Encoder, job: Job) -> Any:
        if encoder.name == SOFTWARE:
            return open_encoder(encoder, job)
        if not self.left:
            raise FFmpegError(12, "no session left")
        return Session(self, open_encoder(encoder, job))


class Session:
    """One stream on the card."""

    def __init__(self, sessions: Sessions, context: Any) -> None:
        self.encode = context.encode
        self._sessions = sessions
        sessions.left -= 1

    def __del__(self) -> None:
        self._sessions.left += 1


def test_it_is_open_for_a_job_and_gives_each_picture_back() -> None:
    encoder = OpenEncoder("auto", on(SOFT.options))
    assert (encoder.name, encoder.job) == ("", None)
    encoder.open(VGA, 0)
    assert (encoder.name, encoder.job) == ("card", VGA)
    assert [key for _, key in units(encoder, VGA)] == [True, False, False]


def test_what_nobody_has_can_not_be_wanted() -> None:
    with pytest.raises(Misuse, match="disc"):
        OpenEncoder("disc", on(SOFT.options)).prepare()


def test_a_size_that_the_card_refuses_is_done_by_software_and_all_else_by_the_card() -> None:
    encoders = on(not_small)
    encoder, other = OpenEncoder("auto", encoders), OpenEncoder("auto", encoders)
    encoder.open(TINY, 0)
    assert (encoder.name, encoder.job) == (SOFTWARE, TINY)
    assert [key for _, key in units(encoder, TINY)] == [True, False, False]
    other.open(VGA, 0)
    assert other.name == encoders.choose().name == "card"
    encoder.open(TINY, STEP_NS)
    assert encoder.name == SOFTWARE
    encoder.open(VGA, 2 * STEP_NS)
    assert encoder.name == "card"
    assert all(each.works for each in encoders.report())


def test_beginning_anew_needs_no_second_session(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(1)
    monkeypatch.setattr(module, "open_encoder", sessions.open)
    encoder = OpenEncoder("auto", on(SOFT.options))
    for job in (VGA, VGA, TINY):
        encoder.open(job, 0)
        assert (encoder.name, sessions.left) == ("card", 0)


def test_a_stream_that_finds_no_session_is_done_by_software(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(1)
    monkeypatch.setattr(module, "open_encoder", sessions.open)
    encoders = on(SOFT.options)
    first, second = OpenEncoder("auto", encoders), OpenEncoder("auto", encoders)
    first.open(VGA, 0)
    second.open(VGA, 0)
    assert (first.name, second.name) == ("card", SOFTWARE)
    first.open(VGA, STEP_NS)
    assert first.name == "card"


def test_one_that_breaks_is_left_by_everybody_for_a_while() -> None:
    now_s = 0.0
    card = Encoder("card", "nv12", late_when_small, SOFTWARE)
    encoders = Encoders({"card": card, SOFTWARE: SOFT}, monotonic_s=lambda: now_s)
    encoder = OpenEncoder("auto", encoders)
    encoder.open(TINY, 0)
    assert encoder.name == "card"
    made = units(encoder, TINY)
    assert encoder.name == SOFTWARE
    assert [key for _, key in made] == [True, False, False]
    decoder = av.CodecContext.create("h264", "r")
    assert sum(len(decoder.decode(av.Packet(unit))) for unit, _ in made) + len(decoder.decode(None)) == len(made)
    assert encoders.choose() is SOFT
    now_s = RETRY_S
    assert encoders.choose() is card
    encoder.open(VGA, 0)
    assert encoder.name == SOFTWARE, "a stream does not go back to what broke"


def test_what_not_even_software_takes_is_said_each_time() -> None:
    encoder = OpenEncoder("auto", on(not_small))
    huge = Job(16_400, 64)
    for _ in range(2):
        with pytest.raises(Unencodable, match="16400 x 64 px"):
            encoder.open(huge, 0)
        assert encoder.job is None
    encoder.open(VGA, 0)
    assert encoder.name == "card"


def test_a_lone_stream_stays_on_the_card_when_its_rate_turns_out_another(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, encoders = Sessions(1), on(SOFT.options)
    monkeypatch.setattr(module, "open_encoder", sessions.open)
    maker = H264Maker(Rendition("h264"), encoders=encoders)
    made = [maker.make(picture(number, number / 30, width=64, height=48)) for number in range(70)]
    assert [number for number, unit in enumerate(made) if unit.key] == [0, 60]
    assert sessions.left == 0, "it is on the card"
    assert len(shown(made)) == len(made)
