"""Fragmented MP4: an init segment once, then one `moof` + `mdat` for each picture, part or second.

    init segment    ftyp moov(mvhd trak… mvex(trex…))
    fragment        moof(mfhd traf(tfhd tfdt trun)…) mdat

Nothing is left to defaults: each sample carries its duration, size and flags, `tfdt` has 64 bits, offsets count from
the `moof` they stand in. So any fragment with a key frame can be the first one a player gets, and fragments joined end
to end are a file. Sources: ISO/IEC 14496-12, 8.8; 14496-14, 5.6; 14496-15, 5.4; "Encapsulation of Opus in ISO BMFF",
4.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from framecast.wire import aac, h264

VIDEO_TIMESCALE = 90_000
VIDEO_ID, AUDIO_ID = 1, 2
OPUS_RATE_HZ = 48_000
OPUS_PRE_SKIP = 312
"""Samples at 48 kHz that libopus puts in front at its usual settings."""

_SYNC, _NOT_SYNC = 0x02000000, 0x01010000
_IS_NOT_SYNC = 0x00010000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDEFINED = b"\x55\xc4"  # language "und"
_TFHD = struct.pack(">II", 16, 0x74666864) + b"\x00\x02\x00\x00"  # default-base-is-moof
_RUN_FLAGS = 0x000701  # offset; duration, size and flags of each sample
_RUN_SHIFTED_FLAGS = _RUN_FLAGS | 0x800 | 1 << 24  # version 1: shifts have a sign


class Mp4Error(ValueError):
    """These bytes are no fragment, or these values fit none."""


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """H.264, as its parameter sets say (`h264.parameter_sets`)."""

    sets: h264.ParameterSets
    track_id: int = VIDEO_ID
    timescale: int = VIDEO_TIMESCALE

    @property
    def codec(self) -> str:
        """The name for `mime`."""
        return h264.parse_sps(self.sets.sps).codec


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Sound; `codec` is FFmpeg's name, `aac` or `opus`. Times count in samples (of 48 kHz for Opus)."""

    codec: str
    sample_rate_hz: int
    channels: int
    track_id: int = AUDIO_ID

    @property
    def timescale(self) -> int:
        """Ticks in a second."""
        return OPUS_RATE_HZ if self.codec == "opus" else self.sample_rate_hz


class Sample(NamedTuple):
    """One picture (AVCC, see `h264.to_avcc`) or frame of sound; duration and shift count in its track's timescale."""

    data: bytes
    duration: int
    key: bool = True
    shift: int = 0
    """How much later than it is decoded it is shown; pictures without B-frames need none."""


class TrackRun(NamedTuple):
    """Samples of one track that follow one another; `decode_time` is the first one's, in the track's timescale."""

    track_id: int
    decode_time: int
    samples: Sequence[Sample]


class Box(NamedTuple):
    """A box: its type, and where its body stands."""

    kind: bytes
    start: int
    end: int


def ticks(time_ns: int, timescale: int) -> int:
    """A time in ticks, rounded to the nearest."""
    return (time_ns * timescale + 500_000_000) // 1_000_000_000


def mime(video: VideoTrack | None, audio: AudioTrack | None) -> str:
    """What MSE's `isTypeSupported` wants to hear: `video/mp4; codecs="avc1.42C01F, mp4a.40.2"`."""
    names = [] if video is None else [video.codec]
    if audio is not None:
        names.append("opus" if audio.codec == "opus" else aac.CODEC)
    return f'{"video" if video else "audio"}/mp4; codecs="{", ".join(names)}"'


def init_segment(video: VideoTrack | None, audio: AudioTrack | None) -> bytes:
    """What stands in front of the fragments of these tracks.

    Raises:
        h264.H264Error: The parameter sets can't be read.
        aac.AacError: AAC has no such rate or layout.
        Mp4Error: Neither track, another codec, or more channels than fit.
    """
    traks: list[bytes] = []
    trexs: list[bytes] = []
    if video is not None:
        traks.append(_video_trak(video))
        trexs.append(_trex(video.track_id))
    if audio is not None:
        traks.append(_audio_trak(audio))
        trexs.append(_trex(audio.track_id))
    if not traks:
        raise Mp4Error("an init segment needs a track")
    next_id = 1 + max(track.track_id for track in (video, audio) if track is not None)
    rate = struct.pack(">IIIIIHHQ", 0, 0, 1000, 0, 0x10000, 0x100, 0, 0)
    mvhd = _full(b"mvhd", 0, 0, rate, _MATRIX, bytes(24), struct.pack(">I", next_id))
    return _box(b"ftyp", b"iso6\x00\x00\x00\x00iso6iso5mp41") + _box(b"moov", mvhd, *traks, _box(b"mvex", *trexs))


