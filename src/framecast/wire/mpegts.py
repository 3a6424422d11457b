"""MPEG-TS with H.264 and AAC, made once for all viewers.

    packet, 188 bytes   47 | unit start, PID | adaptation, counter | (adaptation field) | payload
    PAT 0x0000 -> PMT 0x1000 -> video 0x0100 (carries the clock, PCR), sound 0x0101

One `Muxer` makes one stream. Each call gives whole packets, the same for everybody; what begins with a key frame begins
with the tables and names every PID, so that a newcomer can be given the stream from there. Who missed something gets
what `discontinuity` makes of the next such unit in front of it, and the counters that jump are then no error.

Source: ISO/IEC 13818-1 (ITU-T H.222.0), 2.4.3 (packets, PES), 2.4.4 (tables), 2.7.2 (a clock each 100 ms), 2.14.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from framecast.wire import aac, h264

PACKET_BYTES = 188
CLOCK_HZ = 90_000
PMT_PID, VIDEO_PID, AUDIO_PID = 0x1000, 0x0100, 0x0101
TABLES_EVERY = CLOCK_HZ // 10
"""The tables are repeated after so many ticks, 100 ms."""
CLOCK_LEAD = CLOCK_HZ // 5
"""So long after its clock a picture is due, 200 ms: sound is coded in longer pieces and comes later."""

_PAYLOAD_BYTES = PACKET_BYTES - 4
_SYNC = 0x47
_WRAP = (1 << 33) - 1
_H264_TYPE, _AAC_TYPE = 0x1B, 0x0F
_VIDEO_ID, _AUDIO_ID = 0xE0, 0xC0
_UNIT_START, _ADAPTATION, _PAYLOAD = 0x40, 0x20, 0x10
_DISCONTINUITY, _RANDOM_ACCESS, _HAS_PCR = 0x80, 0x40, 0x10


class TsError(ValueError):
    """These bytes are no transport stream, or these values fit none."""


class Muxer:
    """Makes one transport stream.

    Args:
        audio: The sample rate in Hz and the number of channels of the AAC that comes along; None without sound.
        version: Of the table of streams, to be raised when a stream goes on with others than before.

    Raises:
        aac.AacError: ADTS has no such rate or layout.
    """

    def __init__(self, audio: tuple[int, int] | None = None, *, version: int = 0) -> None:
        if audio is not None:
            aac.adts(b"", *audio)
        self._audio = audio
        pids = (0, PMT_PID, VIDEO_PID) if audio is None else (0, PMT_PID, VIDEO_PID, AUDIO_PID)
        self._counters = dict.fromkeys(pids, 15)
        self._broken: set[int] = set()
        self._tables_at: int | None = None
        self._pat = _pat(version)
        self._pmt = _pmt(version, with_audio=audio is not None)

    def break_off(self) -> None:
        """What comes next does not follow what came before: the next packet of each PID says so."""
        self._broken = set(self._counters)
        self._tables_at = None

    def video(self, access_unit: bytes, pts: int, *, key: bool) -> bytes:
        """The packets of one Annex B access unit; a delimiter is put in front where it has none.

        Args:
            access_unit: With its parameter sets in front of an IDR picture.
            pts: When it is shown, in ticks of 90 kHz; what is above 33 bits is cut off.
            key: Whether decoding can begin here.
        """
        begin = access_unit.find(b"\x00\x00\x01", 0, 5) + 3
        if access_unit[begin : begin + 1] not in (b"\x09", b"\x29", b"\x49", b"\x69"):
            access_unit = h264.AUD + access_unit
        clock = (pts - CLOCK_LEAD) & _WRAP
        out: list[bytes] = []
        since = self._tables_at
        if key or since is None or (clock - since) & _WRAP >= TABLES_EVERY:
            self._tables_at = clock
            out += (self._table(0, self._pat), self._table(PMT_PID, self._pmt))
            if key and self._audio is not None:  # a packet without payload, which says where the sound's counter is
                out.append(_empty(AUDIO_PID, self._counters[AUDIO_PID], self._flags(AUDIO_PID)))
        # The clock goes with every picture, for pictures may come more slowly than it has to.
        field = bytes((self._flags(VIDEO_PID) | _HAS_PCR | (_RANDOM_ACCESS if key else 0),)) + _pcr(clock)
        out += self._packets(VIDEO_PID, _pes(_VIDEO_ID, access_unit, pts), field)
        return b"".join(out)

    def audio(self, frames: Sequence[bytes], pts: int) -> bytes:
        """The packets of raw AAC frames that follow one another; `pts` is the first one's, in ticks of 90 kHz.

        Raises:
            TsError: The stream has no sound, or these are none, or more than a PES packet holds (64 KB).
            aac.AacError: A frame is too long.
        """
        if self._audio is None:
            raise TsError("a stream without sound")
        payload = b"".join([aac.adts(frame, *self._audio) for frame in frames])
        if not 0 < len(payload) <= 0xFFFF - 8:
            raise TsError(f"{len(payload)} bytes of sound in one piece")
        flags = self._flags(AUDIO_PID)
        return b"".join(self._packets(AUDIO_PID, _pes(_AUDIO_ID, payload, pts), bytes((flags,)) if flags else b""))

    def _flags(self, pid: int) -> int:
        if pid in self._broken:
            self._broken.discard(pid)
            return _DISCONTINUITY
        return 0

    def _table(self, pid: int, section: bytes) -> bytes:
        """A section that fits one packet, the rest of which is stuffed behind it (2.4.4)."""
        counter = self._counters[pid] = (self._counters[pid] + 1) & 15
        flags = self._flags(pid)
        field = bytes((1, flags)) if flags else b""
        head = bytes((_SYNC, _UNIT_START | pid >> 8, pid & 0xFF, _PAYLOAD | (_ADAPTATION if field else 0) | counter))
        return (head + field + b"\x00" + section).ljust(PACKET_BYTES, b"\xff")

    def _packets(self, pid: int, payload: bytes, field: bytes) -> Iterator[bytes]:
        """The payload in packets of one PID: `field` goes with the first one, what the last one lacks is stuffed."""
        counter = self._counters[pid]
        start = _UNIT_START
        at, size = 0, len(payload)
        while at < size:
            counter = (counter + 1) & 15
            room = _PAYLOAD_BYTES - (1 + len(field) if field else 0)
            lack = room - (size - at)
            adaptation = b""
            if lack > 0:
                room -= lack
                # A field of one byte is its length alone; a longer one begins with the flags.
                body = field + b"\xff" * lack if field else (b"\x00" + b"\xff" * (lack - 2))[: lack - 1]
                adaptation = bytes((len(body),)) + body
            elif field:
                adaptation = bytes((len(field),)) + field
            control = _PAYLOAD | (_ADAPTATION if adaptation else 0) | counter
            yield bytes((_SYNC, start | pid >> 8, pid & 0xFF, control)) + adaptation
            yield payload[at : at + room]
            at += room
            start, field = 0, b""
        self._counters[pid] = counter


def discontinuity(unit: bytes) -> bytes:
    """What goes in front of a unit for somebody who missed what came before it: one packet for each PID in it.

    Raises:
        TsError: The unit is not made of whole packets.
    """
    if len(unit) % PACKET_BYTES:
        raise TsError(f"{len(unit)} bytes are no whole packets")
    seen: dict[int, bytes] = {}
    for at in range(0, len(unit), PACKET_BYTES):
        if unit[at] != _SYNC:
            raise TsError(f"no packet at byte {at}")
        pid = (unit[at + 1] & 0x1F) << 8 | unit[at + 2]
        if pid not in seen:
            control = unit[at + 3]
            counter = control - 1 if control & _PAYLOAD else control
            seen[pid] = _empty(pid, counter & 15, _DISCONTINUITY)
    return b"".join(seen.values())


def _empty(pid: int, counter: int, flags: int) -> bytes:
    """A packet without payload: it bears the counter of the last one that had some."""
    head = bytes((_SYNC, pid >> 8, pid & 0xFF, _ADAPTATION | counter, _PAYLOAD_BYTES - 1, flags))
    return head.ljust(PACKET_BYTES, b"\xff")


def _pcr(clock: int) -> bytes:
    return (clock << 15 | 0x7E00).to_bytes(6, "big")


def _pes(stream_id: int, payload: bytes, pts: int) -> bytes:
    """A PES packet with a time. Its length is left open only where it does not fit: with one, readers need not wait."""
    size = len(payload) + 8
    head = bytes((0, 0, 1, stream_id)) + (size if size <= 0xFFFF else 0).to_bytes(2, "big") + b"\x84\x80\x05"
    pts &= _WRAP
    time = (0x21 | (pts >> 30) << 1) << 32 | (1 | (pts >> 15 & 0x7FFF) << 1) << 16 | 1 | (pts & 0x7FFF) << 1
    return head + time.to_bytes(5, "big") + payload


def _pat(version: int) -> bytes:
    return _section(0, 1, version, (1).to_bytes(2, "big") + (0xE000 | PMT_PID).to_bytes(2, "big"))


def _pmt(version: int, *, with_audio: bool) -> bytes:
    body = (0xE000 | VIDEO_PID).to_bytes(2, "big") + b"\xf0\x00"
    streams = ((_H264_TYPE, VIDEO_PID), (_AAC_TYPE, AUDIO_PID)) if with_audio else ((_H264_TYPE, VIDEO_PID),)
    for kind, pid in streams:
        body += bytes((kind,)) + (0xE000 | pid).to_bytes(2, "big") + b"\xf0\x00"
    return _section(2, 1, version, body)


def _section(table: int, number: int, version: int, body: bytes) -> bytes:
    head = bytes((table,)) + (0xB000 | len(body) + 9).to_bytes(2, "big") + number.to_bytes(2, "big")
    section = head + bytes((0xC1 | (version & 31) << 1, 0, 0)) + body
    return section + _crc(section).to_bytes(4, "big")


def _crc(data: bytes) -> int:
    """CRC-32/MPEG-2: not reflected, not inverted at the end, so that `zlib` is no help."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
