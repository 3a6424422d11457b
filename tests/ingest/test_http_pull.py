"""Pulling streams: dialects, accidents, and the search for a stream where only the address is known."""

from __future__ import annotations

import asyncio

import pytest

from framecast.core.errors import BadStatus, DeviceError, Misuse, ProtocolError
from framecast.ingest.http_client import Options
from framecast.ingest.http_connection import ConnectFailed
from framecast.ingest.http_pull import HttpPull
from framecast.ingest.recognise import EASYTARGET, ESPHOME, ESPRESSIF, GENERIC, M5STACK, S60SC, TASMOTA, candidates
from framecast.ingest.target import Target

from .camera import Answer, Asked, RememberingFeed, camera, picture, respond

pytestmark = pytest.mark.anyio

B = "123456789000000000000987654321"
T = "e8b8c539-047d-4777-a985-fbba6edff11e"
PICTURES = [picture(number, 2000 + 700 * number) for number in range(6)]
QUICK = Options(connect_timeout_s=2.0, head_timeout_s=0.3)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def espressif(boundary: str = B, stamp: bool = True, more: str = "X-Framerate: 60\r\n") -> bytes:
    stream = (
        f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={boundary}\r\n"
        f"Transfer-Encoding: chunked\r\n{more}\r\n"
    ).encode()
    for number, jpeg in enumerate(PICTURES):
        fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
        if stamp:
            fields += f"X-Timestamp: {40 + number}.{number * 1000:06d}\r\n"
        stream += chunk(f"\r\n--{boundary}\r\n".encode()) + chunk(f"{fields}\r\n".encode()) + chunk(jpeg)
    return stream


def esphome() -> bytes:
    stream = f"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: multipart/x-mixed-replace;boundary={B}\r\n\r\n"
    data = f"{stream}--{B}\r\nContent-Type: text/plain\r\n\r\nNo frames send.\r\n--{B}\r\n".encode()
    for jpeg in PICTURES:
        data += f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg
        data += f"\r\n--{B}\r\n".encode()
    return data


def tasmota() -> bytes:
    data = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={T}\r\n\r\n".encode()
    for jpeg in PICTURES:
        head = f"--{T}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        data += head.encode() + jpeg + b"\r\n"
    return data


def m5stack() -> bytes:
    data = (
        f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={B}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    stream = data.encode()
    for jpeg in PICTURES:
        part = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg
        stream += chunk(part + f"\r\n--{B}\r\n".encode())
    return stream


def s60sc() -> bytes:
    data = (
        f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={B}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    stream = data.encode()
    for jpeg in PICTURES:
        fields = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg):10d}\r\n\r\n"
        stream += chunk(f"\r\n--{B}\r\n".encode()) + chunk(fields.encode()) + chunk(jpeg)
    return stream


def bare_jpegs() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + b"".join(PICTURES)


STREAMS = {
    ESPRESSIF: espressif(),
    ESPHOME: esphome(),
    EASYTARGET: espressif(stamp=False, more=""),
    TASMOTA: tasmota(),
    M5STACK: m5stack(),
    S60SC: s60sc(),
    GENERIC: espressif(boundary="frame", more=""),
    "octets": bare_jpegs(),
}


def stream(data: bytes, split: int = 0, pause: bool = False) -> Answer:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        step = split or len(data)
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            if pause:
                await writer.drain()
                await asyncio.sleep(0)

    return answer


@pytest.mark.parametrize("split", [0, 1, 1460])
@pytest.mark.parametrize("dialect", STREAMS)
async def test_every_picture_of_every_dialect_comes(dialect: str, split: int) -> None:
    feed = RememberingFeed()
    async with camera(stream(STREAMS[dialect], split, pause=split > 1)) as device:
        await HttpPull(device.url("/stream")).run(feed)
        assert feed.addresses == [f"127.0.0.1:{device.port}"]
    assert feed.pictures == PICTURES
    assert feed.dialects == [dialect if dialect != "octets" else GENERIC]
    assert not feed.faults


