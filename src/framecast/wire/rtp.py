"""RTP and RTCP as a WebRTC sender needs them: H.264 cut into packets, reports written, feedback read.

    H.264      RFC 6184, packetization mode 1: small NAL units together (STAP-A), one alone, or one in pieces (FU-A)
    sending    sender report, CNAME, BYE (RFC 3550); lost packets again under RTX (RFC 4588)
    feedback   receiver reports, NACK, PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb)

No I/O and no encryption.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from framecast.wire import h264

VIDEO_HZ = 90_000
SOUND_HZ = 48_000
MAX_PAYLOAD_BYTES = 1180
"""Of one packet: with RTP's and SRTP's share it stays below the 1,280 bytes that every path carries."""
MOST_LOST = 512
"""Lost packets that one RTCP packet may name; 1,372 bytes have room for 5,780. No sender here keeps more."""
STAP_A, FU_A = 24, 28
NTP_OFFSET_S = 2_208_988_800
"""From 1900 to 1970."""

_HEADER = struct.Struct(">BBHII")
_SENDER = struct.Struct(">BBHIQIII")
_WORDS = struct.Struct(">BBH")
_BLOCK = struct.Struct(">IB3sIIII")
_NACK = struct.Struct(">HH")


def h264_payloads(access_unit: bytes, most_bytes: int = MAX_PAYLOAD_BYTES) -> list[bytes]:
    """The payloads of the packets that carry an Annex B access unit. Delimiters are left out."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    held_bytes = 1

    def flush() -> None:
        nonlocal held_bytes
        if len(small) == 1:
            payloads.append(small[0])
        elif small:
            importance = max(unit[0] & 0x60 for unit in small)
            parts = [bytes((importance | STAP_A,))]
            for unit in small:
                parts += (len(unit).to_bytes(2, "big"), unit)
            payloads.append(b"".join(parts))
        small.clear()
        held_bytes = 1

    for unit in h264.split(access_unit):
        if h264.kind(unit) == h264.DELIMITER:
            continue
        if len(unit) > most_bytes:
            flush()
            payloads += _pieces(unit, most_bytes)
            continue
        if held_bytes + 2 + len(unit) > most_bytes:
            flush()
        small.append(unit)
        held_bytes += 2 + len(unit)
    flush()
    return payloads


