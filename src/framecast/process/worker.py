"""Runs a picture-maker over a track, in a bounded executor, one picture at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.threads import give_way
from framecast.core.track import Track
from framecast.process.errors import TooLarge, Undecodable


@dataclass(frozen=True, slots=True)
class Made:
    """What a maker made of one picture.

    Attributes:
        payload: The JPEG; the source's own object when nothing had to change.
        width_px: Its width.
        height_px: Its height.
        encodes: How many times something was encoded for it.
    """

    payload: bytes
    width_px: int
    height_px: int
    encodes: int


class Maker(Protocol):
    """Makes one picture of another. Called for one picture at a time, from any thread."""

    def make(self, packet: Packet) -> Made:
        """The new picture.

        Raises:
            Undecodable: The source is not a whole JPEG.
            TooLarge: It can't be made as small as asked.
        """


def count_nowhere(*_: object) -> None:
    """A counter for those who don't count."""


class JpegWorker:
    """A `framecast.core.worker.Worker`: each picture of a track through ``maker``, the newest when it can't keep up.

    A picture that can't be made is skipped and counted. Frame id, epoch and times stay those of the source.

    Args:
        maker: Makes the pictures; belongs to this worker.
        executor: Where it runs. One call is in flight at a time, so many workers share few threads fairly.
        on_encode: Called on the loop once per encode (``framecast_encodes_total``).
        on_fault: Called on the loop with the cause of each skipped picture.
    """

    def __init__(
        self,
        maker: Maker,
        executor: Executor,
        on_encode: Callable[[], object] = count_nowhere,
        on_fault: Callable[[str], object] = count_nowhere,
    ) -> None:
        self._maker = maker
        self._executor = executor
        self._on_encode = on_encode
        self._on_fault = on_fault

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``."""
        await self.work(source, out)

    async def work(self, packets: AsyncIterator[Packet], out: Track) -> None:
        """The same of packets from anywhere."""
        loop = asyncio.get_running_loop()
        async for packet in packets:
            before = out.latest
            if before is not None and (before.frame_id, before.epoch) == (packet.frame_id, packet.epoch):
                # Work began anew with the picture it had ended with.
                continue
            try:
                made = await loop.run_in_executor(self._executor, self._maker.make, packet)
            except Undecodable:
                self._on_fault("corrupt_scan")
                continue
            except TooLarge as error:
                self._count(error.encodes)
                self._on_fault("too_many_bytes")
                continue
            self._count(made.encodes)
            out.publish(
                Packet(
                    payload=made.payload,
                    format=Format("mjpeg", made.width_px, made.height_px),
                    frame_id=packet.frame_id,
                    seq=0 if out.latest is None else out.latest.seq + 1,
                    epoch=packet.epoch,
                    pts_ns=packet.pts_ns,
                    received_ns=packet.received_ns,
                )
            )

    def _count(self, encodes: int) -> None:
        for _ in range(encodes):
            self._on_encode()


def codec_executor(threads: int = 0) -> ThreadPoolExecutor:
    """The executor that all workers of a process share.

    Args:
        threads: How many; 0 takes one less than there are cores, at least one and at most four, so that the loop
            always has a core to itself where there are two.
    """
    count = threads or min(4, max(1, (os.cpu_count() or 1) - 1))
    return ThreadPoolExecutor(count, thread_name_prefix="framecast-codec", initializer=give_way)