def fragment(sequence: int, runs: Sequence[TrackRun]) -> bytes:
    """A `moof` and its `mdat`; the samples' bytes stand in the order of the runs.

    Args:
        sequence: Rises from fragment to fragment of a stream; wraps at 32 bits.
        runs: One per track, none empty.

    Raises:
        Mp4Error: No runs, an empty one, or a time or size that fits no field.
    """
    if not runs or not all(run.samples for run in runs):
        raise Mp4Error("a fragment needs samples")
    shifted = [any(sample.shift for sample in run.samples) for run in runs]
    sizes = [
        8 + 16 + 20 + 20 + len(run.samples) * (16 if shift else 12) for run, shift in zip(runs, shifted, strict=True)
    ]
    moof_bytes = 8 + 16 + sum(sizes)
    data_at = moof_bytes + 8
    out = [struct.pack(">I4sI4sII", moof_bytes, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF)]
    data: list[bytes] = []
    try:
        for run, size, shift in zip(runs, sizes, shifted, strict=True):
            out.append(struct.pack(">I4s", size, b"traf") + _TFHD + struct.pack(">I", run.track_id))
            out.append(struct.pack(">I4sIQ", 20, b"tfdt", 1 << 24, run.decode_time))
            flags = _RUN_SHIFTED_FLAGS if shift else _RUN_FLAGS
            out.append(struct.pack(">I4sIII", size - 44, b"trun", flags, len(run.samples), data_at))
            for sample in run.samples:
                row = (sample.duration, len(sample.data), _SYNC if sample.key else _NOT_SYNC)
                out.append(struct.pack(">IIIi", *row, sample.shift) if shift else struct.pack(">III", *row))
                data.append(sample.data)
                data_at += len(sample.data)
        out.append(struct.pack(">I4s", data_at - moof_bytes, b"mdat"))
    except struct.error as error:
        raise Mp4Error(f"no room in the fragment: {error}") from None
    return b"".join(out + data)


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two offsets, those inside them not taken apart.

    Raises:
        Mp4Error: A box is shorter than its head or reaches over the end.
    """
    end = len(data) if end is None else end
    at = start
    while at < end:
        head = 8
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if size < head or at + size > end:
            raise Mp4Error(f"the box at byte {at} does not fit")
        yield Box(data[at + 4 : at + 8], at + head, at + size)
        at += size


def read_fragment(data: bytes) -> tuple[int, list[TrackRun]]:
    """The sequence number and the runs of a fragment as `fragment` writes it.

    Raises:
        Mp4Error: It is none, or is written in a way that needs defaults of the init segment.
    """
    sequence, runs = -1, []
    for outer in boxes(data):
        if outer.kind != b"moof":
            continue
        for box in boxes(data, outer.start, outer.end):
            if box.kind == b"mfhd":
                sequence = _number(data, box, 4, 4)
            elif box.kind == b"traf":
                runs.append(_read_run(data, box, outer.start - 8))
    if sequence < 0 or not runs:
        raise Mp4Error("no fragment")
    return sequence, runs


def _number(data: bytes, box: Box, offset: int, size: int) -> int:
    if box.start + offset + size > box.end:
        raise Mp4Error(f"the box {box.kind!r} ends early")
    return int.from_bytes(data[box.start + offset : box.start + offset + size], "big")


def _read_run(data: bytes, traf: Box, moof_at: int) -> TrackRun:
    inner = {box.kind: box for box in boxes(data, traf.start, traf.end)}
    try:
        tfhd, tfdt, trun = inner[b"tfhd"], inner[b"tfdt"], inner[b"trun"]
    except KeyError as error:
        raise Mp4Error(f"no {error} in the fragment") from None
    if _number(data, tfhd, 0, 4) != 0x020000 or _number(data, tfdt, 0, 1) != 1:
        raise Mp4Error("a fragment that needs defaults, or with short times")
    flags = _number(data, trun, 0, 4)
    if flags not in (_RUN_FLAGS, _RUN_SHIFTED_FLAGS):
        raise Mp4Error(f"a run with flags {flags:#x}")
    row = 16 if flags == _RUN_SHIFTED_FLAGS else 12
    count = _number(data, trun, 4, 4)
    if trun.start + 12 + count * row != trun.end or not count:
        raise Mp4Error(f"a run of {count} samples in {trun.end - trun.start} bytes")
    at = moof_at + _number(data, trun, 8, 4)
    samples = []
    for place in range(trun.start + 12, trun.end, row):
        duration, size, sync = struct.unpack_from(">III", data, place)
        shift = struct.unpack_from(">i", data, place + 12)[0] if row == 16 else 0
        if at + size > len(data):
            raise Mp4Error("samples reach over the end")
        samples.append(Sample(data[at : at + size], duration, not sync & _IS_NOT_SYNC, shift))
        at += size
    return TrackRun(_number(data, tfhd, 4, 4), _number(data, tfdt, 4, 8), samples)


def _box(kind: bytes, *bodies: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, bodies)), kind) + b"".join(bodies)


def _full(kind: bytes, version: int, flags: int, *bodies: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *bodies)


def _trex(track_id: int) -> bytes:
    return _full(b"trex", 0, 0, struct.pack(">IIIII", track_id, 1, 0, 0, 0))


def _video_trak(video: VideoTrack) -> bytes:
    info = h264.parse_sps(video.sets.sps)
    entry = _box(
        b"avc1",
        struct.pack(">6xHHHIIIHH", 1, 0, 0, 0, 0, 0, info.width_px, info.height_px),
        struct.pack(">IIIH32sHh", 0x480000, 0x480000, 0, 1, b"", 24, -1),
        _box(b"avcC", h264.avcc(video.sets)),
    )
    size = struct.pack(">II", info.width_px << 16, info.height_px << 16)
    header = _full(b"vmhd", 0, 1, bytes(8))
    return _trak(video.track_id, video.timescale, b"vide", b"Video", header, entry, 0, size)


def _audio_trak(audio: AudioTrack) -> bytes:
    if audio.codec == "aac":
        name, setup = b"mp4a", _esds(aac.specific_config(audio.sample_rate_hz, audio.channels))
    elif audio.codec == "opus" and 1 <= audio.channels <= 2:
        body = struct.pack(">BBHIhB", 0, audio.channels, OPUS_PRE_SKIP, audio.sample_rate_hz, 0, 0)
        name, setup = b"Opus", _box(b"dOps", body)
    else:
        raise Mp4Error(f"{audio.codec} of {audio.channels} channels has no place in here")
    rate = audio.timescale if audio.timescale <= 0xFFFF else 0
    entry = _box(name, struct.pack(">6xHQHHII", 1, 0, audio.channels, 16, 0, rate << 16), setup)
    return _trak(
        audio.track_id, audio.timescale, b"soun", b"Sound", _full(b"smhd", 0, 0, bytes(4)), entry, 0x100, bytes(8)
    )


def _trak(
    track_id: int, timescale: int, handler: bytes, name: bytes, header: bytes, entry: bytes, volume: int, size: bytes
) -> bytes:
    tkhd = struct.pack(">IIIIIQHHHH", 0, 0, track_id, 0, 0, 0, 0, 0, volume, 0)
    tables = [_full(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")]
    tables.insert(2, _full(b"stsz", 0, 0, bytes(8)))
    stsd = _full(b"stsd", 0, 0, struct.pack(">I", 1), entry)
    dinf = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    return _box(
        b"trak",
        _full(b"tkhd", 0, 3, tkhd, _MATRIX, size),  # enabled, in the movie
        _box(
            b"mdia",
            _full(b"mdhd", 0, 0, struct.pack(">IIII", 0, 0, timescale, 0), _UNDEFINED, bytes(2)),
            _full(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name, b"\x00"),
            _box(b"minf", header, dinf, _box(b"stbl", stsd, *tables)),
        ),
    )


def _esds(config: bytes) -> bytes:
    """The descriptors of MPEG-4 Systems (14496-1, 7.2.6), each with a length of one byte."""
    specific = bytes((5, len(config))) + config
    decoder = bytes((4, 13 + len(specific), 0x40, 0x15)) + bytes(3 + 4 + 4) + specific
    stream = bytes((3, 3 + len(decoder) + 3)) + bytes(3) + decoder + b"\x06\x01\x02"
    return _full(b"esds", 0, 0, stream)
