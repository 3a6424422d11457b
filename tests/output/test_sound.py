"""Listeners on real sockets: the same bytes to all, and what happens to one that is slow, gone or of another form."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from framecast.core.packet import Format
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import Viewer, new_viewer
from framecast.output.sound import KEPT_S, Output
from framecast.wire import wav
from tests.core.fakes import until
from tests.output.live import certificate, trusting

pytestmark = pytest.mark.anyio

FORM = Format("pcm_s16le", sample_rate_hz=16_000, channels=1)
OTHER = Format("pcm_s16le", sample_rate_hz=48_000, channels=2)
HEAD = b"head\n"


class Front(asyncio.Protocol):
    """What had the connection first: hands over at the first byte."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.serving: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.hall.fronts.append(self)

    def data_received(self, data: bytes) -> None:
        if self.serving is None:
            self.transport.write(HEAD)
            viewer = new_viewer("audio", "::1", self.hall.stream.clock)
            self.hall.viewers.append(viewer)
            is_wav, chunked = b"w" in data, b"c" in data
            form = FORM if b"f" in data else None
            self.serving = asyncio.ensure_future(
                self.hall.output.serve(self.transport, viewer, is_wav=is_wav, chunked=chunked, form=form)
            )


class Hall:
    """One camera's sound, served."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stream = Stream("door", 1, supervisor)
        self.output = Output(self.stream.audio, self.stream)
        self.fronts: list[Front] = []
        self.viewers: list[Viewer] = []
        self.said: list[bytes] = []
        self.port = 0
        self.tls = False

    def say(self, size: int = 2048, form: Format = FORM) -> bytes:
        """One chunk that no other equals."""
        payload = random.Random(len(self.said)).randbytes(size)
        self.said.append(payload)
        now_ns = self.stream.clock.now_ns()
        self.stream.publish_sound(payload, form, now_ns, now_ns)
        return payload

    @contextlib.asynccontextmanager
    async def listen(self, how: bytes = b".", *, limit: int = 1 << 16) -> AsyncIterator[asyncio.StreamReader]:
        """A listener that has its place. ``how``: w WAV, c chunked, f a form was promised."""
        number = len(self.viewers)
        context = trusting() if self.tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, limit=limit)
        writer.write(how)
        assert await reader.readexactly(len(HEAD)) == HEAD
        await until(lambda: len(self.viewers) > number and self.viewers[number].settle is not None)
        try:
            yield reader
        finally:
            writer.transport.abort()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None) -> AsyncIterator[Hall]:
    """A hall whose door is open."""
    async with Supervisor() as supervisor:
        hall = Hall(supervisor)
        server = await asyncio.get_running_loop().create_server(lambda: Front(hall), "127.0.0.1", 0, ssl=tls)
        hall.port = server.sockets[0].getsockname()[1]
        hall.tls = tls is not None
        try:
            yield hall
        finally:
            hall.output.close()
            server.close()
            for front in hall.fronts:
                front.transport.abort()
                if front.serving is not None:
                    await asyncio.gather(front.serving, return_exceptions=True)
        assert len(hall.output) == 0
        assert not hall.stream.audio.wanted


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def hall(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hall]:
    async with opened(certificate(tmp_path) if request.param else None) as made:
        yield made


async def read(reader: asyncio.StreamReader, size: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(size), 5)


async def test_everybody_hears_the_same_from_the_moment_they_come(hall: Hall) -> None:
    hall.say()
    async with hall.listen() as first:
        heard = [hall.say(), hall.say()]
        assert await read(first, 4096) == b"".join(heard)
        async with hall.listen(b"w") as second, hall.listen(b"wc") as third:
            payload = hall.say(1000)
            assert await read(first, 1000) == payload
            assert await read(second, 1044) == wav.endless_header(16_000, 1) + payload
            assert await read(third, 1044 + 7) == b"414\r\n" + wav.endless_header(16_000, 1) + payload + b"\r\n"
            payload = hall.say(1000)
            assert await read(second, 1000) == payload
            assert await read(third, 1007) == b"3e8\r\n" + payload + b"\r\n"
    await until(lambda: not hall.stream.audio.wanted)
    assert [viewer.sent for viewer in hall.viewers] == [4, 2, 2]


async def test_another_form_ends_it_and_says_so(hall: Hall) -> None:
    async with hall.listen(b"c") as plain, hall.listen(b"wc") as as_wav:
        payload = hall.say(1000)
        hall.say(1000, OTHER)
        assert await asyncio.wait_for(plain.read(), 5) == b"3e8\r\n" + payload + b"\r\n0\r\n\r\n"
        assert (await asyncio.wait_for(as_wav.read(), 5)).endswith(payload + b"\r\n0\r\n\r\n")
        await until(lambda: len(hall.output) == 0)


async def test_a_promise_that_does_not_hold_ends_it_before_the_first_sample(hall: Hall) -> None:
    async with hall.listen(b"cf") as reader:
        hall.say(1000, OTHER)
        assert await asyncio.wait_for(reader.read(), 5) == b"0\r\n\r\n"


async def test_a_slow_listener_goes_on_at_a_whole_chunk_within_a_second(hall: Hall) -> None:
    """It reads nothing while minutes are said, then all: what it gets is whole chunks, the last ones without a gap."""
    async with hall.listen(limit=1 << 12) as slow, hall.listen() as good:
        for _ in range(1200):
            payload = hall.say(16_000)
            assert await read(good, 16_000) == payload
        viewer = hall.viewers[0]
        assert viewer.drops > 0
        assert hall.viewers[1].drops == 0
        assert hall.output.drops == viewer.drops
        heard = bytearray()
        while not heard.endswith(hall.said[-1]):
            heard += await asyncio.wait_for(slow.read(1 << 20), 5)
        chunks = [bytes(heard[at : at + 16_000]) for at in range(0, len(heard), 16_000)]
        numbers = {payload: number for number, payload in enumerate(hall.said)}
        heard_numbers = [numbers[each] for each in chunks]
        assert heard_numbers == sorted(set(heard_numbers))
        assert len(chunks) + viewer.drops == 1200
        late = round(KEPT_S / 0.5)
        assert heard_numbers[-late:] == list(range(1200 - late, 1200))


async def test_listeners_that_go_leave_nothing_behind(hall: Hall) -> None:
    for _ in range(10):
        async with hall.listen(b"w"), hall.listen():
            hall.say()
    await until(lambda: len(hall.output) == 0)
    hall.say()
    assert all(viewer.settle is None for viewer in hall.viewers)


async def test_many_listeners_are_served_in_slices(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.output.sound.SLICE_S", 0.0)
    async with contextlib.AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(hall.listen()) for _ in range(40)]
        said = b"".join(hall.say() for _ in range(5))
        for reader in readers:
            assert await read(reader, len(said)) == said
