"""A fake camera's pictures: taken at an even rate while somebody waits for them, damaged as its faults say."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic_ns

from framecast.core.clock import Clock
from framecast.mock import damage, stamp
from framecast.mock.clap import Claps
from framecast.mock.devicetime import DeviceTime
from framecast.mock.faults import Fault, Verdict
from framecast.mock.framing import wrong_length
from framecast.mock.picture import Label, Pictures, Synthetic
from framecast.mock.source import Rate, Schedule

_STATIC_PICTURES = 8
_WRAP_BYTES = 70_000
_JUMPS_S = (-3_600.0, -12.5, 7.0, 90.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture as the device sends it.

    Attributes:
        frame_id: Rises by one a picture.
        payload: Its bytes, damage included.
        taken_ns: Unix ns of the device's clock source.
        verdict: What a reader must make of it.
        length_error: How far the length that is declared for it is from the true one.
        text: Words that are to be sent in place of a picture; empty as a rule.
    """

    frame_id: int
    payload: bytes
    taken_ns: int
    verdict: Verdict
    length_error: int = 0
    text: str = ""


class Shutter:
    """Takes pictures while there are takers; all who wait get the same one.

    Args:
        pictures: Where they come from; None = a few made beforehand, told apart by ``stamp`` alone.
        fps: Rate of the ready-made ones.
        size_px: Width and height of the ready-made ones.
        quality: Quality of the ready-made ones.
        name: Written into the ready-made ones.
        faults: Those of the device.
        frame_bytes: Pad pictures to this many bytes with comments; 0 = as they are.
        seed: Of all chance.
        clock: For stamps and the block code.
        first_frame_id: What the first one is called.
        time: The device's clock, by which it claps.
        claps: Shared with the microphone; None = no flashes.
    """

    def __init__(
        self,
        pictures: Pictures | None,
        *,
        fps: float,
        size_px: tuple[int, int],
        quality: int,
        name: str,
        faults: Iterable[Fault],
        frame_bytes: int,
        seed: int,
        clock: Clock,
        first_frame_id: int,
        time: DeviceTime,
        claps: Claps | None = None,
    ) -> None:
        self.clock = clock
        self.taken = 0
        self.fps = 0.0
        self._pictures = pictures
        self._interval_s = 1 / fps
        self._ready_made = None if pictures else _ready_made(*size_px, quality, name)
        self._flashing = None if pictures or claps is None else _ready_made(*size_px, quality, name, flash=True)
        self._time = time
        self._claps = claps
        self._faults = {fault.name: fault for fault in faults}
        self._frame_bytes = max(frame_bytes, _WRAP_BYTES if "length-wrap" in self._faults else 0)
        self._chance = random.Random(seed)
        self._next_id = first_frame_id
        self._waiting: list[asyncio.Future[Frame]] = []
        self._wanted = asyncio.Event()

    async def next(self) -> Frame:
        """The next picture that is taken."""
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        try:
            return await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def take_now(self) -> Frame | None:
        """A ready-made picture at once, off the grid; None where pictures have to be drawn."""
        return None if self._ready_made is None else self._damaged(self._number(), self.clock.now_ns(), None)

    async def run(self) -> None:
        """Take pictures for ever, on a grid of due times."""
        with ThreadPoolExecutor(1, thread_name_prefix="mock-device") as executor:
            loop = asyncio.get_running_loop()
            schedule = Schedule(loop.time())
            rate = Rate()
            start_ns = self.clock.now_ns()
            while True:
                await self._wanted.wait()
                if self._pictures is None:
                    due_s = self.taken * self._interval_s
                else:
                    due_s = await loop.run_in_executor(executor, self._pictures.advance)
                self.taken += 1
                wait_s = schedule.wait_s(due_s, loop.time())
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                self.fps = rate.tick(loop.time())
                frame_id, taken_ns = self._number(), self.clock.now_ns()
                flash = self._claps is not None and self._claps.picture(self._time.at_s(taken_ns))
                drawn: bytes | None = None
                if self._pictures is not None:
                    label = Label(frame_id, taken_ns // 1000, (taken_ns - start_ns) / 1e9, self.fps, flash)
                    drawn = await loop.run_in_executor(executor, self._pictures.draw, label)
                elif flash and self._flashing is not None:
                    drawn = self._flashing[frame_id % len(self._flashing)]
                self._hand_out(self._damaged(frame_id, taken_ns, drawn))

    def close(self) -> None:
        """Let go of the pictures' files."""
        if self._pictures is not None:
            self._pictures.close()

    def jump_s(self) -> float:
        """By how much the device's clock jumps next."""
        return self._chance.choice(_JUMPS_S)

    def befalls(self, name: str) -> bool:
        """Whether the fault ``name`` strikes now; never where the device doesn't have it."""
        fault = self._faults.get(name)
        return fault is not None and self._chance.random() < fault.value

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _hand_out(self, frame: Frame) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            self._wanted.clear()
        for future in waiting:
            if not future.done():
                future.set_result(frame)

    def _damaged(self, frame_id: int, taken_ns: int, drawn: bytes | None) -> Frame:
        if drawn is None:
            assert self._ready_made is not None
            drawn = self._ready_made[frame_id % len(self._ready_made)]
        payload = stamp.add(drawn, frame_id, monotonic_ns())
        if self._frame_bytes > len(payload):
            payload = damage.enlarge(payload, self._frame_bytes)
        verdict, length_error = Verdict.GOOD, 0
        for name, harm in damage.PICTURE_FAULTS.items():
            if self.befalls(name):
                payload = harm(payload, self._chance)
                if self._faults[name].kind.verdict is Verdict.BAD:
                    verdict = Verdict.BAD
                    break  # one way of being broken is enough to know what should be counted
        if "length-wrap" in self._faults and len(payload) > 0xFFFF:
            length_error = (len(payload) & 0xFFFF) - len(payload)
        elif self.befalls("wrong-content-length"):
            length_error = wrong_length(len(payload), self._chance) - len(payload)
        if length_error and verdict is Verdict.GOOD:
            verdict = Verdict.DOUBTFUL
        text = "No frames send." if self.befalls("text-part") else ""
        return Frame(frame_id, payload, taken_ns, verdict, length_error, text)


@lru_cache(maxsize=16)
def _ready_made(width_px: int, height_px: int, quality: int, name: str, *, flash: bool = False) -> tuple[bytes, ...]:
    """A few pictures, half a second apart."""
    pictures = Synthetic(
        width_px, height_px, fps=2.0, quality=quality, name=name, show_frame_id=False, block_code=False
    )
    return tuple(pictures.draw(Label(0, 0, pictures.advance(), flash=flash)) for _ in range(_STATIC_PICTURES))
