"""H.264 as it travels: access units in Annex B, samples in AVCC, and what the parameter sets say.

    Annex B   00 00 00 01 NAL 00 00 00 01 NAL …     WebCodecs, MPEG-TS, RTP, and every `h264` track in here
    AVCC      u32 length NAL u32 length NAL …       samples of MP4, whose parameter sets stand in the `avcC` box

Nothing is decoded beyond the parameter sets. Sources: ITU-T H.264, 7.3 and Annex B; ISO/IEC 14496-15, 5.3.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

START_CODE = b"\x00\x00\x00\x01"
AUD = START_CODE + b"\x09\xf0"
"""An access unit delimiter that allows every kind of slice."""

SLICE, IDR, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9
"""Types of NAL units that are told apart in here."""

MAX_SPS_BYTES = 1024
MAX_SIDE_PX = 16_384
_OUT_OF_BAND = frozenset((SPS, PPS, DELIMITER))
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_CHROMA_UNIT = {1: (2, 2), 2: (2, 1), 3: (1, 1)}


class H264Error(ValueError):
    """These bytes are no H.264 that can be passed on."""


class ParameterSets(NamedTuple):
    """What a decoder needs before the first picture: NAL units without start codes."""

    sps: bytes
    pps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SpsInfo:
    """What a sequence parameter set says.

    Attributes:
        profile: profile_idc: 66 baseline, 77 main, 100 high.
        constraints: The byte of constraint flags.
        level: level_idc: 31 is level 3.1.
        width_px: Of the picture as shown, after cropping.
        height_px: Of the picture as shown, after cropping.
    """

    profile: int
    constraints: int
    level: int
    width_px: int
    height_px: int

    @property
    def codec(self) -> str:
        """The name for MSE, WebCodecs and HLS: ``avc1.42C01F`` (RFC 6381)."""
        return f"avc1.{self.profile:02X}{self.constraints:02X}{self.level:02X}"


def split(data: bytes) -> list[bytes]:
    """The NAL units of Annex B bytes, without start codes; start codes of three bytes and of four are read."""
    found: list[bytes] = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\x00\x00\x01", begin)
        # A unit never ends in a zero byte: what stands there belongs to the next start code, or is padding.
        unit = (data[begin:at] if at >= 0 else data[begin:]).rstrip(b"\x00")
        if unit:
            found.append(unit)
    return found


def join(units: Iterable[bytes]) -> bytes:
    """NAL units as Annex B with start codes of four bytes."""
    return b"".join(START_CODE + unit for unit in units)


def kind(unit: bytes) -> int:
    """The type of a NAL unit (nal_unit_type)."""
    return unit[0] & 0x1F


def is_key(access_unit: bytes) -> bool:
    """Whether an Annex B access unit holds an IDR picture: decoding can begin there.

    Looks no further than the first slice, so that an ordinary access unit costs a few hundred nanoseconds.
    """
    at = access_unit.find(b"\x00\x00\x01")
    while 0 <= at < len(access_unit) - 3:
        unit = access_unit[at + 3] & 0x1F
        if SLICE <= unit <= IDR:
            return unit == IDR
        at = access_unit.find(b"\x00\x00\x01", at + 3)
    return False


def parameter_sets(access_unit: bytes) -> ParameterSets | None:
    """The parameter sets inside an Annex B access unit (or extradata); None when either kind is missing."""
    units = split(access_unit)
    sps = next((unit for unit in units if kind(unit) == SPS), None)
    pps = tuple(dict.fromkeys(unit for unit in units if kind(unit) == PPS))
    return ParameterSets(sps, pps) if sps is not None and pps else None


def to_avcc(access_unit: bytes, *, parameter_sets: bool = False) -> bytes:
    """An Annex B access unit as a sample of MP4: each NAL unit behind its length in four bytes.

    Delimiters are left out, and so are parameter sets unless ``parameter_sets``: under ``avc1`` they stand in the
    init segment alone.
    """
    out = []
    for unit in split(access_unit):
        if kind(unit) in _OUT_OF_BAND and not (parameter_sets and kind(unit) != DELIMITER):
            continue
        out.append(len(unit).to_bytes(4, "big"))
        out.append(unit)
    return b"".join(out)


def from_avcc(sample: bytes, length_bytes: int = 4) -> bytes:
    """A sample of MP4 as Annex B.

    Raises:
        H264Error: The lengths do not add up to the sample.
    """
    out = []
    at, size = 0, len(sample)
    while at < size:
        begin = at + length_bytes
        at = begin + int.from_bytes(sample[at:begin], "big")
        if begin > size or at > size:
            raise H264Error(f"a NAL unit reaches to byte {at} of a sample of {size}")
        if at > begin:
            out.append(START_CODE)
            out.append(sample[begin:at])
    return b"".join(out)


def avcc(sets: ParameterSets) -> bytes:
    """The body of the ``avcC`` box (AVCDecoderConfigurationRecord), also WebCodecs' ``description``.

    Raises:
        H264Error: The parameter sets are too short, too long or too many to be written down.
    """
    sps, pps = sets
    if len(sps) < 4 or len(pps) > 255 or max(map(len, (sps, *pps))) > 0xFFFF:
        raise H264Error("parameter sets that fit no avcC")
    out = [b"\x01", sps[1:4], b"\xff\xe1", len(sps).to_bytes(2, "big"), sps, bytes((len(pps),))]
    for unit in pps:
        out += (len(unit).to_bytes(2, "big"), unit)
    if sps[1] in _HIGH_PROFILES:
        info = _read_sps(sps)
        chroma, luma_bits, chroma_bits = info[1:]
        out.append(bytes((0xFC | chroma, 0xF8 | luma_bits, 0xF8 | chroma_bits, 0)))
    return b"".join(out)


def parse_avcc(body: bytes) -> tuple[ParameterSets, int]:
    """The parameter sets of an ``avcC`` body, and how many bytes the lengths in its samples have.

    Raises:
        H264Error: It is none, or holds no parameter sets.
    """
    if len(body) < 7 or body[0] != 1:
        raise H264Error("no avcC")
    length_bytes = (body[4] & 3) + 1
    at = 5
    read: list[list[bytes]] = []
    for mask in (0x1F, 0xFF):
        if at >= len(body):
            raise H264Error("the avcC ends early")
        count = body[at] & mask
        at += 1
        units = []
        for _ in range(count):
            end = at + 2 + int.from_bytes(body[at : at + 2], "big")
            if end > len(body):
                raise H264Error("the avcC ends early")
            units.append(body[at + 2 : end])
            at = end
        read.append([unit for unit in units if unit])
    if not read[0] or not read[1]:
        raise H264Error("an avcC without parameter sets")
    return ParameterSets(read[0][0], tuple(read[1])), length_bytes


def parse_sps(sps: bytes) -> SpsInfo:
    """What a sequence parameter set (a NAL unit without start code) says.

    Raises:
        H264Error: It is none, ends early, or names a size nobody has.
    """
    return _read_sps(sps)[0]


class _Bits:
    """Reads a NAL unit's payload bit by bit, emulation prevention taken out."""

    def __init__(self, unit: bytes) -> None:
        data = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def u(self, bits: int) -> int:
        """A number of so many bits."""
        self._left -= bits
        if self._left < 0:
            raise H264Error("the parameter set ends early")
        return self._value >> self._left & ((1 << bits) - 1)

    def ue(self) -> int:
        """An Exp-Golomb number (9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise H264Error("a number of more than 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb number (9.1.1)."""
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _read_sps(sps: bytes) -> tuple[SpsInfo, int, int, int]:
    """The info, chroma_format_idc, and the bit depths of luma and chroma less 8 (7.3.2.1.1)."""
    if not 4 <= len(sps) <= MAX_SPS_BYTES or kind(sps) != SPS:
        raise H264Error("no sequence parameter set")
    bits = _Bits(sps)
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    bits.ue()  # seq_parameter_set_id
    chroma, separate, luma_bits, chroma_bits = 1, 0, 0, 0
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma > 3:
            raise H264Error(f"chroma format {chroma}")
        separate = bits.u(1) if chroma == 3 else 0
        luma_bits, chroma_bits = bits.ue(), bits.ue()
        if luma_bits > 6 or chroma_bits > 6:
            raise H264Error("more than 14 bits a sample")
        bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise H264Error(f"a picture order cycle of {cycle}")
        for _ in range(cycle):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.u(1)
    height = map_units * 16 * (2 - frame_only)
    if not frame_only:
        bits.u(1)
    bits.u(1)  # direct_8x8_inference_flag
    if bits.u(1):
        across, down = _CHROMA_UNIT.get(0 if separate else chroma, (1, 1))
        down *= 2 - frame_only
        width -= (bits.ue() + bits.ue()) * across
        height -= (bits.ue() + bits.ue()) * down
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise H264Error(f"a picture of {width} x {height} px")
    return SpsInfo(profile, constraints, level, width, height), chroma, luma_bits, chroma_bits
