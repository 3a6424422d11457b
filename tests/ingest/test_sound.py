"""A microphone on the server's clock: drift, losses, pauses, reboots, stamps, and samples that stay as they are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.core.clock import ManualClock
from framecast.core.errors import Replaced
from framecast.core.packet import Packet
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.sampleclock import SampleClock
from framecast.ingest.sound import Microphone
from framecast.wire.pcm import PcmError
from tests.core.fakes import ManualLoop

pytestmark = pytest.mark.anyio

RATE = 16_000
CHUNK = 1024
CHUNK_S = CHUNK / RATE
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class Device:
    """Records sound by a crystal that is off, and says when each chunk really began."""

    def __init__(self, ppm: float = 0.0, rate: int = RATE) -> None:
        self.rate = rate * (1 - ppm * 1e-6)
        self.begun_s = 0.0
        self.samples = 0

    def record(self, samples: int = CHUNK) -> tuple[float, float]:
        """When the next chunk begins and ends, seconds of true time."""
        first_s = self.begun_s + self.samples / self.rate
        self.samples += samples
        return first_s, self.begun_s + self.samples / self.rate


def true_ns(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def errors_ms(ppm: float, minutes: float, jitter_s: float = 0.02, *, seed: int = 1) -> list[float]:
    """How far the mapped times of chunks are off, over some minutes with a network that shakes them."""
    rng, device, clock = random.Random(seed), Device(ppm), SampleClock(RATE)
    off: list[float] = []
    for _ in range(round(minutes * 60 / CHUNK_S)):
        first_s, end_s = device.record()
        delay_s = 0.003 + rng.expovariate(1 / jitter_s) if jitter_s else 0.003
        off.append((clock.map(true_ns(end_s + min(delay_s, 0.4)), CHUNK) - true_ns(first_s)) / MS)
    return off


@pytest.mark.parametrize("ppm", [-500, -200, -20, 0, 20, 200, 500])
def test_drift_stays_within_a_few_milliseconds(ppm: float) -> None:
    off = errors_ms(ppm, 10)
    assert max(abs(each) for each in off[100:]) < 20
    assert max(abs(each) for each in off[2000:]) < 10


@pytest.mark.parametrize("ppm", [-5000, -1500, 1500, 5000])
def test_a_rate_that_is_wrong_is_followed_all_the_same(ppm: float) -> None:
    assert max(abs(each) for each in errors_ms(ppm, 5)[100:]) < 60


@pytest.mark.parametrize("rate", [15_625, 15_900, 16_129, 16_500])
def test_a_converter_that_runs_at_another_rate(rate: int) -> None:
    off = errors_ms((1 - rate / RATE) * 1e6, 5)
    assert max(abs(each) for each in off[round(18 / CHUNK_S) :]) < 20
    rng, device, clock = random.Random(7), Device(rate=rate), SampleClock(RATE)
    for _ in range(2000):
        clock.map(true_ns(device.record()[1] + min(rng.expovariate(100), 0.2)), CHUNK)
    assert clock.drift_ppm == pytest.approx((RATE / rate - 1) * 1e6, abs=60)


@pytest.mark.parametrize("jitter_s", [0.01, 0.05])
def test_one_chunk_in_a_hundred_lost_without_a_number(jitter_s: float) -> None:
    rng, device, clock = random.Random(8), Device(), SampleClock(RATE)
    off: list[float] = []
    arrived_s = 0.0
    for _ in range(5000):
        device.samples += CHUNK * (rng.random() < 0.01)
        first_s, end_s = device.record()
        arrived_s = max(arrived_s, end_s + min(rng.expovariate(1 / jitter_s), 0.4))
        off.append(abs(clock.map(true_ns(arrived_s), CHUNK) - true_ns(first_s)) / MS)
    off.sort()
    assert off[len(off) // 2] < 10
    assert off[len(off) * 8 // 10] < 80


def test_the_drift_is_found() -> None:
    device, clock = Device(200), SampleClock(RATE)
    for _ in range(2000):
        clock.map(true_ns(device.record()[1] + 0.003), CHUNK)
    assert 195 < clock.drift_ppm < 205


def test_times_are_smooth_however_the_network_shakes_the_chunks() -> None:
    rng, device, clock = random.Random(2), Device(), SampleClock(RATE)
    arrived_s, times = 0.0, []
    for _ in range(500):
        arrived_s = max(arrived_s, device.record()[1] + min(rng.expovariate(20), 0.4))
        times.append(clock.map(true_ns(arrived_s), CHUNK))
    steps = [(after - before) / 1e9 for before, after in pairwise(times)]
    assert max(abs(step - CHUNK_S) for step in steps[200:]) < 0.005


def test_a_stall_of_the_network_moves_nothing() -> None:
    device, clock = Device(), SampleClock(RATE)
    for _ in range(100):
        clock.map(true_ns(device.record()[1]), CHUNK)
    recorded = [device.record() for _ in range(6)]
    arrival_s = recorded[-1][1]
    for first_s, _ in recorded:
        assert abs(clock.map(true_ns(arrival_s), CHUNK) - true_ns(first_s)) < MS
    assert clock.pauses == 0


@pytest.mark.parametrize("silent_s", [0.7, 4.4, 30.0, 300.0])
def test_a_pause_moves_time_on_at_once(silent_s: float) -> None:
    device, clock = Device(), SampleClock(RATE)
    for _ in range(100):
        clock.map(true_ns(device.record()[1]), CHUNK)
    device.begun_s += silent_s
    for _ in range(20):
        first_s, end_s = device.record()
        assert abs(clock.map(true_ns(end_s + 0.002), CHUNK) - true_ns(first_s)) < 5 * MS
    assert clock.pauses == 1


def test_sound_that_was_kept_during_a_stall_is_put_right_by_the_burst_that_follows() -> None:
    device, clock = Device(), SampleClock(RATE)
    for _ in range(100):
        clock.map(true_ns(device.record()[1]), CHUNK)
    recorded = [device.record() for _ in range(30)]
    for _ in recorded:
        clock.map(true_ns(recorded[-1][1]), CHUNK)
    for _ in range(20):
        first_s, end_s = device.record()
        assert abs(clock.map(true_ns(end_s), CHUNK) - true_ns(first_s)) < 5 * MS


def test_samples_lost_in_the_device_are_noticed_within_seconds() -> None:
    rng, device, clock = random.Random(3), Device(), SampleClock(RATE)
    for _ in range(200):
        clock.map(true_ns(device.record()[1] + rng.expovariate(200)), CHUNK)
    device.samples += CHUNK * 3
    off: list[int] = []
    for _ in range(130):
        first_s, end_s = device.record()
        off.append(clock.map(true_ns(end_s + rng.expovariate(200)), CHUNK) - true_ns(first_s))
    assert abs(off[0]) > 150 * MS, "it could be the network"
    assert max(abs(each) for each in off[85:]) < 10 * MS


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(-300, 300))
def test_any_weather(seed: int, ppm: int) -> None:
    """Chunks of any length, a shaking network, pauses: times rise, and never lie after the arrival."""
    rng, device, clock = random.Random(seed), Device(ppm), SampleClock(RATE)
    last_ns, arrived_s = 0, 0.0
    for _ in range(300):
        if rng.random() < 0.02:
            device.begun_s += rng.choice([0.03, 0.3, 1.0, 20.0, 100.0])
        samples = rng.choice([160, 512, 1024, 4096])
        _, end_s = device.record(samples)
        arrived_s = max(arrived_s, end_s + rng.expovariate(50))
        end_ns = clock.map(true_ns(arrived_s), samples) + samples * 1_000_000_000 // RATE
        assert end_ns <= true_ns(arrived_s) + MS
        assert end_ns > last_ns
        last_ns = end_ns


class Room:
    """A camera with a microphone, and time by hand."""

    def __init__(self, supervisor: Supervisor, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(START_NS)
        self.pictures = CaptureClock()
        self.stream = Stream("door", 1, supervisor, clock=self.clock)
        self.microphone = Microphone(self.stream)
        self.microphone.follow(self.pictures)

    def send(
        self, number: int | None = None, *, payload: bytes = b"", after_s: float = CHUNK_S, **more: object
    ) -> Packet | None:
        """A chunk, 64 ms after the one before."""
        self.clock.advance(after_s)
        payload = payload or (number or 0).to_bytes(2, "little") * CHUNK
        return self.microphone.chunk(payload, sequence=number, **more)  # type: ignore[arg-type]

    @property
    def heard(self) -> tuple[Packet, ...]:
        return self.stream.audio.ring


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with Supervisor() as supervisor:
        yield Room(supervisor)


async def test_sound_passes_untouched_with_the_time_of_its_first_sample(room: Room) -> None:
    payload = random.Random(1).randbytes(2048)
    packet = room.send(payload=payload)
    assert packet is not None
    assert packet.payload == payload
    assert packet.payload is payload
    assert (packet.format.codec, packet.format.sample_rate_hz, packet.format.channels) == ("pcm_s16le", 16_000, 1)
    assert packet.pts_ns == room.clock.now_ns() - 64 * MS
    assert packet.received_ns == room.clock.now_ns()


async def test_the_ring_holds_a_hundred(room: Room) -> None:
    for number in range(250):
        room.send(number)
    assert len(room.heard) == 100
    assert [each.frame_id for each in room.heard] == list(range(150, 250))
    assert room.microphone.published == 250


async def test_lost_chunks_leave_their_time_free(room: Room) -> None:
    for number in range(20):
        room.send(number)
    room.send(25, after_s=6 * CHUNK_S)
    room.send(26)
    packet = room.send(27)
    assert packet is not None
    assert abs(packet.pts_ns - (room.clock.now_ns() - 64 * MS)) < MS
    assert (room.microphone.lost, room.microphone.pauses) == (5, 0)
    steps = [after.pts_ns - before.pts_ns for before, after in pairwise(room.heard)]
    assert max(steps) == pytest.approx(6 * 64 * MS, abs=MS)


async def test_doubled_and_reordered(room: Room) -> None:
    for number in (0, 1, 3, 2, 2, 4, 5, 5):
        room.send(number)
    assert [each.payload[0] for each in room.heard] == [0, 1, 2, 3, 4, 5]
    assert [each.frame_id for each in room.heard] == [0, 1, 2, 3, 4, 5]
    assert (room.microphone.doubled, room.microphone.lost, room.microphone.late) == (2, 0, 0)


@pytest.mark.parametrize("behind_s", [0.0, 0.003])
def test_a_chunk_waits_for_a_missing_one_only_so_long(monkeypatch: pytest.MonkeyPatch, behind_s: float) -> None:
    """Even where the loop's time, from which timers count, is that of the start of a busy turn."""
    loop = ManualLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    room = Room(Supervisor(), loop.clock)
    room.send(0)
    loop.clock.advance(behind_s)
    assert room.send(2) is None
    loop.now += behind_s
    loop.advance(0.249)
    assert (room.microphone.waiting, len(room.heard)) == (1, 1)
    loop.advance(0.002)
    assert (room.microphone.waiting, len(room.heard), room.microphone.lost) == (0, 2, 1)
    assert loop.timers == 0


