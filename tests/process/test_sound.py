from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import av
import numpy as np
import psutil
import pytest

from framecast.core.mailbox import Mailbox, Policy
from framecast.core.packet import Format, Packet
from framecast.core.rendition import Rendition
from framecast.core.track import Track
from framecast.process.coding import Block, SoundWorker
from framecast.process.factories import make_worker
from framecast.process.sound import CODECS, SoundMaker
from framecast.process.worker import codec_executor

pytestmark = pytest.mark.anyio

S_NS = 1_000_000_000
START_NS = 1_700_000_000 * S_NS
CHUNK = 1024


def aac() -> SoundMaker:
    return SoundMaker(CODECS["aac"])


@dataclass
class Device:
    """A microphone whose crystal is off: its samples lie farther apart than they should."""

    rate_hz: int = 16_000
    channels: int = 1
    ppm: float = 0.0
    chunk: int = CHUNK

    def at_ns(self, sample: float) -> int:
        """When a sample is recorded, by our clock."""
        return START_NS + round(sample / self.rate_hz * (1 + self.ppm * 1e-6) * S_NS)

    def block(self, number: int, clicks_at_s: tuple[float, ...] = (), hum: int = 0) -> Packet:
        """Chunk ``number``, silent but for clicks at capture times after the start."""
        first = number * self.chunk
        samples = np.zeros((self.chunk, self.channels), np.int16)
        if hum:
            samples[:] = hum
        for at_s in clicks_at_s:
            index = round(at_s * self.rate_hz / (1 + self.ppm * 1e-6)) - first
            if 0 <= index < self.chunk:
                samples[index] = 30_000
        form = Format("pcm_s16le", sample_rate_hz=self.rate_hz, channels=self.channels)
        return Packet(samples.tobytes(), form, number, number, 1, self.at_ns(first), self.at_ns(first + self.chunk))


