"""An encoder's access units as all H.264 tracks carry them."""

from __future__ import annotations

import re
from fractions import Fraction

from framecast.wire import h264

TICKS_HZ = 90_000
_DROPPED = frozenset({h264.SEI, h264.DELIMITER})
_EMULATION = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def tidy(access_unit: bytes, fps: Fraction) -> bytes:
    """``access_unit`` in Annex B with start codes of four bytes, without what no viewer needs, its rate left open.

    x264 told to expect a variable rate holds back one picture; told not to, it writes into the stream that pictures
    come at exactly ``fps``, which is not true.
    """
    units = [unit for unit in h264.split(access_unit) if h264.kind(unit) not in _DROPPED]
    return h264.join(open_rate(unit, fps) if h264.kind(unit) == h264.SPS else unit for unit in units)


def open_rate(sps: bytes, fps: Fraction) -> bytes:
    """``sps`` with a tick of 1/90,000 s and no fixed rate in place of ``fps``; as it is when it says something else.

    The fields keep their lengths (E.1.1: num_units_in_tick, time_scale, fixed_frame_rate_flag), so the rest stays.
    """
    plain = sps.replace(b"\x00\x00\x03", b"\x00\x00")
    bits = f"{int.from_bytes(plain):0{len(plain) * 8}b}"
    said = f"1{fps.denominator:032b}{2 * fps.numerator:032b}1"
    if bits.count(said) != 1:
        return sps
    bits = bits.replace(said, f"1{1:032b}{2 * TICKS_HZ:032b}0")
    return _EMULATION.sub(b"\x00\x00\x03", int(bits, 2).to_bytes(len(plain)))