def test_each_chunk_that_waits_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = ManualLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    room = Room(Supervisor(), loop.clock)
    for number in (0, 2, 1):
        room.send(number, after_s=0)
    loop.advance(0.2)
    assert room.send(4, after_s=0) is None
    loop.advance(0.249)
    assert room.microphone.waiting == 1
    loop.advance(0.002)
    assert (room.microphone.waiting, room.microphone.lost) == (0, 1)


async def test_a_reboot_begins_a_new_time(room: Room) -> None:
    for number in range(50):
        room.send(number)
    room.clock.advance(7.3)
    packet = room.send(0, payload=b"\1\2" * CHUNK)
    assert packet is not None
    assert packet.pts_ns == room.clock.now_ns() - 64 * MS
    assert room.microphone.restarts == 1


async def test_another_form_begins_a_new_time(room: Room) -> None:
    room.send(0)
    packet = room.send(1, payload=bytes(4 * 480), sample_rate_hz=48_000, channels=2)
    assert packet is not None
    assert (packet.format.sample_rate_hz, packet.format.channels) == (48_000, 2)
    assert packet.pts_ns == room.clock.now_ns() - 10 * MS


async def test_refused_sound_is_counted_and_changes_nothing(room: Room) -> None:
    room.send(0)
    for payload, options in ((b"abc", {}), (bytes(2), {"sample_rate_hz": 4}), (bytes(12), {"channels": 6})):
        with pytest.raises(PcmError):
            room.send(payload=payload, **options)
    assert dict(room.microphone.refused) == {"odd_bytes": 1, "bad_sample_rate": 1, "bad_channels": 1}
    assert len(room.heard) == 1


