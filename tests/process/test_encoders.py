from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from framecast.core.errors import Misuse
from framecast.core.rendition import Rendition
from framecast.process import encoders as module
from framecast.process.encoders import (
    ENCODERS,
    SHARED,
    SOFTWARE,
    Encoder,
    Encoders,
    Job,
    Probed,
    open_encoder,
    probe_apart,
    probe_here,
)
from framecast.process.h264 import H264Maker
from framecast.process.options import H264Options
from framecast.wire import h264

from .test_h264 import picture, shown, steady

SOFT = ENCODERS[SOFTWARE]
CARD = Encoder("h264_nvenc", "yuv420p", SOFT.options)


class Failing:
    """x264 that opens a number of times, and then refuses: a driver that goes away."""

    def __init__(self, opens: int) -> None:
        self.opens = opens

    def __call__(self, job: Job) -> dict[str, str]:
        self.opens -= 1
        return SOFT.options(job) if self.opens >= 0 else {"preset": "none of these"}


def test_software_is_always_there() -> None:
    assert probe_here(SOFT).works
    assert Encoders().choose("software") is SOFT


def test_every_encoder_is_reported_with_a_reason() -> None:
    found = SHARED.report()
    assert [each.name for each in found] == list(ENCODERS)
    assert all(each.note for each in found)


def test_one_that_holds_pictures_back_is_not_used() -> None:
    late = Encoder("late", "yuv420p", lambda job: {"preset": "medium"}, SOFTWARE)
    assert probe_here(late).note == "gives pictures back late"
    assert Encoders({"late": late, SOFTWARE: SOFT}).choose() is SOFT


def test_the_first_that_works_is_taken_and_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    opens = Failing(1)
    card = Encoder("card", "yuv420p", opens, SOFTWARE)
    encoders = Encoders({"missing": Encoder("missing", "nv12", SOFT.options), "card": card, SOFTWARE: SOFT})
    with caplog.at_level(logging.INFO):
        assert encoders.choose() is card
        assert encoders.choose() is card
    assert opens.opens == 0
    assert [record.message for record in caplog.records] == ["H.264 is encoded by card (missing: not in this FFmpeg)"]


def test_one_that_was_asked_for_and_fails_is_replaced_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    encoders = Encoders({"card": Encoder("card", "yuv420p", Failing(0), SOFTWARE), SOFTWARE: SOFT})
    assert encoders.choose("card") is SOFT
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    with pytest.raises(Misuse, match="auto, software, card"):
        encoders.choose("disc")


def test_software_takes_over_from_one_that_breaks() -> None:
    encoders = Encoders({"card": Encoder("card", "nv12", Failing(2), SOFTWARE), SOFTWARE: SOFT})
    maker = H264Maker(Rendition("h264"), H264Options(gop_s=1.0), encoders)
    packets = [*steady(3, 10), picture(3, 0.4, width=160, height=120), picture(4, 0.5, width=160, height=120)]
    units = [maker.make(packet) for packet in packets]
    assert [unit.key for unit in units] == [True, False, False, True, False]
    assert encoders.choose() is SOFT
    assert len(shown(units[3:])) == 2


class Driver:
    """Says of each encoder whether it works, and counts how often it was asked."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.tried: list[str] = []

    def probe(self, encoder: Encoder) -> Probed:
        self.tried.append(encoder.name)
        return Probed(encoder.name, encoder.name not in self.broken, "as told")


class TestTriedAgain:
    """When an encoder that was tried is tried once more."""

    def setup_method(self) -> None:
        self.now_s = 0.0
        self.driver = Driver()
        self.encoders = Encoders({"h264_nvenc": CARD, SOFTWARE: SOFT}, self.driver.probe, lambda: self.now_s)

    def test_one_that_broke_after_minutes(self) -> None:
        assert self.encoders.choose() is CARD
        self.encoders.failed(CARD.name, "lost")
        self.encoders.refused(CARD.name)
        self.now_s += module.RETRY_S - 1
        assert self.encoders.choose() is SOFT
        assert self.encoders.report()[0] == Probed(CARD.name, False, "lost")
        self.now_s += 1
        assert self.encoders.choose() is CARD

    def test_one_that_would_not_open_before_it_is_chosen_again(self) -> None:
        assert self.encoders.choose() is CARD
        self.encoders.refused(CARD.name)
        assert self.encoders.choose() is self.encoders.choose() is CARD
        assert self.driver.tried.count(CARD.name) == 2
        self.encoders.refused(CARD.name)
        self.driver.broken.add(CARD.name)
        self.now_s += 2 * module.RETRY_S
        for _ in range(3):
            assert self.encoders.choose() is SOFT
        assert self.driver.tried.count(CARD.name) == 3
        self.driver.broken.clear()
        self.now_s += module.RETRY_S
        assert self.encoders.choose() is CARD

    def test_one_that_never_worked_is_not(self) -> None:
        self.driver.broken.add(CARD.name)
        assert self.encoders.choose() is SOFT
        self.now_s += 10 * module.RETRY_S
        assert self.encoders.choose() is SOFT
        assert self.driver.tried.count(CARD.name) == 1

    def test_the_log_says_when_another_is_used(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                self.encoders.choose()
            self.encoders.failed(CARD.name, "lost")
            for _ in range(2):
                self.encoders.choose()
        assert [record.message for record in caplog.records] == [
            "H.264 is encoded by h264_nvenc",
            "h264_nvenc encodes no longer: lost",
            "H.264 is encoded by libx264 (h264_nvenc: lost)",
        ]


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [(320, 240, 31), (1280, 720, 31), (1600, 1200, 40), (1920, 1080, 40), (2592, 1944, 51)],
)
def test_the_level_allows_size_and_rate(width: int, height: int, level: int) -> None:
    maker = H264Maker(Rendition("h264"))
    sets = h264.parameter_sets(maker.make(picture(1, width=width, height=height)).payload)
    assert sets is not None
    assert h264.parse_sps(sets.sps).level == level


def test_an_encoder_is_open_when_it_is_handed_out() -> None:
    assert open_encoder(SOFT, Job(64, 48)).is_open


@pytest.mark.parametrize(
    ("code", "works", "note"),
    [
        ("print('works')", True, "works"),
        ("print('no driver'); raise SystemExit(1)", False, "no driver"),
        ("import os; os.abort()", False, "crashes"),
        ("import time; time.sleep(60)", False, "hangs"),
    ],
)
def test_a_driver_that_breaks_harms_nobody(monkeypatch: pytest.MonkeyPatch, code: str, works: bool, note: str) -> None:
    monkeypatch.setattr(module, "PROBE_COMMAND", (sys.executable, "-c", code))
    if note == "hangs":
        monkeypatch.setattr(module, "PROBE_TIMEOUT_S", 0.1)
    found = probe_apart(CARD)
    assert (found.works, found.note) == (works, note)


def test_hardware_that_is_not_there_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_COMMAND", ("/nowhere",))
    monkeypatch.setattr(sys, "platform", "linux")
    assert (
        probe_apart(Encoder("h264_nvenc", "yuv420p", SOFT.options, devices=("/nowhere*",))).note == "no such hardware"
    )
    assert probe_apart(Encoder("h264_nowhere", "yuv420p", SOFT.options)).note == "not in this FFmpeg"


def test_a_probe_is_a_command() -> None:
    done = subprocess.run([*module.PROBE_COMMAND, SOFTWARE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "works\n", "")
