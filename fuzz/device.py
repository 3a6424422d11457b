"""A whole camera that lies: what it answers is read over real connections, by what reads all cameras."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Hashable
from functools import cache
from typing import Any

from framecast.core.errors import DeviceError, Misuse
from framecast.ingest.http_client import Options
from framecast.ingest.http_pull import HttpPull
from framecast.ingest.probefeed import ProbeFeed
from fuzz.target import Target, pieces, require

HOST = "127.77.0.1"
"""An address where nothing else listens."""
NEXT = b"\0NEXT\0"
"""Between answers; the last one is given again and again."""
PATH = "/stream"
MOST_ANSWERS = 6
MAX_BYTES = 20_000
PATIENCE_S = 0.05
"""How long it waits for the next request; a camera that says nothing more is the business of who watches the reader."""
ENDS_S = 15.0


class Camera:
    """Serves what it is given."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.getaddrinfo = self._look_up  # type: ignore[method-assign]
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self._answers: list[bytes] = []
        self._asked = 0
        server = self.loop.run_until_complete(asyncio.start_server(self._answer, HOST, 0))
        self._port = server.sockets[0].getsockname()[1]
        self._server = server

    async def _look_up(self, host: Any, port: Any, **_: Any) -> Any:
        """No name leads anywhere: what a redirect says is asked of nobody."""
        if host != HOST:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, port))]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while self._asked < MOST_ANSWERS:
                async with asyncio.timeout(PATIENCE_S):
                    await reader.readuntil(b"\r\n\r\n")
                answer = self._answers[min(self._asked, len(self._answers) - 1)]
                self._asked += 1
                for piece in pieces(answer):
                    if writer.is_closing():
                        return
                    writer.write(piece)
                    await asyncio.sleep(0)
                if self._asked >= len(self._answers):
                    break
        writer.close()

    def close(self) -> None:
        """End it."""
        self._server.close()
        self.loop.run_until_complete(self._server.wait_closed())
        self.loop.close()

    def read(self, data: bytes) -> Hashable:
        """Have a camera that answers this read."""
        return self.loop.run_until_complete(self._read(data))

    async def _read(self, data: bytes) -> Hashable:
        self._answers, self._asked = data.split(NEXT), 0
        self.faults.clear()
        feed = ProbeFeed(max_bytes=MAX_BYTES)
        source = HttpPull(
            f"http://ann:s3cret@{HOST}:{self._port}{PATH}",
            options=Options(check_address=_only_here),
            interval_s=0.0,
            max_bytes=MAX_BYTES,
        )
        said = ""
        try:
            async with asyncio.timeout(ENDS_S):
                await source.run(feed)
        except (DeviceError, Misuse) as error:
            said = type(error).__name__
        feed.finish()
        for _ in range(3):
            await asyncio.sleep(0)
        require(not self.faults, f"something broke later: {self.faults[:1]}")
        require(feed.frames <= MOST_ANSWERS * (1 + len(data) // 4), "more pictures than bytes")
        return (said, feed.dialect, min(feed.frames, 3), frozenset(feed.quirks), frozenset(feed.faults))


def _only_here(host: str, address: str) -> None:
    if address != HOST:
        raise Misuse(f"{host} is somewhere else")


@cache
def _camera() -> Camera:
    return Camera()


def close() -> None:
    """End the camera, where there is one."""
    if _camera.cache_info().currsize:
        _camera().close()
        _camera.cache_clear()


def device(data: bytes) -> Hashable:
    """However a camera answers, reading it ends, with pictures or with a reason that people are told."""
    return _camera().read(data)


_WORDS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 401 No\r\n", b"HTTP/1.1 302 Found\r\n", b"\r\n\r\n", b"\r\n", NEXT),
    *(b"Location: /x\r\n", b"Location: http://[\r\n", b"Connection: keep-alive\r\n", b"Content-Length: 5\r\n"),
    *(b'WWW-Authenticate: Digest realm="x", nonce="y", qop="auth"\r\n', b"WWW-Authenticate: Basic\r\n"),
    *(b"Content-Type: image/jpeg\r\n", b"Content-Type: multipart/x-mixed-replace; boundary=x\r\n", b"--x\r\n"),
    *(b"X-Timestamp: 1e400\r\n", b"X-Timestamp: nan\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff\xd8", b"\xff\xd9"),
)

TARGETS = (
    (Target("device", device, _WORDS, ("stream", "still"), base_s=0.1, per_byte_s=50e-6),)
    if sys.platform.startswith("linux")
    else ()
)
"""Only Linux takes all of 127.0.0.0/8 for this machine without being told."""
