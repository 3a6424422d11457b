"""What all devices that push share: what their dialects see of them, and HTTP as a small client speaks it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Protocol

from framecast.mock.audio import Audio
from framecast.mock.framing import bent
from framecast.mock.line import Line, status_of
from framecast.mock.shutter import Frame
from framecast.mock.speaker import Speaker
from framecast.mock.target import Target


class Pushing(Protocol):
    """The device, as its push dialect sees it."""

    target: Target
    device_id: str
    token: str
    faults: frozenset[str]
    answer_s: float
    audio: Audio | None
    speaker: Speaker | None
    speaker_target: Target | None

    async def dial(self, target: Target | None = None) -> Line:
        """A new connection to ``target``, or to the one it pushes to."""

    async def next_frame(self) -> Frame:
        """The next picture."""

    def uptime_s(self, frame: Frame) -> float:
        """When ``frame`` was taken, on the device's own clock."""

    def stamp_s(self, moment_s: float) -> float:
        """How the device writes a moment of its own clock."""

    def record(self, frame: Frame, line: Line) -> None:
        """``frame`` is written whole."""

    def answered(self, status: int, body: bytes) -> None:
        """The peer answered a request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's answer."""

    status: int
    body: bytes
    keeps_open: bool


async def write_request(
    device: Pushing, line: Line, head: str, body: list[bytes], length: int, *, authorise: bool = True
) -> None:
    """Send a request whose lines so far are ``head``, and which says that its body has ``length`` bytes."""
    if authorise and device.token:
        head += f"Authorization: Bearer {device.token}\r\n"
    head += f"Content-Length: {length}\r\n\r\n"
    await line.send(bent(head, device.faults).encode(), *body)


async def read_reply(device: Pushing, line: Line) -> Reply:
    """The answer to a request; where the connection can't carry another, it is closed.

    Raises:
        TimeoutError: None came in time.
    """
    async with asyncio.timeout(device.answer_s):
        reply = await _reply(line.reader)
    if not reply.keeps_open:
        line.close()
    return reply


async def _reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = status_of(head)
    length = re.search(r"(?im)^content-length:\s*(\d+)", head)
    closes = head.startswith("HTTP/1.0") or re.search(r"(?im)^connection:\s*close", head) is not None
    if length:
        body = await reader.readexactly(int(length[1]))
    else:
        body, closes = await reader.read(), True
    return Reply(status, body, not closes)