async def test_stamps_and_quirks_are_told() -> None:
    feed = RememberingFeed()
    async with camera(stream(STREAMS[ESPRESSIF])) as device:
        await HttpPull(device.url("/stream")).run(feed)
    assert feed.stamps == pytest.approx([40.0, 41.001, 42.002, 43.003, 44.004, 45.005])
    assert feed.quirks == {"framerate_constant": 1}


@pytest.mark.parametrize(
    ("dialect", "quirk"),
    [
        (ESPHOME, "http10"),
        (ESPHOME, "text_part"),
        (TASMOTA, "no_length_no_chunking"),
        (M5STACK, "no_first_boundary"),
        (S60SC, "padded_content_length"),
    ],
)
async def test_oddities_are_named(dialect: str, quirk: str) -> None:
    feed = RememberingFeed()
    async with camera(stream(STREAMS[dialect])) as device:
        await HttpPull(device.url("/stream")).run(feed)
    assert feed.quirks[quirk] >= 1


async def test_a_stream_cut_in_the_middle_of_a_picture() -> None:
    feed = RememberingFeed()
    async with camera(stream(STREAMS[ESPRESSIF][:-2000])) as device:
        await HttpPull(device.url("/stream")).run(feed)
    assert feed.pictures == PICTURES[:-1]
    assert feed.faults == {"truncated": 1}


async def test_a_reset_is_the_end_of_the_stream() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAMS[ESPRESSIF][:-2000])
        await writer.drain()
        await feed.until(lambda: len(feed.pictures) == 5)
        writer.transport.abort()

    feed = RememberingFeed()
    async with camera(answer) as device:
        await HttpPull(device.url("/stream")).run(feed)
    assert feed.pictures == PICTURES[:-1]


async def test_another_firmware_after_a_reconnect() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(next(streams))

    streams = iter(STREAMS.values())
    feed = RememberingFeed()
    async with camera(answer) as device:
        pull = HttpPull(device.url("/stream"))
        for _ in STREAMS:
            await pull.run(feed)
    assert feed.dialects[:-1] == list(STREAMS)[:-1]
    assert feed.pictures == PICTURES * len(STREAMS)


async def test_a_picture_that_never_changes_is_shown_after_a_reconnect_too() -> None:
    part = f"\r\n--{T}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(PICTURES[0])}\r\n\r\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={T}\r\n\r\n".encode()
    feed = RememberingFeed()
    async with camera(stream(head + 6 * (part + PICTURES[0]))) as device:
        pull = HttpPull(device.url("/stream"))
        await pull.run(feed)
        assert len(feed.pictures) == 6
        await pull.run(feed)
    assert len(feed.pictures) == 11
    assert feed.faults == {"duplicate": 1}


async def test_cancelling_lets_the_connection_go() -> None:
    gone = asyncio.Event()

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(STREAMS[TASMOTA])
                await writer.drain()
                await asyncio.sleep(0.001)
        finally:
            gone.set()

    feed = RememberingFeed()
    async with camera(answer) as device:
        task = asyncio.create_task(HttpPull(device.url("/stream")).run(feed))
        await feed.until(lambda: len(feed.pictures) > 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "503 Busy", "500 Oops"])
async def test_a_refusal_carries_its_status(status: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"no", "text/plain", status))

    async with camera(answer) as device:
        with pytest.raises(BadStatus) as caught:
            await HttpPull(device.url("/stream")).run(RememberingFeed())
    assert caught.value.status == int(status[:3])


@pytest.mark.parametrize(("kind", "status"), [("", "503 Busy"), ("text/html", "200 OK"), ("audio/wav", "200 OK")])
async def test_what_is_wrong_is_said_without_the_secrets_of_the_address(kind: str, status: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"no", kind, status))

    async with camera(answer) as device:
        with pytest.raises(DeviceError) as caught:
            await HttpPull(device.url("/video.cgi?user=me&pwd=s3cret&n=1", "me:s3cret@")).run(RememberingFeed())
        assert device.asked[0].target == "/video.cgi?user=me&pwd=s3cret&n=1"
        assert device.url("/video.cgi?user=me&pwd=***&n=1") in str(caught.value)


