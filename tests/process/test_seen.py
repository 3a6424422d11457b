"""Looks meet the pictures they are drawn into: the newest one, while it is true of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.rendition import Rendition
from framecast.core.track import Track
from framecast.process.factories import make_worker
from framecast.process.outlines import PERSON
from framecast.process.rendition import JpegRendition
from framecast.process.seen import Seen
from framecast.wire.detections import Look, Thing, pack

from .pictures import decoded, jpeg_of, packet_of, scene

pytestmark = pytest.mark.anyio

VGA = jpeg_of(scene(640, 480), 85)
BOXED = Rendition(overlay=frozenset({"detections"}))
SOMEBODY = (Thing("person", 0.9, (0.25, 0.25, 0.5, 0.5), 1),)
S = 1_000_000_000


def picture(at_s: float, frame_id: int = 7, epoch: int = 1) -> Packet:
    return replace(packet_of(VGA, frame_id), pts_ns=round(at_s * S), epoch=epoch)


def look(at_s: float, things: tuple[Thing, ...] = SOMEBODY, epoch: int = 1, state: str = "") -> Packet:
    pts_ns = round(at_s * S)
    payload = pack(Look(7, epoch, pts_ns, things, state=state, reason=state))
    return Packet(payload, Format("detections"), 7, 0, epoch, pts_ns, pts_ns)


def is_boxed(payload: bytes) -> bool:
    """Whether the box of ``SOMEBODY`` is drawn: its left edge, at a place where the picture is another colour."""
    edge = decoded(payload)[200:280, 160].astype(int)
    return bool((abs(edge - PERSON).max(axis=1) < 70).mean() > 0.9)


def test_a_picture_shows_the_newest_look() -> None:
    seen = Seen()
    maker = JpegRendition(BOXED, seen)
    seen.push(look(9.0))
    made = maker.make(picture(9.5))
    assert made.encodes == 1
    assert is_boxed(made.payload)
    assert not is_boxed(VGA)


@pytest.mark.parametrize(
    ("looks", "at_s", "shows"),
    [
        ([look(9.0)], 10.0, True),
        ([look(9.0)], 10.1, False),
        ([look(9.0)], 8.1, True),  # a slow maker gets a look at a later picture
        ([look(7.0), look(9.0)], 12.9, True),  # one look in 2 s: it holds for 4
        ([look(7.0), look(9.0)], 13.1, False),
        ([look(0.0), look(90.0)], 101.0, False),  # a camera that slept has no rhythm of 90 s
        ([look(9.0, epoch=2)], 9.1, False),
        ([look(9.0), look(9.1, ())], 9.2, False),
    ],
)
def test_a_look_is_drawn_while_it_is_true(looks: list[Packet], at_s: float, shows: bool) -> None:
    seen = Seen()
    for each in looks:
        seen.push(each)
    made = JpegRendition(BOXED, seen).make(picture(at_s))
    assert (made.payload is not VGA) is shows
    assert made.encodes == int(shows)


def test_why_nothing_is_seen_is_drawn_and_no_picture_is_encoded_for_nothing() -> None:
    seen = Seen()
    maker = JpegRendition(BOXED, seen)
    seen.push(look(9.0, ()))
    assert maker.make(picture(9.0)).payload is VGA
    seen.push(look(9.1, (), state="no_model"))
    assert maker.make(picture(9.1)).encodes == 1


def test_what_was_seen_is_drawn_at_any_size_and_beside_the_frame_id() -> None:
    seen = Seen()
    seen.push(look(9.0))
    for rendition in (
        replace(BOXED, width_px=320),
        replace(BOXED, max_bytes=12_000),
        Rendition(overlay=frozenset({"detections", "frame-id"})),
    ):
        made = JpegRendition(rendition, seen).make(picture(9.0))
        width = made.width_px
        edge = decoded(made.payload)[made.height_px // 2, width // 4 - 1 : width // 4 + 1].astype(int)
        assert abs(edge - PERSON).max(axis=1).min() < 90


def test_a_mask_makes_it_forget() -> None:
    seen = Seen()
    seen.push(look(9.0))
    seen.clear()
    assert seen.at(picture(9.0)) is None


async def test_all_readers_share_one_encode_and_the_detector_rests_when_they_leave() -> None:
    looks, source, out = Track("detections"), Mailbox(4), Track("video/detections")
    encodes: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as executor:
        worker = make_worker(BOXED, executor, lambda: encodes.update(["encode"]), looks=lambda: looks)
        readers = [Mailbox(4) for _ in range(3)]
        for reader in readers:
            out.attach(reader)
        work = asyncio.create_task(worker.run(source, out))
        source.push(picture(9.0, 1))
        await asyncio.sleep(0)
        assert looks.wanted
        assert not encodes
        looks.publish(look(9.0))  # the first picture waits for it
        source.push(picture(9.1, 2))
        for frame_id in (1, 2):
            packets = [await asyncio.wait_for(reader.get(), 10) for reader in readers]
            assert {packet.frame_id for packet in packets} == {frame_id}
            assert len({id(packet.payload) for packet in packets}) == 1
            assert is_boxed(packets[0].payload)
        assert encodes["encode"] == 2
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert not looks.wanted


@pytest.mark.parametrize("is_looked_at", [True, False])
async def test_a_look_of_before_will_do_while_somebody_looks(is_looked_at: bool) -> None:
    looks, source, out, reader = Track("detections"), Mailbox(4), Track("video/detections"), Mailbox(4)
    if is_looked_at:
        looks.attach(Mailbox())
    looks.publish(look(8.9))
    out.attach(reader)
    with ThreadPoolExecutor(1) as executor:
        worker = make_worker(BOXED, executor, lambda: None, looks=lambda: looks)
        work = asyncio.create_task(worker.run(source, out))
        source.push(picture(9.0, 1))
        if not is_looked_at:
            for _ in range(5):
                await asyncio.sleep(0)
            assert out.latest is None
            looks.publish(look(9.0))
        assert is_boxed((await asyncio.wait_for(reader.get(), 10)).payload)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_look_of_before_will_do_for_its_own_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.process.seen.FIRST_LOOK_S", 60)
    looks, source, out, reader = Track("detections"), Mailbox(4), Track("video/detections"), Mailbox(4)
    looks.publish(look(9.0))
    out.attach(reader)
    with ThreadPoolExecutor(1) as executor:
        worker = make_worker(BOXED, executor, lambda: None, looks=lambda: looks)
        work = asyncio.create_task(worker.run(source, out))
        source.push(picture(9.0, 7))  # a camera that sends a picture now and then
        assert is_boxed((await asyncio.wait_for(reader.get(), 20)).payload)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_detector_that_says_nothing_does_not_keep_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.process.seen.FIRST_LOOK_S", 0.01)
    source, out, reader = Mailbox(4), Track("video/detections"), Mailbox(4)
    out.attach(reader)
    with ThreadPoolExecutor(1) as executor:
        worker = make_worker(BOXED, executor, lambda: None, looks=lambda: Track("detections"))
        work = asyncio.create_task(worker.run(source, out))
        source.push(picture(9.0, 1))
        packet = await asyncio.wait_for(reader.get(), 10)
        assert packet.payload is VGA
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
