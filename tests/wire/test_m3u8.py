from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import m3u8
from framecast.wire.m3u8 import Part, Playlist, QueryError, Segment, Wanted

AT = 1_790_000_000_123_456_789


def segment(
    number: int, *, parts: int = 2, init: str = "init.mp4", discontinuous: bool = False, done: bool = True
) -> Segment:
    made = [Part(f"p{number}.{index}.m4s", 0.5, index == 0) for index in range(parts)]
    return Segment(f"s{number}.m4s" if done else "", 0.5 * parts, AT, init, made, discontinuous)


def test_a_media_playlist_to_the_letter() -> None:
    playlist = Playlist([segment(7), segment(8, parts=1, done=False)], 7, 0, 2, 0.5, "p8.1.m4s")
    assert m3u8.media_playlist(playlist) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500\n"
        "#EXT-X-PART-INF:PART-TARGET=0.500\n"
        "#EXT-X-MEDIA-SEQUENCE:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.123Z\n"
        '#EXT-X-PART:DURATION=0.50000,URI="p7.0.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.50000,URI="p7.1.m4s"\n'
        "#EXTINF:1.00000,\n"
        "s7.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.123Z\n"
        '#EXT-X-PART:DURATION=0.50000,URI="p8.0.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p8.1.m4s"\n'
    )


def test_parts_are_listed_near_the_end_only() -> None:
    playlist = Playlist([segment(number, parts=4) for number in range(10)], 0, 0, 2, 0.5, "x")
    lines = m3u8.media_playlist(playlist).splitlines()
    parts = [line for line in lines if line.startswith("#EXT-X-PART:")]
    assert len(parts) == 3 * 4  # three target durations of 2 s
    assert '"p7.0.m4s"' in parts[0]
    assert sum(line.startswith("#EXTINF") for line in lines) == 10


def test_another_init_segment_and_a_discontinuity() -> None:
    segments = [segment(3), segment(4, init="b.mp4", discontinuous=True), segment(5, init="b.mp4")]
    text = m3u8.media_playlist(Playlist(segments, 3, 4, 2, 0.5, "x"))
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:4\n" in text
    assert text.count("#EXT-X-MAP") == 2
    assert 's3.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="b.mp4"\n' in text


def test_segments_that_need_no_init_segment() -> None:
    assert "MAP" not in m3u8.media_playlist(Playlist([segment(3, init="")], 3, 0, 2, 0.5, "x"))


def test_each_uri_carries_the_suffix() -> None:
    text = m3u8.media_playlist(Playlist([segment(1), segment(2, done=False)], 1, 0, 2, 0.5, "h.m4s"), "?key=a%22")
    names = [line for line in text.splitlines() if ".m" in line]
    assert len(names) == 7
    assert all(".m4s?key=a%22" in name or ".mp4?key=a%22" in name for name in names)


def test_the_index() -> None:
    assert m3u8.index(
        "stream.m3u8", codecs="avc1.42C01F,mp4a.40.2", bandwidth=900, width_px=640, height_px=480, fps=25, suffix="?a=b"
    ) == (
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=900,CODECS="avc1.42C01F,mp4a.40.2",RESOLUTION=640x480,FRAME-RATE=25.000\n'
        "stream.m3u8?a=b\n"
    )
    assert "RESOLUTION" not in m3u8.index("x", codecs="a", bandwidth=1)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, None),
        ({"x": "1"}, None),
        ({"_HLS_msn": "7"}, Wanted(7, None)),
        ({"_HLS_msn": "7", "_HLS_part": "0"}, Wanted(7, 0)),
    ],
)
def test_what_is_asked_for(query: dict[str, str], found: Wanted | None) -> None:
    assert m3u8.wanted(query) == found


@pytest.mark.parametrize(
    "query",
    [
        {"_HLS_part": "0"},
        {"_HLS_msn": ""},
        {"_HLS_msn": "-1"},
        {"_HLS_msn": "1.5"},
        {"_HLS_msn": "9" * 16},
        {"_HLS_msn": "1", "_HLS_part": "x"},
        {"_HLS_msn": "٣"},
    ],
)
def test_what_nobody_can_ask_for(query: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        m3u8.wanted(query)


@given(st.dictionaries(st.sampled_from(("_HLS_msn", "_HLS_part", "width")), st.text(max_size=20)))
def test_any_query(query: dict[str, str]) -> None:
    try:
        found = m3u8.wanted(query)
    except QueryError:
        return
    assert found is None or (found.sequence >= 0 and (found.part is None or found.part >= 0))


def test_a_time() -> None:
    assert m3u8.date_time(999_000_000) == "1970-01-01T00:00:00.999Z"
    assert m3u8.date_time(AT) == "2026-09-21T14:13:20.123Z"