@pytest.mark.parametrize("kind", ["text/html", "application/json", "audio/wav"])
async def test_what_is_no_stream(kind: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"<html>", kind))

    async with camera(answer) as device:
        with pytest.raises(ProtocolError):
            await HttpPull(device.url("/stream")).run(RememberingFeed())


@pytest.mark.parametrize("path", ["/stream", "/", "/cam.mjpeg", "/api/v1/stream", "/sustain?stream=0", "/video"])
async def test_a_bare_address_finds_its_stream(path: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == path:
            writer.write(STREAMS[TASMOTA])
        elif asked.target == "/":
            writer.write(respond(b"<html>", "text/html"))
        else:
            writer.write(respond(b"", "text/plain", "404 Not Found"))

    feed = RememberingFeed()
    async with camera(answer) as device:
        pull = HttpPull(f"127.0.0.1:{device.port}")
        await pull.run(feed)
        asked = len(device.asked)
        await pull.run(feed)
        assert len(device.asked) == asked + 1
    assert feed.pictures == PICTURES * 2


async def test_a_search_that_was_cut_short_still_looks_for_the_stream_before_a_picture() -> None:
    hangs = True

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/stream" and hangs:
            asked_for.set()
            await asyncio.Event().wait()
        elif asked.target == "/stream":
            writer.write(STREAMS[ESPRESSIF])
        elif asked.target == "/capture":
            writer.write(respond(PICTURES[0]))
        else:
            writer.write(respond(b"", "text/plain", "404 Not Found"))

    asked_for = asyncio.Event()
    feed = RememberingFeed()
    async with camera(answer) as device:
        pull = HttpPull(device.url())
        search = asyncio.create_task(pull.run(feed))
        await asked_for.wait()
        search.cancel()
        await asyncio.gather(search, return_exceptions=True)
        hangs = False
        async with asyncio.timeout(5.0):
            await pull.run(feed)
    assert feed.dialects == [ESPRESSIF]


async def test_a_bare_address_without_a_stream() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", "text/plain", "404 Not Found"))

    async with camera(answer) as device:
        with pytest.raises(ProtocolError, match="full URL"):
            await HttpPull(device.url()).run(RememberingFeed())


async def test_a_bare_address_that_wants_a_password_is_not_searched_on() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", "text/plain", "401 No", 'WWW-Authenticate: Basic realm="cam"\r\n'))

    async with camera(answer) as device:
        with pytest.raises(BadStatus):
            await HttpPull(device.url()).run(RememberingFeed())
        assert len(device.asked) == 1


async def test_silence_says_more_than_a_missing_page() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/":
            await asyncio.Event().wait()
        writer.write(respond(b"", "text/plain", "404 Not Found"))

    async with camera(answer) as device:
        with pytest.raises(ConnectFailed) as caught:
            await HttpPull(device.url(), options=QUICK).run(RememberingFeed())
    assert caught.value.reason == "silent"


async def test_forbidden_addresses() -> None:
    def never(host: str, address: str) -> None:
        raise Misuse("no")

    with pytest.raises(Misuse):
        await HttpPull("http://127.0.0.1:1/", options=Options(check_address=never)).run(RememberingFeed())


async def test_candidates_begin_with_the_likeliest() -> None:
    urls = [place.url for place in candidates(Target.parse("192.168.1.20"))]
    assert urls[:3] == [
        "http://192.168.1.20:81/stream",
        "http://192.168.1.20/stream",
        "http://192.168.1.20/api/v1/stream",
    ]
    assert all(place.port == 8000 for place in candidates(Target.parse("192.168.1.20:8000")))


async def test_no_dialect_at_all() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01\x02 what is this\r\n\r\n")

    async with camera(answer) as device:
        with pytest.raises(DeviceError):
            await HttpPull(device.url("/stream")).run(RememberingFeed())


async def test_nonsense_between_chunks_ends_the_stream_and_is_counted() -> None:
    feed = RememberingFeed()
    async with camera(stream(STREAMS[ESPRESSIF] + b"this is no chunk\r\n" * 2, split=1000, pause=True)) as device:
        await HttpPull(device.url("/stream")).run(feed)
    assert feed.pictures == PICTURES
    assert feed.faults == {"protocol_error": 1}
