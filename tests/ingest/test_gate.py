"""Nothing that is not a whole, sensible JPEG gets to the viewers, and every cause is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.ingest.gate import Gate, Limits, ScanBudget, Verify
from tests.data import frame, samples

GOOD = ("small-0", "qvga", "grey", "comment", "restarts", "progressive", "thumbnail", "bogus-exif")


@pytest.fixture
def stream() -> Iterator[Stream]:
    yield Stream("door", 1, Supervisor())


@pytest.mark.parametrize("name", GOOD)
def test_a_whole_picture_passes_as_it_is(stream: Stream, name: str) -> None:
    jpeg = frame(name)
    checked = Gate(stream, verify="always").check(jpeg)
    assert checked is not None
    form, passed = checked
    assert passed is jpeg, "no copy"
    assert form.codec == "mjpeg" and form.width_px > 0 and form.height_px > 0
    assert not stream.refused


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "not_jpeg"),
        (b"No frames send.", "not_jpeg"),
        (b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00scan\xff\xd9", "no_frame_header"),
        (frame("small-0")[:600], "truncated"),
        (frame("small-0")[:-2], "truncated"),
        (frame("small-0")[1:], "not_jpeg"),
        (frame("corrupt"), "corrupt_scan"),
    ],
)
def test_whatever_is_not_is_refused_and_its_cause_counted(stream: Stream, data: bytes, cause: str) -> None:
    gate = Gate(stream, verify="always")
    assert gate.check(data) is None
    assert gate.check(data) is None
    assert stream.refused == {cause: 2}
    assert gate.check(frame("small-1")) is not None, "the next good one passes"


def test_limits_are_those_of_the_header(stream: Stream) -> None:
    jpeg = frame("qvga")
    assert Gate(stream, limits=Limits(max_bytes=len(jpeg)), verify="never").check(jpeg)
    assert Gate(stream, limits=Limits(max_bytes=len(jpeg) - 1), verify="never").check(jpeg) is None
    assert Gate(stream, limits=Limits(max_pixels=320 * 240), verify="never").check(jpeg)
    assert Gate(stream, limits=Limits(max_pixels=320 * 240 - 1), verify="never").check(jpeg) is None
    assert stream.refused == {"too_many_bytes": 1, "too_many_pixels": 1}


def test_pictures_beyond_the_rate_are_refused_before_their_scan_is_decoded() -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    stream, budget = Stream("door", 1, Supervisor(), clock=clock), ScanBudget(share=1.0, burst_s=60.0)
    gate = Gate(stream, limits=Limits(max_fps=10), budget=budget)
    jpeg = frame("small-0")
    assert sum(gate.check(jpeg) is not None for _ in range(50)) == 10, "a second's worth at once"
    assert stream.refused == {"too_many_pictures": 40}
    assert budget.covered + budget.passed == 10
    passed = 0
    for _ in range(1000):
        clock.advance(0.01)
        passed += gate.check(jpeg) is not None
    assert passed == 100, "ten in each of ten seconds"
    clock.advance(3600)
    assert gate.check(jpeg[:-2]) is None
    assert stream.refused["truncated"] == 1, "what is no picture is told its own cause"
    assert sum(gate.check(jpeg) is not None for _ in range(50)) == 10, "no more is saved up"


def test_coded_pictures_beyond_the_rate_are_refused_up_to_the_next_key() -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    stream = Stream("door", 1, Supervisor(), clock=clock)
    gate = Gate(stream, limits=Limits(max_bytes=1000, max_fps=10))
    assert [gate.admits(100, key=number == 0) for number in range(12)] == [True] * 10 + [False] * 2
    clock.advance(1.0)
    assert not gate.admits(100, key=False), "the one before it is missing"
    assert gate.admits(100, key=True)
    assert gate.admits(100, key=False)
    assert stream.refused == {"too_many_pictures": 3}
    assert not gate.admits(1001, key=True)
    assert not gate.admits(1, key=False)
    assert stream.refused == {"too_many_pictures": 3, "too_many_bytes": 2}
    assert gate.admits(1000, key=True)


@pytest.mark.parametrize("padding", [b"\0" * 5, b"\r\n", b"\xff" * 100])
def test_padding_is_trimmed_and_noted(stream: Stream, padding: bytes) -> None:
    checked = Gate(stream, verify="always").check(frame("small-0") + padding)
    assert checked is not None
    assert checked[1] == frame("small-0")
    assert stream.quirks["padding_after_eoi"] == 1


def test_a_thumbnails_end_is_not_the_pictures(stream: Stream) -> None:
    gate = Gate(stream, verify="always")
    for _ in range(3):
        checked = gate.check(frame("thumbnail"))
        assert checked is not None and checked[1] == frame("thumbnail")
    assert stream.quirks["exif_thumbnail"] == 1, "once, not for every frame"


def test_the_format_is_one_object_until_the_size_changes(stream: Stream) -> None:
    gate = Gate(stream, verify="never")
    forms = [checked[0] for name in ("small-0", "small-1", "qvga", "small-2") if (checked := gate.check(frame(name)))]
    assert forms[0] is forms[1]
    assert (forms[2].width_px, forms[2].height_px) == (320, 240)
    assert forms[3] == forms[0]


@pytest.mark.parametrize(("verify", "passes"), [("always", False), ("auto", False), ("never", True)])
def test_whether_scans_are_decoded_is_a_choice(stream: Stream, verify: Verify, passes: bool) -> None:
    assert (Gate(stream, verify=verify).check(frame("corrupt")) is not None) is passes


def test_while_what_decodes_is_imported_pictures_pass_on_their_markers(stream: Stream) -> None:
    budget = ScanBudget()
    gate = Gate(stream, budget=budget)
    broken = frame("corrupt")
    budget.hold()
    assert gate.check(broken) is not None
    budget.release()
    assert gate.check(broken) is None
    assert (budget.covered, budget.passed) == (1, 1)


@pytest.mark.parametrize(("busy", "share"), [(0.0, 0.08), (0.7, 0.08), (0.9, 0.032), (0.99, 0.02), (1.0, 0.02)])
def test_scans_take_their_share_of_a_core_and_less_of_a_busy_one(busy: float, share: float) -> None:
    now_s = 0.0
    budget = ScanBudget(share=0.08, burst_s=0.08, now=lambda: now_s, worked=lambda: busy * now_s)
    for _ in range(100_000):
        began = budget.begin()
        now_s += 0.001
        if began is not None:
            budget.end(began)
    assert budget.covered + budget.passed == 100_000
    assert budget.covered * 0.001 / now_s == pytest.approx(share, rel=0.05)


def test_large_progressive_pictures_are_not_decoded(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = ScanBudget(burst_s=60.0)
    gate = Gate(stream, budget=budget)
    assert gate.check(frame("progressive"))
    assert (budget.covered, budget.passed) == (1, 0)
    monkeypatch.setattr("framecast.ingest.gate.MOST_PROGRESSIVE_PIXELS", 100)
    assert gate.check(frame("progressive"))
    assert (budget.covered, budget.passed) == (1, 1)
    assert gate.check(frame("small-0"))
    assert (budget.covered, budget.passed) == (2, 1)


def test_every_stored_picture_fares_as_its_manifest_says(stream: Stream) -> None:
    gate = Gate(stream, verify="always")
    stored = [each for kind in ("stream", "still", "request", "websocket") for each in samples(kind)]
    names = {name for each in stored for name in each.frames}
    corrupt = {name for each in stored for name in each.corrupt}
    assert {name for name in names if gate.check(frame(name)) is None} == corrupt


class TestScanBudget:
    """A share of one core, saved up for a burst."""

    def test_it_runs_out_and_fills_with_time(self) -> None:
        now = [0.0]
        budget = ScanBudget(share=0.1, burst_s=0.5, now=lambda: now[0])

        def scan(cost_s: float) -> bool:
            began = budget.begin()
            if began is None:
                return False
            now[0] += cost_s
            budget.end(began)
            return True

        assert [scan(0.2) for _ in range(5)] == [True, True, True, False, False]
        assert (budget.covered, budget.passed) == (3, 2)
        now[0] += 2.0
        assert scan(0.1)
        now[0] += 3600
        assert sum(scan(0.1) for _ in range(100)) <= 7, "no more than the burst is saved up"

    def test_its_share_holds_over_time(self) -> None:
        now, spent = [0.0], 0.0
        budget = ScanBudget(share=0.08, burst_s=0.08, now=lambda: now[0])
        for _ in range(3000):
            began = budget.begin()
            if began is not None:
                now[0] += 0.003
                spent += 0.003
                budget.end(began)
            now[0] += 1 / 300
        assert spent / now[0] == pytest.approx(0.08, rel=0.1)

    def test_cameras_share_one(self, stream: Stream) -> None:
        budget = ScanBudget(share=0.0, burst_s=1e-9)
        one, two = Gate(stream, budget=budget), Gate(stream, budget=budget)
        assert one.check(frame("corrupt")) is None
        assert two.check(frame("corrupt")) is not None, "nothing is left: it passes on its markers"
        assert (budget.covered, budget.passed) == (1, 1)
