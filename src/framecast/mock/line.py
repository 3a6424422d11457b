"""One connection of a fake device, as bad as its faults make it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

_STATUS = re.compile("HTTP/[0-9.]+ +([0-9]{3})(?![0-9])")


@dataclass(slots=True)
class Link:
    """What all connections of a device share: its network and its state of health.

    Attributes:
        flowing: Cleared while the device is silent with its connections open.
        freezing: The next picture stops half-way.
        bytes_per_s: How thin the link is; 0 = not at all.
    """

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    freezing: bool = False
    bytes_per_s: float = 0.0


class Line:
    """Writes to one peer.

    Args:
        reader: What the peer says.
        writer: Where to write; nothing is kept in it beyond what the kernel takes.
        link: Of the device.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        self.reader = reader
        self._writer = writer
        self._link = link
        self.froze = False
        # A firmware's send() blocks, so a slow reader slows the camera down.
        writer.transport.set_write_buffer_limits(high=0)

    async def send(self, *writes: bytes) -> None:
        """Write all of ``writes``, each by itself as a firmware's calls would.

        Raises:
            OSError: The peer is gone.
        """
        self.froze = False
        largest = max(writes, key=len, default=b"")
        for data in writes:
            await self._link.flowing.wait()
            if self._link.freezing and data is largest:
                self._link.freezing = False
                self._link.flowing.clear()
                self.froze = True
                half = len(data) // 2
                await self._write(data[:half])
                await self._link.flowing.wait()
                await self._write(data[half:])
            else:
                await self._write(data)

    async def _write(self, data: bytes) -> None:
        rate = self._link.bytes_per_s
        if not rate:
            await self._give(data)
            return
        step = max(1, int(rate / 20))
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            await self._give(piece)
            await asyncio.sleep(len(piece) / rate)

    async def _give(self, data: bytes) -> None:
        if self._writer.transport.is_closing():  # uvloop would say so in a way of its own
            raise ConnectionResetError("the connection is closed")
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close as a firmware that says goodbye: what was written still arrives."""
        self._writer.close()

    def drop(self) -> None:
        """Gone at once, as when the power is cut."""
        self._writer.transport.abort()


def status_of(head: str) -> int:
    """The status in the head of an HTTP answer.

    Raises:
        OSError: It is none.
    """
    found = _STATUS.match(head)
    if found is None:
        raise ConnectionAbortedError(f"this is no answer: {head[:40]!r}")
    return int(found[1])
