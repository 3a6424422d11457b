"""A picture polled: pace, unchanged pictures, answers without a length, and what breaks off."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from framecast.core.errors import BadStatus
from framecast.core.stream import State, Stream
from framecast.core.supervise import Supervisor
from framecast.ingest import reader as reading
from framecast.ingest import still
from framecast.ingest.gate import Gate
from framecast.ingest.http_pull import HttpPull
from framecast.ingest.reader import Reader
from tests.core.fakes import until
from tests.data import frame

from .camera import Answer, Asked, RememberingFeed, camera, picture, respond

pytestmark = pytest.mark.anyio


def answering(*answers: bytes, keep: bool = True) -> Answer:
    left = iter(answers)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        writer.write(next(left, respond(b"", "text/plain", "503 Done")))
        return keep

    return answer


async def run(url: str, feed: RememberingFeed) -> None:
    """Until the camera's answers are used up."""
    with pytest.raises(BadStatus) as caught:
        await HttpPull(url, interval_s=0.01).run(feed)
    assert caught.value.status == 503


async def test_each_answer_is_a_picture_over_one_connection() -> None:
    pictures = [picture(number) for number in range(4)]
    feed = RememberingFeed()
    async with camera(answering(*(respond(jpeg) for jpeg in pictures))) as device:
        await run(device.url("/capture"), feed)
        assert device.connections == 1
    assert feed.pictures == pictures
    assert feed.dialects == ["JPEG, polled"]


async def test_no_length_and_another_spelling() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-type: image/jpeg\r\n\r\n"
    feed = RememberingFeed()
    async with camera(answering(*(head + picture(number) for number in range(3)), keep=False)) as device:
        await run(device.url("/snapshot.jpg"), feed)
    assert feed.pictures == [picture(number) for number in range(3)]
    assert feed.dialects == ["Tasmota (JPEG, polled)"]
    assert feed.quirks["no_length_no_chunking"] == 1


async def test_the_same_picture_shows_life_and_nothing_else() -> None:
    feed = RememberingFeed()
    async with camera(answering(*[respond(picture(1))] * 3, respond(picture(2)))) as device:
        await run(device.url("/capture"), feed)
    assert feed.pictures == [picture(1), picture(2)]
    # Twice the same bytes, and not more: the search for a stream counts as life once more.
    assert feed.alive_calls == 3


async def test_not_modified() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        number = next(numbers)
        if number == 5:
            writer.write(respond(b"", "text/plain", "503 Done"))
        elif asked.headers.get("if-none-match") == '"a"':
            writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n')
        else:
            writer.write(respond(picture(1), more='ETag: "a"\r\n'))
        return True

    numbers = count()
    feed = RememberingFeed()
    async with camera(answer) as device:
        await run(device.url("/capture"), feed)
    assert feed.pictures == [picture(1)]
    assert feed.alive_calls == 5


async def test_stamp_of_a_still() -> None:
    feed = RememberingFeed()
    async with camera(answering(respond(picture(1), more="X-Timestamp: 12.250000\r\n"))) as device:
        await run(device.url("/capture"), feed)
    assert feed.stamps == [12.25]
    assert feed.dialects == ["Espressif CameraWebServer (JPEG, polled)"]


async def test_a_cut_picture_is_counted_and_the_next_one_comes() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 9000\r\n\r\n" + picture(0)
    feed = RememberingFeed()
    async with camera(answering(cut, respond(picture(1)), keep=False)) as device:
        await run(device.url("/capture"), feed)
    assert feed.pictures == [picture(1)]
    assert feed.faults == {"truncated": 1}


async def test_too_large_a_picture_is_counted() -> None:
    feed = RememberingFeed()
    async with camera(answering(respond(picture(0, 50_000)), respond(picture(1)), keep=False)) as device:
        with pytest.raises(BadStatus):
            await HttpPull(device.url("/capture"), interval_s=0.01, max_bytes=20_000).run(feed)
    assert feed.pictures == [picture(1)]
    assert feed.faults == {"too_many_bytes": 1}


async def test_a_camera_that_becomes_a_stream_is_connected_anew() -> None:
    async with camera(answering(respond(picture(0)), respond(b"", "multipart/x-mixed-replace;boundary=x"))) as device:
        await HttpPull(device.url("/"), interval_s=0.01).run(RememberingFeed())


async def test_pace_is_kept() -> None:
    feed = RememberingFeed()
    loop = asyncio.get_running_loop()
    async with camera(answering(*(respond(picture(number)) for number in range(6)))) as device:
        began = loop.time()
        with pytest.raises(BadStatus):
            await HttpPull(device.url("/capture"), interval_s=0.05).run(feed)
        assert loop.time() - began >= 0.05 * 6 - 0.01
    assert len(feed.pictures) == 6


async def test_a_long_pause_between_two_requests_is_no_silence_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "BREATH_S", 0.05)
    monkeypatch.setattr(reading, "LOOK_S", 0.02)
    states: list[State] = []
    async with (
        Supervisor() as supervisor,
        camera(answering(*(respond(frame(f"small-{n}")) for n in range(3)))) as device,
    ):
        stream = Stream("door", 1, supervisor)
        stream.on_state.append(lambda stream: states.append(stream.state))
        source = HttpPull(device.url("/capture"), interval_s=2.5)
        gate = Gate(stream, verify="never")
        # Long enough for a machine that stands still for a moment.
        reader = Reader(stream, source, gate, label="http://door/", policy="always", stall_timeout_s=2.0)
        supervisor.keep("camera:door", reader.run)
        await until(lambda: stream.published == 2 or reader.sessions > 1)
        assert reader.sessions == 1
        assert states == [State.CONNECTING, State.LIVE]


async def test_a_camera_whose_pictures_are_no_good_shows_no_life(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(RememberingFeed):
        def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
            super().jpeg(payload)
            return False

    monkeypatch.setattr(still, "BREATH_S", 0.005)
    feed = Refusing()
    refused = respond(picture(1), more='ETag: "1"\r\n')
    async with camera(answering(refused[:-100], refused, refused, keep=False)) as device:
        with pytest.raises(BadStatus):
            await HttpPull(device.url("/capture"), interval_s=0.05).run(feed)
        assert not any("if-none-match" in asked.headers for asked in device.asked)
    assert feed.faults["truncated"] == 1
    assert feed.pictures == [picture(1)] * 2
    assert feed.alive_calls == 1  # that it answered at all
