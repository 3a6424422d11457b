from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire.jpeg import (
    MAX_SCANS,
    MAX_SEGMENTS,
    EndFinder,
    Fault,
    Inspector,
    JpegError,
    find_end,
    read_header,
    verify_scan,
)
from tests.data import FOLDER, frame
from tests.data.pictures import with_segment
from tests.support.cost import at_most

ALL = sorted(path.stem for path in (FOLDER / "frames").glob("*.jpg"))
SMALL = frame("small-0")


def fault_of(data: bytes, **limits: int) -> Fault:
    with pytest.raises(JpegError) as error:
        Inspector(**limits).inspect(data)
    return error.value.fault


def sof_at(data: bytes) -> int:
    return data.index(b"\xff\xc0\x00\x11")


def with_scans(count: int) -> bytes:
    """A sound progressive picture whose last scan comes again until there are so many."""
    data = frame("progressive")
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2] * (count - data.count(b"\xff\xda")) + data[-2:]


def test_a_picture_of_many_scans_is_not_decoded() -> None:
    # Each scan costs its sender 28 bytes and a decoder a walk over the whole picture.
    assert Inspector().inspect(with_scans(MAX_SCANS))
    assert fault_of(with_scans(MAX_SCANS + 1)) is Fault.TOO_MANY_SCANS
    assert fault_of(with_scans(2000)) is Fault.TOO_MANY_SCANS


def test_header() -> None:
    header = read_header(SMALL)
    assert (header.width_px, header.height_px, header.components) == (80, 60, 3)
    assert header.subsampling == "4:2:2"
    assert not header.progressive
    assert not header.exif_thumbnail
    assert read_header(frame("grey")).subsampling == "grey"
    assert read_header(frame("progressive")).progressive
    assert read_header(frame("bogus-exif")).exif_thumbnail
    assert not read_header(frame("comment")).exif_thumbnail


@pytest.mark.parametrize("name", ALL)
def test_sound_pictures_pass_untouched(name: str) -> None:
    data = frame(name)
    assert Inspector().inspect(data)[1] is data


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "padding",
    [
        bytes(1),
        bytes(700),
        b"\xff" * 9,
        b"\r\n",
        SMALL[-300:],
        b"\xff\xd9",
        b"\xff\xd8\xff\xd9",
        b"garbage\xff\xd9\xff",
    ],
    ids=repr,
)
def test_padding_is_trimmed(name: str, padding: bytes) -> None:
    assert Inspector().inspect(frame(name) + padding)[1] == frame(name)


@pytest.mark.parametrize("name", ALL)
def test_every_truncation_is_refused(name: str) -> None:
    data = frame(name)
    inspector = Inspector()
    inspector.inspect(data)
    for size in range(len(data)):
        with pytest.raises(JpegError) as error:
            inspector.inspect(data[:size])
        assert error.value.fault is (Fault.NOT_JPEG if size < 2 else Fault.TRUNCATED), size


def test_the_next_picture_does_not_complete_a_truncated_one() -> None:
    assert fault_of(SMALL[:900] + frame("small-1")) is Fault.TRUNCATED


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.NOT_JPEG),
        (b"GIF89a", Fault.NOT_JPEG),
        (b"No frames send.", Fault.NOT_JPEG),
        (b"\r\n" + SMALL, Fault.NOT_JPEG),
        (b"\xff\xd8\xff\xd9", Fault.TRUNCATED),
        (b"\xff\xd8\xff\xd9\x00\x00", Fault.NO_FRAME_HEADER),
        (b"\xff\xd8\x00" + SMALL[2:], Fault.BAD_MARKER),
        (b"\xff\xd8\xff\x01" + SMALL[2:], Fault.BAD_MARKER),
        (b"\xff\xd8\xff\xe0\x00\x01" + SMALL[2:], Fault.BAD_MARKER),
        (SMALL.replace(b"\xff\xc0\x00\x11", b"\xff\xe5\x00\x11"), Fault.NO_FRAME_HEADER),
        (SMALL.replace(b"\xff\xc0\x00\x11", b"\xff\xc3\x00\x11"), Fault.BAD_MARKER),
        (SMALL.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), Fault.NO_FRAME_HEADER),
    ],
)
def test_refusals(data: bytes, fault: Fault) -> None:
    assert fault_of(data) is fault