async def test_a_flood_is_refused(room: Room) -> None:
    taken = 0
    for _ in range(1000):
        try:
            taken += room.send(payload=b"ab", after_s=0.001) is not None
        except PcmError as error:
            assert error.cause == "too_many_chunks"
    assert 450 < taken < 550
    assert room.microphone.refused["too_many_chunks"] == 1000 - taken


async def test_muted_is_silence_of_the_same_length(room: Room) -> None:
    room.microphone.muted = True
    packet = room.send(payload=b"\1\2" * CHUNK)
    assert packet is not None
    assert packet.payload == bytes(2 * CHUNK)


async def test_a_second_device_takes_over_and_the_first_is_refused(room: Room) -> None:
    room.microphone.check_in("A", address="10.0.0.1")
    room.send(7)
    room.microphone.check_in("B", address="10.0.0.2")
    room.send(7, payload=b"\3\4" * CHUNK)
    with pytest.raises(Replaced):
        room.microphone.check_in("A")
    assert (room.microphone.published, room.microphone.replaced) == (2, 1)
    room.clock.advance(6)
    room.microphone.check_in("A")


class TestStamps:
    """Chunks that carry the clock that stamps the pictures."""

    @pytest.mark.parametrize("ppm", [-200, 0, 200])
    async def test_flash_and_click_meet_over_ten_minutes(self, room: Room, ppm: float) -> None:
        """Both stamped by one drifting clock; pictures travel 30 to 90 ms, sound 3 to 200."""
        rng = random.Random(5)
        speed = 1 - ppm * 1e-6
        events: list[tuple[float, str, float]] = []
        arrived_s = 0.0
        for tick in range(10 * 60 * 10):
            arrived_s = max(arrived_s, tick / 10 + 0.03 + min(rng.expovariate(30), 0.2))
            events.append((arrived_s, "picture", tick / 10))
        arrived_s = 0.0
        for tick in range(round(600 / CHUNK_S)):
            arrived_s = max(arrived_s, (tick + 1) * CHUNK_S + 0.003 + min(rng.expovariate(30), 0.2))
            events.append((arrived_s, "sound", tick * CHUNK_S))
        off: list[float] = []
        for arrival_s, kind, at_s in sorted(events):
            room.clock.ticks_ns = max(room.clock.ticks_ns, true_ns(arrival_s))
            stamp_s = round(5.0 + at_s * speed, 3)
            if kind == "picture":
                room.pictures.map(room.clock.now_ns(), stamp_s)
                continue
            packet = room.microphone.chunk(bytes(2 * CHUNK), stamp_s=stamp_s)
            flash_ns = room.pictures.at(5.0 + at_s * speed)
            if packet is not None and flash_ns is not None and at_s > 10:
                off.append(abs(packet.pts_ns - flash_ns) / MS)
        assert len(off) > 9000
        assert max(off) < 40
        assert sorted(off)[len(off) // 2] < 5

    async def test_before_the_first_picture_the_arrival_counts(self, room: Room) -> None:
        packet = room.send(0, stamp_s=12.0)
        assert packet is not None
        assert packet.pts_ns == room.clock.now_ns() - 64 * MS

    async def test_stamps_that_tell_nothing_are_left_aside(self, room: Room) -> None:
        room.pictures.map(room.clock.now_ns(), 100.0)
        for stamp_s in (1e6, 3.0, -1.0, float("nan"), 1e30):
            packet = room.send(stamp_s=stamp_s)
            assert packet is not None
            assert abs(packet.pts_ns - (room.clock.now_ns() - 64 * MS)) < MS