def _pieces(unit: bytes, most_bytes: int) -> list[bytes]:
    indicator, kind = unit[0] & 0xE0 | FU_A, unit[0] & 0x1F
    body = len(unit) - 1
    count = -(-body // (most_bytes - 2))
    size = -(-body // count)  # of equal length: a tiny last packet costs as much as a full one
    pieces = []
    for index in range(count):
        flags = (0x80 if index == 0 else 0) | (0x40 if index == count - 1 else 0)
        begin = 1 + index * size
        pieces.append(bytes((indicator, flags | kind)) + unit[begin : begin + size])
    return pieces


def packet(payload_type: int, marker: bool, sequence: int, stamp: int, ssrc: int, payload: bytes) -> bytes:
    """One RTP packet."""
    return _HEADER.pack(0x80, payload_type | (0x80 if marker else 0), sequence, stamp, ssrc) + payload


def stamp_of(pts_ns: int, clock_hz: int) -> int:
    """The RTP time of a moment of our clock, before a sender's offset; 32 bits.

    Every stamp of every track follows from our clock alone, so a sender report may pair any moment with its stamp, and
    picture and sound of one capture instant are shown together.
    """
    return pts_ns * clock_hz // 1_000_000_000 & 0xFFFFFFFF


def ntp_of(unix_ns: int) -> int:
    """A moment as RTCP writes it: seconds since 1900 in 32.32 bits."""
    return ((unix_ns // 1_000_000_000 + NTP_OFFSET_S) << 32 | (unix_ns % 1_000_000_000 << 32) // 1_000_000_000) & (
        (1 << 64) - 1
    )


def sender_report(ssrc: int, unix_ns: int, stamp: int, packets: int, octets: int, cname: str) -> bytes:
    """A sender report and the CNAME that joins picture and sound."""
    report = _SENDER.pack(0x80, 200, 6, ssrc, ntp_of(unix_ns), stamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    name = cname.encode("ascii")
    chunk = struct.pack(">IBB", ssrc, 1, len(name)) + name
    chunk += b"\x00" * (4 - len(chunk) % 4)
    return report + _WORDS.pack(0x81, 202, len(chunk) // 4) + chunk


def bye(*ssrcs: int) -> bytes:
    """Says that these sources end."""
    return _WORDS.pack(0x80 | len(ssrcs), 203, len(ssrcs)) + struct.pack(f">{len(ssrcs)}I", *ssrcs)


@dataclass(frozen=True, slots=True)
class Report:
    """How one of our sources arrives.

    Attributes:
        lost: Share of packets lost since the report before, 0 to 1.
        jitter: In units of the source's clock.
        last_report: The middle 32 bits of the NTP time in the sender report that was seen last, 0 for none.
        delay: Since then, in 1/65,536 s.
    """

    ssrc: int
    lost: float
    jitter: int
    last_report: int
    delay: int


@dataclass(slots=True)
class Feedback:
    """What one compound RTCP packet says to a sender.

    Attributes:
        lost: Source and sequence number of each packet that is asked for again.
        key_wanted: Sources of which a picture is wanted that can be decoded alone.
        bitrate_bps: What the receiver thinks its path can carry (REMB).
        ended: Whether the peer says good-bye.
    """

    reports: list[Report] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    key_wanted: set[int] = field(default_factory=set)
    bitrate_bps: int | None = None
    ended: bool = False


def parse_feedback(data: bytes, most_lost: int = MOST_LOST) -> Feedback:
    """What a (decrypted) RTCP packet says; what can't be read ends the reading and harms nothing.

    Args:
        most_lost: Lost packets that are read, the first of those named.
    """
    found = Feedback()
    at = 0
    while at + 8 <= len(data):
        first, kind, words = _WORDS.unpack_from(data, at)
        end = at + 4 + words * 4
        if first >> 6 != 2 or end > len(data):
            break
        body = data[at + 4 : end]
        at = end
        count = first & 0x1F
        if kind in (200, 201):
            _reports(found, body[24:] if kind == 200 else body[4:], count)
        elif kind == 203:
            found.ended = True
        elif kind == 205 and count == 1:
            _nacks(found, body, most_lost)
        elif kind == 206 and len(body) >= 8:
            if count == 1:
                found.key_wanted.add(int.from_bytes(body[4:8], "big"))
            elif count == 4:
                found.key_wanted.update(int.from_bytes(body[i : i + 4], "big") for i in range(8, len(body) - 7, 8))
            elif count == 15 and body[8:12] == b"REMB" and len(body) >= 16:
                exponent, mantissa = body[13] >> 2, (body[13] & 3) << 16 | body[14] << 8 | body[15]
                found.bitrate_bps = mantissa << exponent
    return found


def _reports(found: Feedback, body: bytes, count: int) -> None:
    for index in range(min(count, len(body) // _BLOCK.size)):
        ssrc, share, _, _, jitter, last, delay = _BLOCK.unpack_from(body, index * _BLOCK.size)
        found.reports.append(Report(ssrc, share / 256, jitter, last, delay))


def _nacks(found: Feedback, body: bytes, most_lost: int) -> None:
    if len(body) < 8:
        return
    ssrc = int.from_bytes(body[4:8], "big")
    for at in range(8, len(body) - 3, 4):
        if len(found.lost) >= most_lost:
            break
        first, mask = _NACK.unpack_from(body, at)
        found.lost.append((ssrc, first))
        found.lost.extend((ssrc, (first + 1 + bit) & 0xFFFF) for bit in range(16) if mask >> bit & 1)
    del found.lost[most_lost:]
