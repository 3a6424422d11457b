"""The server's own door: bytes as a hostile client sends them, over a real connection to a real server."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import sys
import tempfile
import zlib
from collections.abc import Hashable
from contextlib import AsyncExitStack
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from tests.service.serving import Server, serving

from fuzz.target import Target, pieces, require

LOGGERS = ("framecast", "aiohttp", "asyncio")
KEY = b"$KEY"
"""Stands in inputs for a token that may watch and publish, which is another in each process."""
QUIET_ROUNDS = 12
"""Rounds of the loop without a byte of an answer, after which none is waited for."""
MOST_ROUNDS = 400
LEAVE_S = 15.0
"""How long what a client began may go on when it has gone."""
MOST_ANSWER_BYTES = 100_000
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
_CODE = re.compile(rb'"code": ?"([a-z_]{1,40})"')
_ABRUPT = struct.pack("ii", 1, 0)


class _Errors(logging.Handler):
    """Keeps what the server logs as its own fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.getMessage()} {error!r}" if error else record.getMessage())


class House:
    """A server in this process, and connections to it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._folder = tempfile.TemporaryDirectory()
        self._errors = _Errors()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._errors)
        self._server, self._key = self._loop.run_until_complete(self._open())
        Finalize(self, self._folder.cleanup, exitpriority=10)  # all else goes with the process

    async def _open(self) -> tuple[Server, bytes]:
        server = await self._stack.enter_async_context(serving(Path(self._folder.name), {"door": "push:"}))
        made = await server.service.desk.create_token({"name": "device", "rights": ["watch", "publish"]})
        return server, str(made["secret"]).encode()

    def close(self) -> None:
        """End it, and see that it ends well."""
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._errors)
        self._folder.cleanup()

    def ask(self, data: bytes) -> Hashable:
        """Send this, read what comes, and go without a word."""
        return self._loop.run_until_complete(self._ask(data))

    async def _ask(self, data: bytes) -> Hashable:
        self._errors.said.clear()
        front = self._server.listeners.fronts[0]
        answer = await self._exchange(data)
        async with asyncio.timeout(LEAVE_S):
            while front.places.taken:  # noqa: ASYNC110 (what is waited for has no event to set)
                await asyncio.sleep(0)
        supervisor = self._server.service.supervisor
        require(not supervisor.failures, f"a part failed: {supervisor.failures}")
        require(not self._errors.said, f"its own fault: {self._errors.said[:1]}")
        require(not answer or _STATUS.match(answer) is not None, "the answer is no HTTP")
        require(self._server.service.cameras.get("door") is not None, "somebody took the camera away")
        statuses = [int(each) for each in _STATUS.findall(answer)]
        require(not set(statuses) & {500, 501, 502}, "something went wrong inside")
        return (tuple(statuses[:2]), frozenset(_CODE.findall(answer)[:3]), len(answer) > MOST_ANSWER_BYTES)

    async def _exchange(self, data: bytes) -> bytes:
        answer = bytearray()
        with socket.socket() as peer:
            # Each from an address of its own, so that none is slowed down for what another did.
            number = zlib.crc32(data)
            peer.bind((f"127.{1 + number % 200}.{number >> 8 & 255}.{1 + (number >> 16) % 250}", 0))
            peer.setblocking(False)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            await self._loop.sock_connect(peer, ("127.0.0.1", self._server.port))
            for piece in pieces(data.replace(KEY, self._key)):
                try:
                    await self._loop.sock_sendall(peer, piece)
                except ConnectionError:
                    break
                await asyncio.sleep(0)
            quiet = 0
            for _ in range(MOST_ROUNDS):
                await asyncio.sleep(0)
                try:
                    came = peer.recv(65_536)
                except BlockingIOError:
                    quiet += 1
                    if quiet > QUIET_ROUNDS:
                        break
                    continue
                except ConnectionError:
                    break
                if not came:
                    break
                quiet = 0
                answer += came
                if len(answer) > MOST_ANSWER_BYTES:
                    break
        return bytes(answer)


@cache
def _house() -> House:
    return House()


def close() -> None:
    """End the server, where there is one."""
    if _house.cache_info().currsize:
        _house().close()
        _house.cache_clear()


def front(data: bytes) -> Hashable:
    """Whatever is sent is answered by HTTP or not at all, never as a fault of the server's own, and leaves nothing."""
    return _house().ask(data)


_WORDS = (
    *(b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n\r\n", b"\r\n"),
    *(b"Host: localhost\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n"),
    *(b"Authorization: Bearer $KEY\r\n", b"Cookie: framecast_session=x\r\n", b"Range: bytes=0-\r\n", b"?key=$KEY"),
    *(b"X-Timestamp: nan\r\n", b"X-Sequence: -1\r\n", b"multipart/form-data; boundary=x", b"\xff\xd8"),
    *(b"/stream.mjpeg", b"/snapshot.jpg", b"/api/v1/ws", b"..", b"%2e%2e%2f", b"%00", b"null", b"[[[[", b"-1"),
    *(b"\x81\x80\0\0\0\0", b"\x89\xfe", b'{"type": "subscribe", "cameras": ["door"]}', b'"interval_s": 1e999'),
)

TARGETS = (Target("front", front, _WORDS, base_s=0.1, per_byte_s=50e-6),) if sys.platform.startswith("linux") else ()
"""Only Linux takes all of 127.0.0.0/8 for this machine without being told."""