def test_a_second_frame_header_is_refused() -> None:
    at = sof_at(SMALL)
    assert fault_of(SMALL[: at + 19] + SMALL[at:]) is Fault.BAD_MARKER


@pytest.mark.parametrize("size", [(0, 60), (80, 0)])
def test_a_picture_without_area_is_refused(size: tuple[int, int]) -> None:
    at = sof_at(SMALL) + 5
    assert fault_of(SMALL[:at] + struct.pack(">HH", *size) + SMALL[at + 4 :]) is Fault.NO_FRAME_HEADER


def test_limits_come_from_the_header() -> None:
    at = sof_at(SMALL) + 5
    bomb = SMALL[:at] + struct.pack(">HH", 65_535, 65_535) + SMALL[at + 4 :]
    assert fault_of(bomb) is Fault.TOO_MANY_PIXELS
    assert fault_of(SMALL, max_pixels=80 * 60 - 1) is Fault.TOO_MANY_PIXELS
    assert Inspector(max_pixels=80 * 60, max_bytes=len(SMALL)).inspect(SMALL)[1] is SMALL
    assert fault_of(SMALL, max_bytes=len(SMALL) - 1) is Fault.TOO_MANY_BYTES


@pytest.mark.parametrize("marker", [0x01, 0xC0, 0xC4, 0xD8, 0xDB, 0xE1, 0xF7])
def test_markers_inside_a_baseline_scan(marker: int) -> None:
    at = len(SMALL) - 200
    damaged = SMALL[:at] + bytes((0xFF, marker, 0, 0)) + SMALL[at:]
    assert fault_of(damaged) in (Fault.BAD_MARKER, Fault.TRUNCATED)


def test_a_changed_header_is_read_anew() -> None:
    inspector = Inspector()
    sizes = [inspector.inspect(frame(name))[0].width_px for name in ("small-0", "small-1", "qvga", "small-0")]
    assert sizes == [80, 80, 320, 80]
    with pytest.raises(JpegError):
        inspector.inspect(b"junk")
    assert inspector.inspect(SMALL)[0].width_px == 80


def test_a_remembered_header_does_not_hide_a_fault() -> None:
    inspector = Inspector()
    offset = inspector.inspect(SMALL)[0].scan_offset
    with pytest.raises(JpegError):
        inspector.inspect(SMALL[:offset])


def test_a_comment_that_changes_is_no_changed_header() -> None:
    inspector = Inspector()
    headers = [inspector.inspect(with_segment(SMALL, 0xFE, b"at 12:00:%02d" % second))[0] for second in range(3)]
    assert headers[0] is headers[1] is headers[2]
    assert headers[0] == Inspector().inspect(with_segment(SMALL, 0xFE, b"at 12:00:00"))[0]
    longer = with_segment(SMALL, 0xFE, b"at 12:00:00 and a bit")
    assert inspector.inspect(longer)[0].scan_offset == headers[0].scan_offset + 10
    assert inspector.inspect(with_segment(frame("qvga"), 0xFE, b"at 12:00:03"))[0].width_px == 320


@pytest.mark.parametrize("length", [0, 1, 2, 3, 0x7FFF, 0xFFFF])
def test_a_comment_of_any_length_is_judged_as_without_memory(length: int) -> None:
    inspector = Inspector()
    inspector.inspect(with_segment(SMALL, 0xFE, b""))
    inspector.inspect(with_segment(SMALL, 0xFE, b"at 12:00:00"))
    claimed = b"\xff\xd8\xff\xfe" + length.to_bytes(2, "big") + SMALL[2:]
    try:
        expected = Inspector().inspect(claimed)[0]
    except JpegError as error:
        with pytest.raises(JpegError, match=error.fault):
            inspector.inspect(claimed)
    else:
        assert inspector.inspect(claimed)[0] == expected


def test_fill_bytes_before_markers() -> None:
    filled = SMALL[:2] + b"\xff\xff\xff" + SMALL[2:-2] + b"\xff\xff" + SMALL[-2:]
    assert Inspector().inspect(filled)[1] is filled
    verify_scan(filled)


