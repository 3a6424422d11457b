"""H.264 in packets and together again; reports as receivers read them; feedback of every length."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import h264, rtp

SPS, PPS, SEI = b"\x67\x42\xc0\x1f" + b"s" * 10, b"\x68\xce\x3c\x80", b"\x06\x05\x10" + b"i" * 16


def assemble(payloads: list[bytes]) -> list[bytes]:
    """The NAL units in these payloads, as a receiver puts them together (RFC 6184, 5.6 to 5.8)."""
    units: list[bytes] = []
    piece = b""
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind == rtp.STAP_A:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == rtp.FU_A:
            if payload[1] & 0x80:
                piece = bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))
            piece += payload[2:]
            if payload[1] & 0x40:
                units.append(piece)
        else:
            units.append(payload)
    return units


@pytest.mark.parametrize("size", [1, 500, 1179, 1180, 1181, 5000, 60_000])
def test_an_access_unit_goes_through_packets(size: int) -> None:
    units = [SPS, PPS, SEI, b"\x65" + b"\x81" * size]
    payloads = rtp.h264_payloads(h264.AUD + h264.join(units))
    assert assemble(payloads) == units
    assert all(0 < len(payload) <= rtp.MAX_PAYLOAD_BYTES for payload in payloads)
    if size > 1200:
        assert len(payloads) == 1 + -(-size // (rtp.MAX_PAYLOAD_BYTES - 2))


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=12), st.integers(3, 1180))
def test_any_units_go_through_packets_of_any_size(sizes: list[int], most_bytes: int) -> None:
    units = [bytes((0x41,)) + b"\x9a" * size for size in sizes]
    payloads = rtp.h264_payloads(h264.join(units), most_bytes)
    assert assemble(payloads) == units
    assert all(len(payload) <= most_bytes for payload in payloads)


def test_a_delimiter_alone_is_nothing() -> None:
    assert rtp.h264_payloads(h264.AUD) == []
    assert rtp.h264_payloads(b"") == []


def test_a_packet() -> None:
    data = rtp.packet(102, True, 65_535, 0xFFFFFFFF, 7, b"xyz")
    assert data == b"\x80\xe6\xff\xff\xff\xff\xff\xff\x00\x00\x00\x07xyz"


def test_stamps_of_picture_and_sound_belong_to_one_clock() -> None:
    moment = 1_795_274_307_725_000_000
    later = moment + 40_000_000
    assert (rtp.stamp_of(later, rtp.VIDEO_HZ) - rtp.stamp_of(moment, rtp.VIDEO_HZ)) % (1 << 32) == 3600
    assert (rtp.stamp_of(later, rtp.SOUND_HZ) - rtp.stamp_of(moment, rtp.SOUND_HZ)) % (1 << 32) == 1920


def test_a_sender_report_is_read_by_others() -> None:
    from aiortc.rtp import RtcpPacket, RtcpSdesPacket, RtcpSrPacket

    now_ns = 1_795_274_307_500_000_000
    report, names = RtcpPacket.parse(rtp.sender_report(5, now_ns, 9, 3, 300, "name"))
    assert isinstance(report, RtcpSrPacket)
    assert (report.ssrc, report.sender_info.rtp_timestamp, report.sender_info.packet_count) == (5, 9, 3)
    assert report.sender_info.ntp_timestamp == ((1_795_274_307 + rtp.NTP_OFFSET_S) << 32) + (1 << 31)
    assert isinstance(names, RtcpSdesPacket)
    assert names.chunks[0].items == [(1, b"name")]
    assert len(RtcpPacket.parse(rtp.bye(1, 2))) == 1


def test_feedback_that_others_write() -> None:
    from aiortc.rtp import (
        RtcpByePacket,
        RtcpPsfbPacket,
        RtcpReceiverInfo,
        RtcpRrPacket,
        RtcpRtpfbPacket,
        pack_remb_fci,
    )

    info = RtcpReceiverInfo(
        ssrc=7, fraction_lost=64, packets_lost=3, highest_sequence=9, jitter=21, lsr=0x01020304, dlsr=655
    )
    data = b"".join(
        bytes(each)
        for each in (
            RtcpRrPacket(ssrc=1, reports=[info]),
            RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=7, lost=[10, 12, 26, 65_535]),
            RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=7),
            RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=struct.pack(">IBxxx", 8, 1)),
            RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(750_000, [7])),
            RtcpByePacket(sources=[1]),
        )
    )
    said = rtp.parse_feedback(data)
    assert said.reports == [rtp.Report(7, 0.25, 21, 0x01020304, 655)]
    assert sorted(said.lost) == [(7, 10), (7, 12), (7, 26), (7, 65_535)]
    assert said.key_wanted == {7, 8}
    assert said.bitrate_bps is not None
    assert abs(said.bitrate_bps - 750_000) < 10
    assert said.ended


def test_a_packet_names_so_many_lost_ones_and_no_more() -> None:
    flood = b"".join(struct.pack(">HH", 17 * index & 0xFFFF, 0xFFFF) for index in range(340))
    data = struct.pack(">BBHII", 0x81, 205, 2 + 340, 1, 7) + flood
    assert rtp.parse_feedback(data).lost == [(7, sequence) for sequence in range(rtp.MOST_LOST)]
    assert rtp.parse_feedback(data + data, 20).lost == [(7, sequence) for sequence in range(20)]
    assert rtp.parse_feedback(data, 0).lost == []


@given(st.binary(max_size=300))
def test_any_bytes_are_read_as_feedback(data: bytes) -> None:
    rtp.parse_feedback(data)
    rtp.parse_feedback(b"\x81\xcd\x00\x10" + data)
