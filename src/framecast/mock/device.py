"""A fake device that speaks real bytes over a real socket, sound or broken.

    async with FakeDevice("espressif", ["truncate=0.2"], fps=20) as device:
        ...                      # read device.url
        device.hang()            # silent from here on, connections open
        device.recover()
        await device.reboot()    # connections dropped, uptime from 0
    device.ids(Verdict.GOOD)     # what a reader must have got

Theory of operation: a ``Shutter`` takes pictures while somebody waits for one; each connection is a task that waits
for the next picture and writes it in its dialect's bytes; ``Link`` holds what all connections share, so that a hang
holds them all. Every task belongs to the device's task group and ends with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from framecast.core.clock import SYSTEM, Clock
from framecast.mock.asked import Conversations
from framecast.mock.audio import Audio
from framecast.mock.clap import Claps
from framecast.mock.devicetime import DeviceTime
from framecast.mock.faults import Fault, Verdict
from framecast.mock.line import Line, Link
from framecast.mock.microphone import Microphone, SoundOptions
from framecast.mock.picture import Pictures
from framecast.mock.setup import bound, checked, dialled, find, make_speaker, sound_target, speaker_target, target
from framecast.mock.shutter import Frame, Shutter
from framecast.mock.target import Target, dial
from framecast.mock.troubles import suffer

STALL_S = 4.4
"""The longest pause seen in a camera that then went on."""

_REMEMBERED = 65_536
_UPTIME_AT_START_S = 5_000.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame that was written whole, to one peer."""

    frame_id: int
    verdict: Verdict
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was written since the start, to all peers together."""

    frames: int = 0
    size_bytes: int = 0


class FakeDevice:
    """One device, running between ``async with`` and its end.

    Args:
        dialect: Name in ``dialects.TABLE``.
        faults: As ``faults.parse`` reads them, or parsed.
        fps: Rate; None = the dialect's usual one.
        size_px: Width and height of ready-made pictures.
        quality: JPEG quality of ready-made pictures.
        name: Written into ready-made pictures.
        pictures: Where pictures come from; None = a few ready-made ones, told apart by ``stamp`` alone (cheap).
        frame_bytes: Pad pictures to this many bytes; 0 = as they are.
        host: Address to listen on.
        port: Port to listen on; 0 = any.
        to: URL to push to; without a path, the dialect's own.
        device_id: What a doorbell calls itself.
        token: Sent along when pushing.
        max_clients: Viewers at a time; None = as many as the firmware serves.
        seed: Of all chance.
        clock: For stamps and the block code.
        first_frame_id: What the first frame is called.
        stall_s: How long a stall lasts.
        down_s: How long the device is away when a fault makes it reboot or lose its network.
        retry_s: How long a device that pushes waits before it dials again.
        answer_s: How long it waits for an answer.
        audio: Its sound; None = none.
        clock_ppm: By how many millionths its clock is fast (positive) or slow.
        speaker: WAV file for what its speaker plays; None = no speaker.
        speaker_url: Where it asks for what to play; empty = where the server it pushes to has it.
        log: Gets a line for people now and then.

    Attributes:
        sent: What was written whole, oldest first (the last 65,536).
        written: How much that is, from the start.
        connections: Connections accepted or made since the start.
        statuses: Answers to pushes by HTTP status, WebSocket close codes among them.
        last_answer: Body of the latest answer to a push.
        audio: Its microphone, and what was sent of it.
        claps: When it clapped.

    Raises:
        Misuse: No such dialect or fault, or a fault that the dialect can't have.
    """

    def __init__(
        self,
        dialect: str = "espressif",
        faults: Iterable[str | Fault] = (),
        *,
        fps: float | None = None,
        size_px: tuple[int, int] = (640, 480),
        quality: int = 80,
        name: str = "mock",
        pictures: Pictures | None = None,
        frame_bytes: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        to: str = "",
        device_id: str = "doorbell",
        token: str = "",
        max_clients: int | None = None,
        seed: int = 0,
        clock: Clock = SYSTEM,
        first_frame_id: int = 1,
        stall_s: float = STALL_S,
        down_s: float = 1.0,
        retry_s: float = 1.0,
        answer_s: float = 10.0,
        audio: SoundOptions | None = None,
        clock_ppm: float = 0.0,
        speaker: Path | None = None,
        speaker_url: str = "",
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.dialect = find(dialect)
        self._faults = checked(self.dialect, faults, sound=audio is not None)
        self.faults = frozenset(self._faults)
        self.login = next((fault.login for fault in self._faults.values() if fault.login), "")
        self.max_clients = self.dialect.max_clients if max_clients is None else max_clients
        self.device_id = device_id
        self.token = token
        self.answer_s = answer_s
        self.log = log
        self.sent: deque[Sent] = deque(maxlen=_REMEMBERED)
        self.written = Written()
        self.connections = 0
        self.statuses: Counter[int] = Counter()
        self.last_answer = b""
        self.viewers: list[Line] = []
        self.room = asyncio.Condition()
        if self.dialect.pushes:
            self.target = target(to, self.dialect)
        self._time = DeviceTime(clock, clock_ppm, _UPTIME_AT_START_S)
        self.claps = Claps()
        self.audio: Audio | None = None
        if audio is not None:
            microphone = Microphone(audio, self._time, self.claps, self._faults.values(), seed)
            self.audio = Audio(microphone, sound_target(self.target if self.dialect.pushes else None, self.dialect))
        self.speaker = None if speaker is None else make_speaker(speaker, self.dialect, speaker_url)
        self.speaker_target = speaker_target(speaker_url) if speaker_url else None
        self._host, self._port = host, port
        self.stall_s, self.down_s, self._retry_s = stall_s, down_s, retry_s
        self._link = Link(bytes_per_s=self._faults["slow"].value if "slow" in self._faults else 0.0)
        self._link.flowing.set()
        self._talks: dict[Line, asyncio.Task[None]] = {}
        self._dialled: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._online = asyncio.Event()
        self._first_sent = asyncio.Event()
        self._shutter = Shutter(
            pictures,
            fps=self.dialect.fps if fps is None else fps,
            size_px=size_px,
            quality=quality,
            name=name,
            faults=self._faults.values(),
            frame_bytes=frame_bytes,
            seed=seed,
            clock=clock,
            first_frame_id=first_frame_id,
            time=self._time,
            claps=self.claps if audio is not None and audio.claps else None,
        )
        self._conversations = Conversations(self)

    # Life

    async def __aenter__(self) -> Self:
        if not self.dialect.pushes:
            self._socket = bound(self._host, self._port)
            self._port = self._socket.getsockname()[1]
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._tasks = {self._start(self._shutter.run())}
        if "refuse" not in self._faults:
            await self.go_online()
        self._tasks.update(self._start(self._keep_dialling(talk)) for talk in dialled(self, self.dialect))
        if self.audio is not None:
            self._tasks.add(self._start(self.audio.microphone.run()))
        self._tasks.update(self._start(suffer(self, fault, self._first_sent)) for fault in self._faults.values())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._go_offline()
        for task in self._tasks:
            task.cancel()
        # The body's own error goes on as it is; the group's are those of the device's tasks.
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            if not self.dialect.pushes:
                self._socket.close()
            self._shutter.close()
            if self.speaker is not None:
                self.speaker.close()

    @property
    def url(self) -> str:
        """Where to read the stream (or the still, where the dialect has no stream)."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}{self.dialect.path}"

    @property
    def base_url(self) -> str:
        """``http://HOST:PORT`` of a device that is asked."""
        return self.url.removesuffix(self.dialect.path)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def clients(self) -> int:
        """How many watch the stream now."""
        return len(self.viewers)

    @property
    def fps(self) -> float:
        """Pictures a second it takes at present."""
        return self._shutter.fps

    def ids(self, *verdicts: Verdict) -> list[int]:
        """Ids of the frames that were sent, in their order; of those with one of ``verdicts``, if any are given."""
        return [sent.frame_id for sent in self.sent if not verdicts or sent.verdict in verdicts]

    # Troubles, for tests to call

    def hang(self) -> None:
        """Silent from now on, the connections open, until ``recover``."""
        self._link.flowing.clear()

    def freeze(self) -> None:
        """Stop half-way through the next picture, until ``recover``."""
        self._link.freezing = True

    def recover(self) -> None:
        """Go on where it stopped."""
        self._link.freezing = False
        self._link.flowing.set()

    def jump(self, seconds: float | None = None) -> None:
        """Move the device's own clock; by chance where nothing is said."""
        self._time.jump(self._shutter.jump_s() if seconds is None else seconds)

    def drop(self) -> None:
        """Lose every connection at once, without a word."""
        talks, self._talks = self._talks, {}
        for line, task in talks.items():
            line.drop()
            task.cancel()
        for task in self._dialled:
            task.cancel()

    async def leave(self, down_s: float) -> None:
        """Lose the network for ``down_s`` seconds: connections drop, and nobody answers (new ones are refused)."""
        self._go_offline()
        if down_s:
            await asyncio.sleep(down_s)
        await self.go_online()

    async def reboot(self, down_s: float = 0.0) -> None:
        """Lose every connection, be away for ``down_s`` seconds, and begin with an uptime of 0 and in good health."""
        self._go_offline()
        self.recover()
        if down_s:
            await asyncio.sleep(down_s)
        self._time.begin()
        await self.go_online()

    async def go_online(self) -> None:
        """Answer, or dial, from now on."""
        self._online.set()
        if not self.dialect.pushes and self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=self._socket)

    # What its conversations and its push dialect use

    async def next_frame(self) -> Frame:
        """The next picture."""
        return await self._shutter.next()

    def uptime_s(self, frame: Frame) -> float:
        """When ``frame`` was taken, on the device's own clock."""
        return self.stamp_s(self._time.at_s(frame.taken_ns))

    def stamp_s(self, moment_s: float) -> float:
        """How the device writes a moment of its own clock."""
        return self._time.stamp_s(moment_s)

    def record(self, frame: Frame, line: Line) -> None:
        """``frame`` is written whole."""
        verdict = Verdict.DOUBTFUL if line.froze and frame.verdict is Verdict.GOOD else frame.verdict
        size_bytes = len(frame.payload)
        self.sent.append(Sent(frame.frame_id, verdict, size_bytes))
        self.written = Written(self.written.frames + 1, self.written.size_bytes + size_bytes)
        self._first_sent.set()

    def befalls(self, name: str) -> bool:
        """Whether the fault ``name`` strikes this time."""
        return self._shutter.befalls(name)

    def answered(self, status: int, body: bytes) -> None:
        """The peer answered a push."""
        self.statuses[status] += 1
        self.last_answer = body

    async def dial(self, target: Target | None = None) -> Line:
        """A new connection to ``target``, or to the one it pushes to."""
        line = await dial(target or self.target, self._link)
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._talks[line] = task
        return line

    # Inside

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    def _go_offline(self) -> None:
        self._online.clear()
        self.drop()
        if self._server is not None:
            self._server.close()
            self._server = None
            # Bound and not listening: the port stays ours, and connections are refused.
            self._socket = bound(self._host, self._port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer, self._link)
        self.connections += 1
        self._talks[line] = self._start(self._talk(line))

    async def _talk(self, line: Line) -> None:
        try:
            await self._conversations.hold(line)
        except (OSError, EOFError):
            pass  # the client is gone, which is its right
        finally:
            self._talks.pop(line, None)
            line.close()

    async def _keep_dialling(self, talk: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._online.wait()
            task = self._start(self._dial_once(talk))
            self._dialled.add(task)
            await asyncio.wait({task})
            self._dialled.discard(task)

    async def _dial_once(self, talk: Callable[[], Awaitable[None]]) -> None:
        try:
            await talk()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.log(f"Connection lost ({error or type(error).__name__})")
            await asyncio.sleep(self._retry_s)
        finally:
            for line in [line for line, task in self._talks.items() if task is asyncio.current_task()]:
                del self._talks[line]
                line.close()
