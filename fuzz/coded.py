"""Targets for coded media: H.264, AAC, fragmented MP4, MPEG-TS, and what players of HLS ask for."""

from __future__ import annotations

from collections.abc import Hashable
from urllib.parse import parse_qsl

from framecast.core.packet import Format, Packet
from framecast.output.hls.parts import TsContainer
from framecast.output.hls.segments import Segmenter
from framecast.wire import aac, fmp4, h264, m3u8, mpegts
from fuzz.target import Target, require


def units(data: bytes) -> Hashable:
    """NAL units come out as they went in, whichever way they are written; parameter sets are read or refused."""
    found = h264.split(data)
    require(sum(map(len, found)) <= len(data), "more came out than went in")
    joined = h264.join(found)
    require(h264.split(joined) == found, "other units when joined and split again")
    sample = h264.to_avcc(joined, parameter_sets=True)
    kept = [unit for unit in found if h264.kind(unit) != h264.DELIMITER]
    require(h264.from_avcc(sample) == h264.join(kept), "other units in the sample")
    sets = h264.parameter_sets(data)
    said: Hashable = None
    if sets is not None:
        try:
            info = h264.parse_sps(sets.sps)
            require(0 < info.width_px <= h264.MAX_SIDE_PX, "a width nobody has")
            require(h264.parse_avcc(h264.avcc(sets)) == (sets, 4), "another configuration than was written")
            fmp4.init_segment(fmp4.VideoTrack(sets), None)
            said = (info.profile, info.width_px > 1000)
        except h264.H264Error as error:
            said = str(error)[:20]
    return (min(len(found), 5), h264.is_key(data), said)


def configuration(data: bytes) -> Hashable:
    """Only H264Error escapes from an avcC or a sample; what is read from an avcC is written again."""
    try:
        sets, length_bytes = h264.parse_avcc(data)
        written = str(length_bytes)
    except h264.H264Error as error:
        sets, written = None, str(error)[:12]
    try:
        size = len(h264.split(h264.from_avcc(data, 1 + len(data) % 4)))
    except h264.H264Error:
        size = -1
    try:
        info = h264.parse_sps(data).codec[:7]
    except h264.H264Error as error:
        info = str(error)[:12]
    if sets is not None:
        try:
            require(h264.parse_avcc(h264.avcc(sets)) == (sets, 4), "another configuration than was read")
        except h264.H264Error:
            info += "!"
    return (written, min(size, 3), info)


def sound(data: bytes) -> Hashable:
    """Frames of ADTS are those of the input, and are written as they were read."""
    try:
        config: Hashable = aac.parse_specific_config(data)
    except aac.AacError:
        config = None
    try:
        frames, first = aac.split_adts(data)
    except aac.AacError as error:
        return (config is None, str(error)[:12])
    require(sum(map(len, frames)) < len(data), "more came out than went in")
    again = b"".join(aac.adts(frame, first.sample_rate_hz, first.channels) for frame in frames)
    require(aac.split_adts(again)[0] == frames, "other frames when written again")
    return (len(frames), first.sample_rate_hz, first.channels)


def fragment(data: bytes) -> Hashable:
    """Only Mp4Error escapes; what is read is written so that it is read the same."""
    try:
        sequence, runs = fmp4.read_fragment(data)
    except fmp4.Mp4Error as error:
        return str(error)[:16]
    require(all(len(sample.data) <= len(data) for run in runs for sample in run.samples), "a sample too long")
    if sum(len(sample.data) for run in runs for sample in run.samples) <= len(data):
        require(fmp4.read_fragment(fmp4.fragment(sequence, runs)) == (sequence, runs), "another fragment when written")
    return (len(runs), sum(len(run.samples) for run in runs))


def transport(data: bytes) -> Hashable:
    """Whatever is muxed comes out in whole packets whose counters rise, the payload in them."""
    muxer = mpegts.Muxer((16_000, 1))
    size, heard = len(data), data[:1] > b"\xa0"
    made = [
        muxer.video(data[: size // 2], size * 977, key=size % 3 == 0),
        muxer.audio([data[:4000]], size * 977) if heard else b"",
        muxer.video(data[size // 2 :], size * 977 + 9000, key=True),
    ]
    counters: dict[int, int] = {}
    whole = b"".join(made)
    require(len(whole) % 188 == 0, "a packet is cut off")
    for at in range(0, len(whole), 188):
        pid, control = int.from_bytes(whole[at + 1 : at + 3], "big") & 0x1FFF, whole[at + 3]
        require(whole[at] == 0x47, "no packet")
        require(control & 0x30 != 0, "neither payload nor adaptation")
        if pid in counters:
            require(control & 15 == (counters[pid] + (control >> 4 & 1)) & 15, "a counter jumps")
        counters[pid] = control & 15
    require(len(mpegts.discontinuity(made[2])) == 4 * 188, "not every stream is named")
    try:
        mpegts.discontinuity(data)
    except mpegts.TsError:
        return (heard, len(whole) // 188 % 7)
    return "packets"


def _segmented() -> Segmenter:
    """Six seconds of a camera."""
    segmenter = Segmenter(TsContainer(), 1_790_000_000, lambda: None, lambda: None)
    for number in range(60):
        at_ns = 1_790_000_000_000_000_000 + number * 100_000_000
        key = number % 5 == 0
        segmenter.push(Packet(b"%d " % number, Format("mpegts"), number, number, 1, at_ns, at_ns, key))
    return segmenter


_segmenter = _segmented()


def hls(data: bytes) -> Hashable:
    """Only QueryError escapes from a query, and no name finds anything but what a playlist names."""
    text = data.decode("utf-8", "replace")
    found = _segmenter.find(text)
    playlist = m3u8.media_playlist(_segmenter.playlist())
    require(found is None or text in playlist or text.startswith(("seg-", "part-")), "a name that nobody was told")
    try:
        wanted = m3u8.wanted(dict(parse_qsl(text)))
    except m3u8.QueryError as error:
        return str(error)[-20:]
    if wanted is None:
        return found is not None
    has = _segmenter.has(wanted)
    require(wanted.sequence >= 0, "a number below zero")
    require(not has or wanted.sequence <= _segmenter.newest, "what is not there yet")
    return (has, wanted.part is None)


_START = (b"\x00\x00\x01", b"\x00\x00\x00\x01", b"\x00\x00\x03")
_NAL = (*_START, b"\x67", b"\x68", b"\x65\x88", b"\x41", b"\x09\xf0", b"\x06", b"\x00\x00\x00\x01\x67\x42\xc0\x1f")

TARGETS = (
    Target("h264", units, _NAL),
    Target("avcc", configuration, (b"\x01", b"\xe1", b"\x00\x04", b"\x67\x42\xc0\x1f", b"\x00\x00\x03", b"\xff\xff")),
    Target("aac", sound, (b"\xff\xf1", b"\xff\xf0", b"\x60\x40", b"\x14\x08", b"\x1f\xfc")),
    Target(
        "fmp4",
        fragment,
        (b"moof", b"mdat", b"traf", b"trun", b"tfhd", b"tfdt", b"\x00\x00\x00\x01", b"\x00\x00\x07\x01"),
    ),
    Target("hls", hls, (b"_HLS_msn=", b"_HLS_part=", b"&", b"1790000003", b"seg-", b"part-", b"-", b".ts", b"%31")),
    Target("mpegts", transport, (*_START, b"\x47", b"\x00\x00\x00\x01\x09\xf0"), per_byte_s=15e-6),
)
