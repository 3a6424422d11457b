"""A clapping device and its network in virtual time: what arrives at the server, and when."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge

from framecast.mock.clap import Claps
from framecast.mock.microphone import CHUNK_BYTES
from framecast.mock.picture import Label, Synthetic
from framecast.mock.voice import Voice


@dataclass(frozen=True)
class Network:
    """How long things are under way: at least, and on average above that; now and then for much longer (s)."""

    least_s: float = 0.008
    more_s: float = 0.006
    stall_s: float = 0.25
    stalls: float = 0.004


@dataclass(frozen=True, order=True)
class Arrival:
    """Something is here.

    Attributes:
        at_s: True time, from 0.
        number: Of the picture or chunk.
        taken_s: Device's time of the picture, or of the first sample.
    """

    at_s: float
    number: int
    taken_s: float
    payload: bytes
    sound: bool


class Device:
    """Takes pictures and records sound for a while.

    Args:
        seconds: How long, true time.
        ppm: By how much its clock is fast.
        fps: Pictures a second, of true time.
        rate_hz: Samples a second, of its own time.
        channels: Of the sound.
        size_px: Of the pictures.
        network: For pictures and sound alike, one connection each.
        uptime_s: What its clock shows at first.
        trouble: Share of the chunks that are lost; as many come twice, and as many after the next one.

    Attributes:
        instants: Device's times of its claps.
    """

    def __init__(
        self,
        seconds: float,
        *,
        ppm: float = 0.0,
        fps: float = 10.0,
        rate_hz: int = 16_000,
        channels: int = 1,
        size_px: tuple[int, int] = (160, 120),
        network: Network | None = None,
        uptime_s: float = 5_000.0,
        trouble: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.rate_hz, self.channels = rate_hz, channels
        self._seconds, self._pace, self._fps, self._uptime_s = seconds, 1 + ppm * 1e-6, fps, uptime_s
        self._network = network or Network()
        self._trouble = trouble
        self._chance = random.Random(seed)
        self._pictures = Synthetic(*size_px, fps=fps, show_frame_id=False)
        claps = Claps()
        # A camera's rate is not quite even.
        times = [(number + self._chance.uniform(0, 0.2)) / fps for number in range(int(seconds * fps))]
        self._taken = [(self._device_s(time), claps.picture(self._device_s(time))) for time in times]
        self.instants = [taken_s for taken_s, flash in self._taken if flash]

    def arrivals(self) -> Iterator[Arrival]:
        """Everything that arrives, in its order."""
        return merge(self._sent_pictures(), self._troubled(self._sent_chunks()))

    def _sent_pictures(self) -> Iterator[Arrival]:
        arrived_s = 0.0
        for number, (taken_s, flash) in enumerate(self._taken):
            self._pictures.advance()
            jpeg = self._pictures.draw(Label(number, number, flash=flash))
            arrived_s = max(arrived_s, self._true_s(taken_s) + self._way_s())
            yield Arrival(arrived_s, number, taken_s, jpeg, sound=False)

    def _sent_chunks(self) -> Iterator[Arrival]:
        voice = Voice(self.rate_hz, self.channels)
        count = CHUNK_BYTES // 2 // self.channels
        number = int(self._uptime_s * self.rate_hz / count)
        arrived_s, instants = 0.0, deque(self.instants)
        while True:
            start_s, end_s = number * count / self.rate_hz, (number + 1) * count / self.rate_hz
            if self._true_s(end_s) > self._seconds:
                return
            clicks = [instants.popleft()] if instants and instants[0] < end_s else []
            payload = voice.render(number * count, count, clicks)
            arrived_s = max(arrived_s, self._true_s(end_s) + self._way_s())
            yield Arrival(arrived_s, number, start_s, payload, sound=True)
            number += 1

    def _troubled(self, chunks: Iterator[Arrival]) -> Iterator[Arrival]:
        held: Arrival | None = None
        for chunk in chunks:
            fate = self._chance.random()
            if fate < self._trouble:
                continue
            if fate < 2 * self._trouble and held is None:
                held = chunk
                continue
            yield chunk
            if held is not None:
                yield replace(held, at_s=chunk.at_s)
                held = None
            if fate > 1 - self._trouble:
                yield chunk

    def _way_s(self) -> float:
        network, chance = self._network, self._chance
        way_s = network.least_s + chance.expovariate(1 / network.more_s)
        return way_s + (network.stall_s if chance.random() < network.stalls else 0.0)

    def _device_s(self, true_s: float) -> float:
        return self._uptime_s + true_s * self._pace

    def _true_s(self, device_s: float) -> float:
        return (device_s - self._uptime_s) / self._pace
