"""Each dialect's bytes, written out here a second time from WIRE's facts, against what comes over a socket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest
import simplejpeg

from framecast.core.errors import Misuse
from framecast.mock import stamp
from framecast.mock.device import FakeDevice
from framecast.mock.dialects import DIALECTS, TABLE
from framecast.mock.faults import FAULTS
from tests.core.fakes import until
from tests.support import raw

pytestmark = pytest.mark.anyio

B = "123456789000000000000987654321"
T = "e8b8c539-047d-4777-a985-fbba6edff11e"
SERVERS = [dialect.name for dialect in TABLE if not dialect.pushes]
STREAMERS = [dialect.name for dialect in TABLE if dialect.streams]

CHUNKED_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={B}\r\nTransfer-Encoding: chunked\r\n"
)


def chunks(*pieces: bytes) -> bytes:
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)


def espressif(jpeg: bytes, uptime: str) -> bytes:
    fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\nX-Timestamp: {uptime}\r\n\r\n"
    return chunks(f"\r\n--{B}\r\n".encode(), fields.encode(), jpeg)


def esphome(jpeg: bytes, _: str) -> bytes:
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + f"\r\n--{B}\r\n".encode()


def easytarget(jpeg: bytes, _: str) -> bytes:
    fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return chunks(f"\r\n--{B}\r\n".encode(), fields.encode(), jpeg)


def tasmota(jpeg: bytes, _: str) -> bytes:
    head = f"--{T}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"


def tasmota_old(jpeg: bytes, _: str) -> bytes:
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + f"\r\n--{T}\r\n".encode()


def m5stack(jpeg: bytes, _: str) -> bytes:
    fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return chunks(fields.encode(), jpeg, f"\r\n--{B}\r\n".encode())


def s60sc(jpeg: bytes, _: str) -> bytes:
    fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg):>10}\r\n\r\n"
    return chunks(f"\r\n--{B}\r\n".encode(), fields.encode(), jpeg)


TASMOTA_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={T}\r\n\r\n"
STREAMS: dict[str, tuple[str, Callable[[bytes, str], bytes]]] = {
    "espressif": (f"{CHUNKED_HEAD}Access-Control-Allow-Origin: *\r\nX-Framerate: 60\r\n\r\n", espressif),
    "esphome": (
        "HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n"
        f"Content-Type: multipart/x-mixed-replace;boundary={B}\r\n\r\n--{B}\r\n",
        esphome,
    ),
    "easytarget": (f"{CHUNKED_HEAD}Access-Control-Allow-Origin: *\r\n\r\n", easytarget),
    "tasmota": (TASMOTA_HEAD, tasmota),
    "tasmota-old": (TASMOTA_HEAD, tasmota_old),
    "m5stack": (f"{CHUNKED_HEAD}\r\n", m5stack),
    "s60sc": (f"{CHUNKED_HEAD}Access-Control-Allow-Origin: *\r\n\r\n", s60sc),
}


@pytest.mark.parametrize("name", STREAMERS)
async def test_a_stream_is_byte_for_byte_its_firmwares(name: str) -> None:
    head, part = STREAMS[name]
    for target in DIALECTS[name].streams:
        async with FakeDevice(name, fps=50) as device, raw.asked(device.port, target) as reader:
            data = await raw.until_pictures(reader, 3)
        jpegs = raw.STAMPED_JPEG.findall(data)
        uptimes = re.findall(rb"X-Timestamp: (\S+)", data) or [b""] * 3
        expected = head.encode()
        for jpeg, uptime in zip(jpegs[:3], uptimes, strict=False):
            expected += part(jpeg, uptime.decode())
        assert data[: len(expected)] == expected[: len(data)]
        # A busy machine may have it skip one: what was sent counts.
        assert [stamp.read(jpeg).frame_id for jpeg in jpegs[:3]] == device.ids()[:3]
        assert simplejpeg.decode_jpeg_header(jpegs[0])[:2] == (480, 640)


async def test_the_table_of_streams_is_whole() -> None:
    assert set(STREAMS) == set(STREAMERS)


async def test_espressifs_stamps_are_uptime_with_six_digits() -> None:
    async with FakeDevice(fps=50) as device, raw.asked(device.port, "/stream") as reader:
        first = await raw.until_pictures(reader, 3)
        stamps = re.findall(rb"X-Timestamp: (\d+\.\d{6})\r\n", first)
        assert [5000 <= float(value) < 5010 for value in stamps] == [True] * len(stamps)
        await device.reboot()
        async with raw.asked(device.port, "/stream") as reader:
            after = await raw.until_pictures(reader, 1)
        uptime = re.search(rb"X-Timestamp: (\S+)", after)
        assert uptime and float(uptime[1]) < 5


@pytest.mark.parametrize("name", SERVERS)
async def test_a_still_is_one_whole_picture(name: str) -> None:
    dialect = DIALECTS[name]
    for target in dialect.stills:
        async with FakeDevice(name, fps=50) as device:
            answer = await raw.get(device.port, target)
            assert answer.status == 200
            assert re.search(r"(?i)content-type: image/jpeg\r\n", answer.head)
            assert raw.STAMPED_JPEG.fullmatch(answer.body)
            assert device.ids() == [1]


async def test_espressifs_still() -> None:
    async with FakeDevice(fps=50) as device:
        answer = await raw.get(device.port, "/capture?_cb=123")
    uptime = re.search(r"X-Timestamp: (\S+)", answer.head)
    assert uptime
    assert answer.head == (
        f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(answer.body)}\r\n"
        "Content-Disposition: inline; filename=capture.jpg\r\nAccess-Control-Allow-Origin: *\r\n"
        f"X-Timestamp: {uptime[1]}\r\n\r\n"
    )


async def test_a_length_that_is_no_number_python_reads_ends_the_connection_and_not_the_device() -> None:
    async with FakeDevice(fps=50) as device:
        async with raw.asked(device.port, "/status", f"Content-Length: {'9' * 5_000}\r\n") as reader:
            assert await reader.read() == b""
        assert (await raw.get(device.port, "/status")).status == 200


async def test_tasmotas_still_has_no_length_and_a_small_letter() -> None:
    async with FakeDevice("tasmota", fps=50) as device:
        answer = await raw.get(device.port, "/snapshot.jpg")
    assert answer.head == (
        "HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\nContent-type: image/jpeg\r\n\r\n"
    )


async def test_espressifs_controls() -> None:
    async with FakeDevice() as device, raw.connected(device.port) as (reader, writer):

        async def ask(target: str) -> raw.Response:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return await raw.response(reader)

        status = json.loads((await ask("/status")).body)
        assert status["framesize"] == 8 and status["led_intensity"] == 0
        answer = await ask("/control?var=led_intensity&val=255")
        assert (answer.status, answer.body) == (200, b"")
        assert json.loads((await ask("/status")).body)["led_intensity"] == 255
        assert (await ask("/control?var=nonsense&val=8")).status == 500
        assert (await ask("/control?var=framesize")).status == 404
        assert (await ask("/control")).status == 404
        assert (await ask("/bmp")).status == 404
        assert (await ask("/nothing")).status == 404


async def test_a_second_viewer_of_espressif_waits_until_the_first_is_gone() -> None:
    async with FakeDevice(fps=50) as device, raw.asked(device.port, "/stream") as second_asks_later:
        await raw.until_pictures(second_asks_later, 1)
        async with raw.asked(device.port, "/stream") as waiting:
            assert await raw.silent_for(waiting, 0.15)
            assert device.clients == 1
            device.viewers[0].close()
            await raw.until_pictures(waiting, 1)


async def test_a_new_viewer_of_tasmota_replaces_the_old() -> None:
    async with FakeDevice("tasmota", fps=50) as device, raw.asked(device.port, "/stream") as old:
        await raw.until_pictures(old, 1)
        async with raw.asked(device.port, "/cam.jpg") as new:
            await raw.until_pictures(new, 2)
            assert device.clients == 1
            await asyncio.wait_for(old.read(), 20)  # to its end


async def test_s60sc_serves_two_and_refuses_the_third() -> None:
    async with FakeDevice("s60sc", fps=50) as device:
        async with (
            raw.asked(device.port, "/sustain?stream=0") as first,
            raw.asked(device.port, "/sustain?video=1") as second,
        ):
            await raw.until_pictures(first, 1)
            await raw.until_pictures(second, 1)
            assert (await raw.get(device.port, "/sustain?stream=0")).status == 500
        assert (await raw.get(device.port, "/sustain?other=0")).status == 404


async def test_m5stacks_first_frames_are_stale() -> None:
    async with FakeDevice("m5stack", fps=50) as device:
        async with raw.asked(device.port, "/api/v1/stream") as reader:
            await raw.until_pictures(reader, 4)
        await until(lambda: device.clients == 0)
        seen = device.ids()
        async with raw.asked(device.port, "/api/v1/stream") as reader:
            data = await raw.until_pictures(reader, 4)
        ids = [stamp.read(jpeg).frame_id for jpeg in raw.STAMPED_JPEG.findall(data)]
    assert ids[:2] == seen[-2:]
    assert ids[2] > ids[1]


async def test_all_viewers_of_a_frame_get_the_same_one() -> None:
    async with (
        FakeDevice("s60sc", fps=50) as device,
        raw.asked(device.port, "/sustain?stream=0") as first,
        raw.asked(device.port, "/sustain?stream=0") as second,
    ):
        one, two = await raw.until_pictures(first, 5), await raw.until_pictures(second, 5)
    pictures = [{stamp.read(jpeg): jpeg for jpeg in raw.STAMPED_JPEG.findall(data)} for data in (one, two)]
    shared = pictures[0].keys() & pictures[1].keys()
    assert len(shared) >= 3
    assert all(pictures[0][key] == pictures[1][key] for key in shared)


async def test_the_rate_is_kept() -> None:
    async with FakeDevice(fps=40) as device, raw.asked(device.port, "/stream") as reader:
        data, came = b"", []
        for number in range(1, 22):
            data = await raw.until_pictures(reader, number, data)
            came.append(asyncio.get_running_loop().time())
    # Of the gaps the middle one: a busy machine may be late, and makes up for it.
    assert 0.0125 < median(after - before for before, after in pairwise(came)) < 0.05


async def test_an_idle_device_takes_no_pictures() -> None:
    async with FakeDevice(fps=200) as device:
        await raw.get(device.port, "/capture")
        await asyncio.sleep(0.1)
        assert device.ids() == [1]
        assert device._shutter.taken <= 3


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(Misuse, match="no dialect 'espresif'; did you mean espressif"):
        FakeDevice("espresif")
    with pytest.raises(Misuse, match="no dialect 'nikon': espressif, esphome"):
        FakeDevice("nikon")
    with pytest.raises(Misuse, match="needs a URL to push to, such as ws://"):
        FakeDevice("websocket")


async def test_a_port_that_is_taken_is_named() -> None:
    async with FakeDevice() as device:
        with pytest.raises(Misuse, match=f"Port {device.port} on 127.0.0.1 can't be used"):
            async with FakeDevice(port=device.port):
                pass


def test_every_dialect_is_told_apart() -> None:
    assert len(DIALECTS) == len(TABLE)
    for dialect in TABLE:
        assert dialect.title and dialect.about
        assert dialect.pushes != bool(dialect.streams or dialect.stills)
    assert len(FAULTS) >= 28
