"""A decoder in a process of its own, within limits: ``python -m bench.isolated``.

Speaks over standard input and output, each message with its length in front as four bytes: a JPEG is answered with the
picture made of it, ``cpu`` with the CPU seconds used, ``load NAME`` with nothing once that module is imported.
"""

from __future__ import annotations

import importlib
import resource
import struct
import sys
import time
from typing import BinaryIO

from framecast.core.packet import Format, Packet
from framecast.core.rendition import Rendition
from framecast.process.rendition import JpegRendition

WANTED = Rendition(width_px=320, quality=70)
MEMORY_BYTES = 1 << 30
FILES = 16
LENGTH = struct.Struct(">I")


def read(stream: BinaryIO) -> bytes:
    """The next message; empty at the end."""
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if head else b""


def write(stream: BinaryIO, message: bytes) -> None:
    """Send one."""
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()


def packet(jpeg: bytes) -> Packet:
    """A picture as a maker takes it."""
    return Packet(jpeg, Format("mjpeg", 640, 480), 1, 0, 1, 1, 1)


def main() -> None:
    """Answers until its input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    maker = JpegRendition(WANTED)
    while message := read(sys.stdin.buffer):
        if message == b"cpu":
            answer = str(time.process_time()).encode()
        elif message.startswith(b"load "):
            importlib.import_module(message[5:].decode())
            answer = b"loaded"
        else:
            answer = maker.make(packet(message)).payload
        write(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