def test_many_segments_are_walked() -> None:
    data = SMALL
    for number in range(200):
        data = with_segment(data, 0xE0 + number % 16, b"\xff\xd9" * 100)
    assert Inspector().inspect(data)[1] is data


def test_verify_scan() -> None:
    verify_scan(SMALL)
    for bad in (frame("corrupt"), SMALL[:-300] + b"\xff\xd9", b"\xff\xd8junk", b""):
        with pytest.raises(JpegError) as error:
            verify_scan(bad)
        assert error.value.fault is Fault.CORRUPT_SCAN


@pytest.mark.parametrize("name", ALL)
def test_end_finder_finds_the_same_end_byte_by_byte(name: str) -> None:
    data = b"before" + frame(name) + b"\xff\xd9 behind"
    end = 6 + find_end(frame(name), read_header(frame(name)).scan_offset)
    finder = EndFinder()
    for stop in range(6, end):
        assert finder.find(data, 6, stop) == -1
    assert finder.find(data, 6, end) == end
    assert EndFinder().find(bytearray(data), 6, len(data)) == end


@given(st.binary(max_size=300), st.integers(0, 1300), st.integers(0, 300))
def test_damage_raises_nothing_else(junk: bytes, at: int, cut: int) -> None:
    damaged = SMALL[:at] + junk + SMALL[at + cut :]
    try:
        header, picture = Inspector().inspect(damaged)
    except JpegError:
        return
    assert damaged.startswith(picture)
    assert picture.endswith(b"\xff\xd9")
    assert 0 < header.scan_offset < len(picture)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_end_finder_does_not_care_about_splits(junk: bytes, stops: list[int]) -> None:
    data = b"\xff\xd8" + junk
    whole = EndFinder().find(data, 0, len(data))
    finder = EndFinder()
    found = -1
    for stop in sorted({*(min(stop, len(data)) for stop in stops), len(data)}):
        found = finder.find(data, 0, stop)
        if found >= 0:
            break
    assert found == whole


def test_the_fast_path_is_fast() -> None:
    """Generous by a factor of twenty: this catches a scan in Python, not a slow machine."""
    data = SMALL[:-2] + bytes(range(1, 255)) * 75 + SMALL[-2:]
    inspector = Inspector()
    inspector.inspect(data)
    with at_most(2_000_000):
        for _ in range(200):
            inspector.inspect(data)


@pytest.mark.parametrize("piece", [b"\xff\xe0\x00\x02", b"\xff", b"\xff\xfe\x00\x03a"])
def test_a_million_segments_are_not_walked(piece: bytes) -> None:
    data = b"\xff\xd8" + piece * (4_000_000 // len(piece))
    with at_most(10_000_000):
        with pytest.raises(JpegError) as refusal:
            Inspector().inspect(data)
        finder = EndFinder()
        assert finder.find(data, 0, len(data)) == -1
        assert finder.find(data + b"\xff\xd9", 0, len(data) + 2) == len(data) + 2
    assert refusal.value.fault is Fault.BAD_MARKER


def test_segments_between_scans_are_not_walked_for_ever() -> None:
    scan = read_header(SMALL).scan_offset
    data = SMALL[:scan] + b"\x00" + b"\xff\xe0\x00\x02" * 500_000 + b"\xff\xd9"
    with pytest.raises(JpegError) as refusal:
        find_end(data, scan)
    assert refusal.value.fault is Fault.BAD_MARKER


def test_the_end_behind_too_many_segments_is_the_same_in_pieces() -> None:
    segment = b"\xff\xfe\x00\x04\xff\xd9"  # a comment that holds an end
    data = b"\xff\xd8" + segment * (MAX_SEGMENTS + 50) + b"\xff\xd9"
    end = EndFinder().find(data, 0, len(data))
    assert end < len(data), "beyond so many, whatever looks like an end is one"
    for step in (1, 2, 3, 5, 7):
        finder = EndFinder()
        stops = (min(stop, len(data)) for stop in range(step, len(data) + step, step))
        found = next(found for stop in stops if (found := finder.find(data, 0, stop)) >= 0)
        assert found == end
