"""Stands in for ngrok's service: speaks what their SDK speaks, as its public source (ngrok-rust) has it.

TLS, in it muxado, which carries streams: frames of an 8-byte head, 24 bits of length, 4 of type, 4 of flags and 32 of
the stream's number. A stream begins with the 32-bit type of what it is for. The SDK asks in JSON (authentication,
binding a name); whoever opens the public address arrives as a stream that the service opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.service.tunnel.edge import certificate

RST, DATA, WINDOW, AWAY = range(4)
FIN, SYN = 1, 2
AUTH, BIND, UNBIND, PROXY, STOP, HEARTBEAT = 0, 1, 2, 3, 5, 0xFFFFFFFF
URL = "https://cams.example.ngrok.app"
CLIENT = "198.51.100.23"


class Stream:
    """One of a connection's streams."""

    def __init__(self, agent: Agent, number: int) -> None:
        self.agent = agent
        self.number = number
        self.kind: int | None = None
        self.data = b""
        self.ended = asyncio.Event()

    def send(self, data: bytes, flags: int = 0) -> None:
        self.agent.frame(DATA, flags, self.number, data)


class Agent:
    """A connection of the SDK's."""

    def __init__(self, service: NgrokService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.service = service
        self.reader = reader
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self.tunnel = ""
        self._next = 2

    def frame(self, kind: int, flags: int, number: int, data: bytes) -> None:
        self.writer.write(struct.pack(">II", len(data) << 8 | kind << 4 | flags, number) + data)

    def open(self, kind: int, data: bytes) -> Stream:
        stream = self.streams[self._next] = Stream(self, self._next)
        stream.kind = kind
        self._next += 2
        stream.send(struct.pack(">I", kind) + data, SYN)
        return stream

    async def serve(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head, number = struct.unpack(">II", await self.reader.readexactly(8))
                data = await self.reader.readexactly(head >> 8)
                kind, flags = head >> 4 & 15, head & 15
                if kind == AWAY:
                    return
                if kind in (DATA, RST):
                    self.take(number, data if kind == DATA else b"", bool(flags & FIN) or kind == RST)

    def take(self, number: int, data: bytes, is_last: bool) -> None:
        stream = self.streams.setdefault(number, Stream(self, number))
        stream.data += data
        if data:
            self.frame(WINDOW, 0, number, struct.pack(">I", len(data)))
        if stream.kind is None and len(stream.data) >= 4:
            stream.kind = int.from_bytes(stream.data[:4])
            stream.data = stream.data[4:]
        if stream.kind == HEARTBEAT:
            if not self.service.deaf:
                stream.send(stream.data)
            stream.data = b""
        elif stream.kind in (AUTH, BIND, UNBIND):
            with contextlib.suppress(json.JSONDecodeError):
                asked = json.loads(stream.data)
                stream.data = b""
                answer = json.dumps(self.answer(stream.kind, asked)).encode()
                late_s = self.service.late_s if stream.kind in self.service.refusals else 0.0
                asyncio.get_running_loop().call_later(late_s, stream.send, answer, FIN)
        if is_last:
            stream.ended.set()

    def answer(self, kind: int, asked: dict[str, Any]) -> dict[str, Any]:
        self.service.asked.append((kind, asked))
        if refusal := self.service.refusals.get(kind):
            return {"Error": refusal}
        if kind == AUTH:
            return {"Version": "3", "ClientId": "session-1", "Extra": {"Region": "eu", "Cookie": "crumbs"}}
        if kind == BIND:
            self.tunnel = asked["Id"] or "tunnel-1"
            name = asked["Opts"]["Hostname"]
            url = f"https://{name}" if name else URL
            return {"Id": self.tunnel, "URL": url, "Proto": "https", "Opts": asked["Opts"], "Extra": {"Token": ""}}
        return {}


class NgrokService:
    """The service.

    Attributes:
        port: Where it listens, on localhost.
        authority: Whom to trust for it, PEM.
        asked: What the SDK asked, by kind.
        refusals: What it is told instead, by kind: words and a code, a line each.
        late_s: How long it takes to refuse something.
        deaf: Whether heartbeats go unanswered.
        agents: Connections open now.
    """

    def __init__(self, authority: bytes) -> None:
        self.port = 0
        self.authority = authority
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.refusals: dict[int, str] = {}
        self.late_s = 0.0
        self.deaf = False
        self.agents: list[Agent] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent = Agent(self, reader, writer)
        self.agents.append(agent)
        try:
            await agent.serve()
        finally:
            self.agents.remove(agent)
            writer.transport.abort()

    def drop(self) -> None:
        """Lose every connection."""
        for agent in self.agents:
            agent.writer.transport.abort()

    async def stop(self) -> str:
        """Press "stop" in the dashboard; what the SDK answers."""
        stream = self.agents[-1].open(STOP, b"{}")
        async with asyncio.timeout(10):
            while not stream.data:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return stream.data.decode()

    async def visit(self, request: bytes) -> bytes:
        """Come from the internet with a request; the whole answer, once the connection ends."""
        head = {"Id": self.agents[-1].tunnel, "ClientAddr": f"{CLIENT}:40000", "Proto": "https", "EdgeType": "0"}
        text = json.dumps({**head, "PassthroughTLS": False}).encode()
        stream = self.agents[-1].open(PROXY, struct.pack("<q", len(text)) + text)
        stream.send(request.replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {CLIENT}\r\n\r\n".encode(), 1))
        async with asyncio.timeout(10):
            await stream.ended.wait()
        return stream.data


@asynccontextmanager
async def ngrok_service(folder: Path) -> AsyncIterator[NgrokService]:
    """The service, for the length of the block."""
    files, authority = certificate(folder, "localhost")
    service = NgrokService(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certificate"], files["key"])
    server = await asyncio.start_server(service.take, "localhost", 0, ssl=context)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        service.drop()
        await server.wait_closed()
