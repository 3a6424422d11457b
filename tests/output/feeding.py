"""A camera that feeds a segmenter, without a clock or an encoder."""

from __future__ import annotations

from dataclasses import replace

from framecast.core.packet import Format, Packet
from framecast.output.hls.parts import Container
from framecast.output.hls.segments import Segmenter

NS = 1_000_000_000
START_NS = 1_790_000_000 * NS
FORM = Format("mp4", 160, 96)


class Plain:
    """A container whose parts can be read by eye."""

    ending = "x"
    content_type = "text/plain"

    def pack(self, number: int, pieces: list[Packet], end_ns: int) -> bytes:
        return b"".join(piece.payload for piece in pieces)


class Feed:
    """A camera that answers a wish for a key picture as an encoder does: with the next one."""

    def __init__(self, container: Container | None = None, *, answers: bool = True) -> None:
        self.wishes = 0
        self.changes = 0
        self.answers = answers
        self.segmenter = Segmenter(container or Plain(), START_NS // NS, self.want_key, self.change)
        self.now_ns = START_NS
        self.frame_id = 0
        self.epoch = 1
        self.wanted = True

    def want_key(self) -> None:
        self.wishes += 1
        self.wanted = self.answers

    def change(self) -> None:
        self.changes += 1

    def picture(self, *, key: bool | None = None, payload: bytes | None = None) -> Packet:
        key = self.wanted if key is None else key
        self.wanted = self.wanted and not key
        self.frame_id += 1
        data = b"%c%d " % (b"K" if key else b"p", self.frame_id) if payload is None else payload
        packet = Packet(data, FORM, self.frame_id, 0, self.epoch, self.now_ns, self.now_ns, key)
        self.segmenter.push(packet)
        return packet

    def run(self, seconds: float, fps: float = 10.0) -> None:
        end_ns = self.now_ns + round(seconds * NS)
        while self.now_ns < end_ns:
            self.picture()
            self.now_ns += round(NS / fps)


def heard(packet: Packet, payload: bytes = b"s ") -> Packet:
    return replace(packet, payload=payload, key=False)
