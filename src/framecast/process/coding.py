"""Runs encoders over tracks, in the executor that all codecs share.

Nothing here imports PyAV: that takes an eighth of a second, and finding a hardware encoder may take longer. So coders
are made in a thread apart, where they keep nobody waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Protocol

from framecast.core.mailbox import Mailbox
from framecast.core.pacer import Pacer
from framecast.core.packet import Format, Packet
from framecast.core.repeat import STEP_NS, is_same
from framecast.core.track import Track
from framecast.process.errors import Undecodable, Unencodable
from framecast.process.worker import count_nowhere

S_NS = 1_000_000_000
PATIENCE_S = 0.4
"""When the next block is late by so much, silence takes its place."""
FILL_S = 0.1
"""And goes on in pieces of about this length."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One access unit."""

    payload: bytes
    key: bool
    width_px: int
    height_px: int


class PictureCoder(Protocol):
    """Makes an access unit of each picture. Called for one at a time, from any thread."""

    def make(self, packet: Packet, key_wanted: bool = False) -> Coded:
        """The access unit of a picture.

        Raises:
            Undecodable: Not a whole JPEG.
            Unencodable: A size that can't be encoded.
        """


class H264Worker:
    """A `framecast.core.worker.Worker`: pictures in, one access unit for each.

    A picture that can't be encoded is skipped and counted. Frame id, epoch and times stay those of the picture; one
    that comes again for who wants a key packet is a little later (`framecast.core.repeat`).

    Args:
        make_coder: Makes what this worker codes with; called in a thread, may take its time.
        executor: Where it runs, one call at a time.
        fps: Most pictures a second; 0 takes all.
        on_encode: Called on the loop once per access unit.
        on_fault: Called on the loop with the cause of each skipped picture.

    Attributes:
        key_wanted: Whether somebody asked for a key packet since the last one.
    """

    def __init__(
        self,
        make_coder: Callable[[], PictureCoder],
        executor: Executor,
        fps: float = 0.0,
        on_encode: Callable[[], object] = count_nowhere,
        on_fault: Callable[[str], object] = count_nowhere,
    ) -> None:
        self._make_coder = make_coder
        self._executor = executor
        self._pacer = Pacer(fps) if fps else None
        self._on_encode = on_encode
        self._on_fault = on_fault
        self.key_wanted = False

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``."""
        loop = asyncio.get_running_loop()
        coder = await asyncio.to_thread(self._make_coder)
        read: Packet | None = None
        async for packet in source:
            before, again, read = out.latest, is_same(packet, read), packet
            if before is not None and is_same(packet, before):
                if not self.key_wanted:
                    continue  # work began anew with the picture it had ended with
                packet = replace(packet, pts_ns=before.pts_ns + STEP_NS)
            elif self._pacer is not None and not self._pacer.take(packet.pts_ns) and not again:
                continue
            try:
                coded = await loop.run_in_executor(self._executor, coder.make, packet, self.key_wanted)
            except Undecodable:
                self._on_fault("corrupt_scan")
                continue
            except Unencodable:
                self._on_fault("unencodable")
                continue
            self._on_encode()
            if coded.key:
                self.key_wanted = False
            out.publish(_unit_of(coded, packet, out))


def _unit_of(coded: Coded, picture: Packet, out: Track) -> Packet:
    return Packet(
        payload=coded.payload,
        format=Format("h264", coded.width_px, coded.height_px),
        frame_id=picture.frame_id,
        seq=0 if out.latest is None else out.latest.seq + 1,
        epoch=picture.epoch,
        pts_ns=picture.pts_ns,
        received_ns=picture.received_ns,
        key=coded.key,
    )


@dataclass(frozen=True, slots=True)
class Block:
    """One packet of coded sound, and when its first sample was recorded (Unix ns of our clock)."""

    payload: bytes
    pts_ns: int


class SoundCoder(Protocol):
    """Makes packets of coded sound. Called for one block at a time, from any thread.

    Attributes:
        format: Of what was made last.
        samples: In each packet.
    """

    format: Format
    samples: int

    def make(self, packet: Packet) -> list[Block]:
        """What is ready after one more block of PCM."""

    def fill(self, span_ns: int) -> list[Block]:
        """What is ready after so much silence."""


class SoundWorker:
    """A `framecast.core.worker.Worker`: blocks of PCM in, coded packets out, without holes while it runs.

    Args:
        make_coder: Makes what this worker codes with; called in a thread, may take its time.
        executor: Where it runs, one call at a time.
        patience_s: How late a block may be before silence takes its place.
    """

    def __init__(
        self, make_coder: Callable[[], SoundCoder], executor: Executor, patience_s: float = PATIENCE_S
    ) -> None:
        self._make_coder = make_coder
        self._executor = executor
        self._patience_s = patience_s

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``."""
        loop = asyncio.get_running_loop()
        coder = await asyncio.to_thread(self._make_coder)
        latest: Packet | None = None
        heard_s = 0.0
        wait_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    packet = await source.get()
            except StopAsyncIteration:
                return
            except TimeoutError:
                assert latest is not None and wait_s is not None
                # What is late by less than the patience still finds its place.
                now_s = loop.time()
                span_s = now_s - heard_s - (wait_s - FILL_S)
                heard_s, wait_s = now_s, FILL_S
                made = await loop.run_in_executor(self._executor, coder.fill, round(span_s * S_NS))
            else:
                latest, heard_s, wait_s = packet, loop.time(), self._patience_s + _span_s(packet)
                made = await loop.run_in_executor(self._executor, coder.make, packet)
            for block in made:
                out.publish(_packet_of(block, coder, latest, out))


def _span_s(packet: Packet) -> float:
    """How long a block of PCM is, and so how soon the next one is due."""
    form = packet.format
    return len(packet.payload) / (2 * form.channels * form.sample_rate_hz)


def _packet_of(block: Block, coder: SoundCoder, source: Packet, out: Track) -> Packet:
    end_ns = block.pts_ns + coder.samples * S_NS // coder.format.sample_rate_hz
    return Packet(
        payload=block.payload,
        format=coder.format,
        frame_id=source.frame_id,
        seq=0 if out.latest is None else out.latest.seq + 1,
        epoch=source.epoch,
        pts_ns=block.pts_ns,
        received_ns=max(source.received_ns, end_ns),
    )