def heard(maker: SoundMaker, blocks: list[Block]) -> list[tuple[int, float]]:
    """Peak of each packet after decoding: when it lies (ns) and how loud it is."""
    found = []
    for block, samples in zip(blocks, decoded(maker, blocks), strict=True):
        peak = int(np.abs(samples).argmax())
        found.append((block.pts_ns + peak * S_NS // maker.format.sample_rate_hz, float(np.abs(samples).max())))
    return found


def decoded(maker: SoundMaker, blocks: list[Block]) -> list[np.ndarray]:
    name = "libopus" if maker.format.codec == "opus" else "aac"
    decoder = av.CodecContext.create(name, "r")
    decoder.sample_rate = maker.format.sample_rate_hz
    decoder.layout = "stereo" if maker.format.channels == 2 else "mono"
    if name == "aac":
        rates = (96000, 88200, 64000, 48000, 44100)
        config = 2 << 11 | rates.index(maker.format.sample_rate_hz) << 7 | maker.format.channels << 3
        decoder.extradata = config.to_bytes(2)
    found = []
    for block in blocks:
        (frame,) = decoder.decode(av.Packet(block.payload))
        assert frame.samples == maker.samples
        samples = frame.to_ndarray().astype(float)
        if frame.format.name.startswith("s16"):
            samples /= 32768
        found.append(samples.reshape(-1, maker.format.channels)[:, 0] if frame.format.is_packed else samples[0])
    return found


def loudest(maker: SoundMaker, blocks: list[Block], near_s: float) -> float:
    """Seconds after the start at which the loudest sample within 200 ms of ``near_s`` lies."""
    near_ns = START_NS + round(near_s * S_NS)
    found = [(level, at_ns) for at_ns, level in heard(maker, blocks) if abs(at_ns - near_ns) < 200_000_000]
    level, at_ns = max(found)
    assert level > 0.2, "the click is there"
    return (at_ns - START_NS) / S_NS


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with codec_executor(1) as threads:
        yield threads


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_click_stays_at_its_time(codec: str, rate_hz: int, channels: int) -> None:
    maker, device = SoundMaker(CODECS[codec]), Device(rate_hz, channels)
    blocks = [block for n in range(2 * rate_hz // CHUNK) for block in maker.make(device.block(n, (1.0,)))]
    assert maker.format == Format(
        codec, sample_rate_hz=44_100 if codec == "aac" and 44_100 % rate_hz == 0 else 48_000, channels=channels
    )
    assert maker.samples == (1024 if codec == "aac" else 960)
    assert abs(loudest(maker, blocks, 1.0) - 1.0) < 0.002


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("ppm", [200, -200, 1500])
def test_ten_minutes_of_a_drifting_device(codec: str, ppm: float) -> None:
    maker, device = SoundMaker(CODECS[codec]), Device(ppm=ppm)
    seconds, clicks = 600, (1.0, 30.0, 300.0, 599.0)
    blocks: list[Block] = []
    kept: dict[float, list[Block]] = {click: [] for click in clicks}
    chunks = seconds * device.rate_hz // device.chunk
    for number in range(chunks):
        made = maker.make(device.block(number, clicks))
        for block in made:
            for click in clicks:
                if abs(block.pts_ns - START_NS - click * S_NS) < S_NS:
                    kept[click].append(block)
        blocks += made
    for click in clicks:
        assert abs(loudest(maker, kept[click], click) - click) < 0.002, click
    assert follows_without_a_seam(maker, blocks)
    assert 0 < device.at_ns(chunks * device.chunk) - blocks[-1].pts_ns < 0.1 * S_NS


def follows_without_a_seam(maker: SoundMaker, blocks: list[Block]) -> bool:
    span_ns = maker.samples * S_NS / maker.format.sample_rate_hz
    return all(abs(after.pts_ns - before.pts_ns - span_ns) < 2 for before, after in pairwise(blocks))


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("hole", [1, 3, 20, 100])
def test_a_hole_is_silence_and_what_follows_stays_in_place(codec: str, hole: int) -> None:
    maker, device = SoundMaker(CODECS[codec]), Device()
    numbers = [*range(20), *range(20 + hole, 60 + hole)]
    click_s = (40 + hole) * CHUNK / 16_000 + 0.01
    blocks = [block for number in numbers for block in maker.make(device.block(number, (click_s,)))]
    assert follows_without_a_seam(maker, blocks)
    assert abs(loudest(maker, blocks, click_s) - click_s) < 0.002


def test_a_long_hole_begins_a_new_timeline() -> None:
    maker, device = SoundMaker(CODECS["aac"]), Device()
    before = [block for number in range(20) for block in maker.make(device.block(number))]
    click_s = 1030 * CHUNK / 16_000
    after = [block for number in range(1000, 1060) for block in maker.make(device.block(number, (click_s,)))]
    assert after[0].pts_ns - before[-1].pts_ns > 50 * S_NS
    assert abs(loudest(maker, after, click_s) - click_s) < 0.002


def test_another_form_begins_anew_and_never_goes_back() -> None:
    maker = SoundMaker(CODECS["aac"])
    first, second = Device(16_000), Device(44_100, 2)
    blocks = [block for number in range(20) for block in maker.make(first.block(number))]
    begin = round(20 * CHUNK / 16_000 * 44_100 / CHUNK) + 1
    assert maker.format.channels == 1
    later = [block for number in range(begin, begin + 20) for block in maker.make(second.block(number))]
    assert (maker.format.sample_rate_hz, maker.format.channels) == (44_100, 2)
    assert later[0].pts_ns > blocks[-1].pts_ns


def test_what_is_late_for_its_time_is_left_out() -> None:
    maker, device = SoundMaker(CODECS["aac"]), Device()
    blocks = [block for number in range(20) for block in maker.make(device.block(number))]
    blocks += maker.fill(S_NS)
    click_s = 50 * CHUNK / 16_000
    for number in range(20, 80):
        blocks += maker.make(device.block(number, (click_s,)))
    assert follows_without_a_seam(maker, blocks)
    assert abs(loudest(maker, blocks, click_s) - click_s) < 0.002


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_silence_in_pieces_is_as_long_as_they_are_together(rate_hz: int) -> None:
    maker, device = aac(), Device(rate_hz)
    blocks = [block for number in range(20) for block in maker.make(device.block(number))]
    sample_ns = S_NS / rate_hz
    span_ns, pieces = round(800.97 * sample_ns), 4_000
    for _ in range(pieces):
        blocks += maker.fill(span_ns)
    end_ns = device.at_ns(20 * CHUNK) + pieces * span_ns
    assert follows_without_a_seam(maker, blocks)
    assert end_ns - 0.1 * S_NS < blocks[-1].pts_ns < end_ns


@pytest.mark.parametrize("codec", ["aac", "opus"])
async def test_the_worker_publishes_what_is_made(codec: str, executor: ThreadPoolExecutor) -> None:
    source, out, device = Mailbox(100, Policy.DROP_OLDEST), Track(codec, ring_packets=200), Device()
    for number in range(30):
        source.push(device.block(number))
    source.close()
    await make_worker(Rendition(codec), executor, lambda: None).run(source, out)
    made = out.ring
    assert [packet.seq for packet in made] == list(range(len(made)))
    assert all(packet.key and packet.format.codec == codec for packet in made)
    assert all(packet.pts_ns <= packet.received_ns for packet in made)
    assert made[-1].frame_id == 29


async def test_a_block_is_not_late_before_it_could_have_come(executor: ThreadPoolExecutor) -> None:
    source, out, device = Mailbox(100, Policy.DROP_OLDEST), Track("aac", ring_packets=400), Device(chunk=4_800)
    silence = Mailbox(500, Policy.DROP_OLDEST)
    source.push(device.block(0))
    out.attach(silence)
    task = asyncio.create_task(SoundWorker(aac, executor, patience_s=0.1).run(source, out))
    began_s = asyncio.get_running_loop().time()
    async for packet in silence:
        if packet.pts_ns > device.at_ns(device.chunk):
            break
    assert asyncio.get_running_loop().time() - began_s > 0.3, "as long as the next one takes to be recorded"
    source.close()
    await task


async def test_a_hundred_starts_leave_nothing_behind(executor: ThreadPoolExecutor) -> None:
    process, device = psutil.Process(), Device()

    async def once(codec: str) -> None:
        source, out = Mailbox(9, Policy.DROP_OLDEST), Track(codec, ring_packets=99)
        for number in range(5):
            source.push(device.block(number))
        source.close()
        await make_worker(Rendition(codec), executor, lambda: None).run(source, out)
        assert out.ring

    for _ in range(10):
        await once("aac")
        await once("opus")
    gc.collect()
    before = process.memory_info().rss
    for _ in range(50):
        await once("aac")
        await once("opus")
    gc.collect()
    assert process.memory_info().rss - before < 8 << 20


async def test_silence_takes_the_place_of_what_does_not_come(executor: ThreadPoolExecutor) -> None:
    source, out, device = Mailbox(100, Policy.DROP_OLDEST), Track("aac", ring_packets=200), Device()
    silence = Mailbox(500, Policy.DROP_OLDEST)
    for number in range(10):
        source.push(device.block(number, hum=3000))
    out.attach(silence)
    task = asyncio.create_task(SoundWorker(aac, executor, patience_s=0.02).run(source, out))
    end_ns = device.at_ns(10 * CHUNK)
    async for packet in silence:
        if packet.pts_ns > end_ns + S_NS // 4:
            break
    source.push(device.block(40))
    source.close()
    await task
    spans = [after.pts_ns - before.pts_ns for before, after in pairwise(out.ring)]
    assert max(spans) < 1024 / 48_000 * S_NS + 2
    assert out.ring[-1].pts_ns > device.at_ns(39 * CHUNK)
