"""A fake device's microphone: chunks of sound at the pace of the device's own clock, damaged as its faults say."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from framecast.mock.clap import Claps
from framecast.mock.devicetime import DeviceTime
from framecast.mock.faults import Fault
from framecast.mock.voice import Voice

CHUNK_BYTES = 2_048
"""One chunk, as the doorbell's firmware reads it from its converter: 64 ms of 16 kHz mono."""

_WAITING = 16
"""Chunks kept for one listener that is busy, as a firmware's DMA buffers do; then the oldest is lost."""

_REMEMBERED = 2_048
_CATCH_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """What a device sounds like.

    Attributes:
        sample_rate_hz: Samples a second and channel.
        channels: 1 or 2.
        claps: Whether it claps; without, there is the tone alone, and no picture flashes.
    """

    sample_rate_hz: int = 16_000
    channels: int = 1
    claps: bool = True


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of sound as the device sends it.

    Attributes:
        number: Position since the device started, from 0; a chunk that nobody listened to counts too.
        payload: s16le, interleaved.
        start_s: When its first sample was captured, on the device's clock.
    """

    number: int
    payload: bytes
    start_s: float


class Ear:
    """One listener's chunks: at most 16 wait, then the oldest is lost."""

    def __init__(self) -> None:
        self._waiting: deque[Chunk] = deque(maxlen=_WAITING)
        self._come = asyncio.Event()

    async def next(self) -> Chunk:
        """The next chunk."""
        while not self._waiting:
            self._come.clear()
            await self._come.wait()
        return self._waiting.popleft()

    def give(self, chunk: Chunk) -> None:
        """Let the listener have ``chunk``."""
        self._waiting.append(chunk)
        self._come.set()


class Microphone:
    """Listens while it has listeners; all get the same chunks.

    Args:
        options: Rate and channels, as the device declares them.
        time: The device's clock.
        claps: Shared with the pictures.
        faults: Those of the device.
        seed: Of all chance.

    Attributes:
        taken: The latest 2,048 chunks, undamaged, oldest first.
    """

    def __init__(
        self, options: SoundOptions, time: DeviceTime, claps: Claps, faults: Iterable[Fault] = (), seed: int = 0
    ) -> None:
        self.options = options
        self.taken: deque[Chunk] = deque(maxlen=_REMEMBERED)
        self._faults = {fault.name: fault for fault in faults}
        lie = self._faults.get("sound-rate")
        self._rate_hz = lie.value if lie else float(options.sample_rate_hz)
        self._voice = Voice(self._rate_hz, options.channels)
        self._time = time
        self._claps = claps
        self._chance = random.Random(seed)
        self._count = CHUNK_BYTES // 2 // options.channels
        self._ears: set[Ear] = set()
        self._wanted = asyncio.Event()
        self._held: Chunk | None = None

    @contextmanager
    def listen(self) -> Iterator[Ear]:
        """A listener, from the next chunk on."""
        ear = Ear()
        self._ears.add(ear)
        self._wanted.set()
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    async def run(self) -> None:
        """Take chunks for ever, each when its last sample is there."""
        chunk_s = self._count / self._rate_hz
        while True:
            await self._wanted.wait()
            number = int(self._time.now_s() / chunk_s)
            while self._ears:
                wait_s = self._time.wait_s((number + 1) * chunk_s)
                if not -_CATCH_UP_S < wait_s <= 2 * chunk_s:
                    break  # held up for long, or started again
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                    continue  # the device may have started again meanwhile
                self._take(number)
                number += 1
            if not self._ears:
                self._wanted.clear()

    def _take(self, number: int) -> None:
        first = number * self._count
        start_s, end_s = first / self._rate_hz, (first + self._count) / self._rate_hz
        clicks = self._claps.clicks(start_s, end_s) if self.options.claps else ()
        payload = self._voice.render(first, self._count, clicks)
        chunk = Chunk(number, payload, start_s)
        self.taken.append(chunk)
        for damaged in self._damaged(chunk):
            for ear in self._ears:
                ear.give(damaged)

    def _damaged(self, chunk: Chunk) -> list[Chunk]:
        """What is sent now in place of ``chunk``: nothing, itself, itself twice, or with one that was held back."""
        if self._befalls("sound-lost"):
            return []
        if self._befalls("sound-odd"):
            chunk = Chunk(chunk.number, chunk.payload[:-1], chunk.start_s)
        held, self._held = self._held, None
        if held is not None:
            return [chunk, held]
        if self._befalls("sound-reordered"):
            self._held = chunk
            return []
        return [chunk, chunk] if self._befalls("sound-doubled") else [chunk]

    def _befalls(self, name: str) -> bool:
        fault = self._faults.get(name)
        return fault is not None and self._chance.random() < fault.value
