"""Sound that is fetched: WAV and raw PCM in all dialects, on demand, over accidents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.errors import BadStatus, DeviceError, Misuse, ProtocolError, Replaced
from framecast.core.stream import Stream
from framecast.core.supervise import Backoff, Supervisor
from framecast.ingest import http_sound as module
from framecast.ingest.http_client import Options
from framecast.ingest.http_sound import Cutter, HttpSound, SoundReader
from framecast.ingest.sound import Microphone
from framecast.wire import wav
from tests.core.fakes import Collector, until
from tests.support.sounding import SAMPLES, Asked, Handle, answering, device

pytestmark = pytest.mark.anyio


@pytest.fixture
async def microphone() -> AsyncIterator[Microphone]:
    async with Supervisor() as supervisor:
        yield Microphone(Stream("door", 1, supervisor))


def heard(microphone: Microphone) -> tuple[bytes, int, int]:
    """All that came, and of what form it was."""
    ring = microphone.stream.audio.ring
    (form,) = {packet.format for packet in ring}
    return b"".join(packet.payload for packet in ring), form.sample_rate_hz, form.channels


class TestAnswers:
    @pytest.mark.parametrize("kind", ["audio/wav", "audio/x-wav", "application/octet-stream", "audio/pcm", "audio/L16"])
    async def test_a_wav_whatever_it_is_called(self, microphone: Microphone, kind: str) -> None:
        body = wav.endless_header(22_050, 2) + SAMPLES
        async with device(answering(body, f"Content-Type: {kind}")) as url:
            await HttpSound(f"{url}/audio").run(microphone)
        samples, rate, channels = heard(microphone)
        assert (rate, channels) == (22_050, 2)
        assert SAMPLES.startswith(samples)
        assert len(SAMPLES) - len(samples) < 0.02 * 22_050 * 4

    async def test_s60sc(self, microphone: Microphone) -> None:
        """Its path has a query, its header a length of 0."""
        asked: list[str] = []
        header = wav.endless_header(16_000, 1)[:-4] + bytes(4)

        async def handle(head: str, writer: asyncio.StreamWriter) -> None:
            asked.append(head.split("\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(SAMPLES), 1000):
                piece = (header if not at else b"") + SAMPLES[at : at + 1000]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
            await writer.drain()

        async with device(handle) as url:
            await HttpSound(f"{url}/sustain?audio=1").run(microphone)
        assert asked == ["GET /sustain?audio=1 HTTP/1.1"]
        assert heard(microphone) == (SAMPLES, 16_000, 1)

    @pytest.mark.parametrize(
        ("path", "fields", "form"),
        [
            ("/pcm", ("Content-Type: audio/pcm",), (16_000, 1)),
            ("/pcm", (), (16_000, 1)),
            ("/pcm?rate=8000", ("Content-Type: audio/pcm",), (8_000, 1)),
            ("/pcm", ("X-Sample-Rate: 44100", "X-Channels: 2"), (44_100, 2)),
            ("/pcm?rate=48000&channels=1", ("X-Sample-Rate: 44100", "X-Channels: 2"), (48_000, 1)),
            ("/pcm", ("Content-Type: audio/pcm; rate=32000; channels=2",), (32_000, 2)),
        ],
    )
    async def test_raw_samples_say_their_form_in_many_ways(
        self, microphone: Microphone, path: str, fields: tuple[str, ...], form: tuple[int, int]
    ) -> None:
        async with device(answering(SAMPLES, *fields)) as url:
            await HttpSound(url + path).run(microphone)
        samples, *rest = heard(microphone)
        assert tuple(rest) == form
        assert SAMPLES.startswith(samples)

    async def test_l16_is_turned(self, microphone: Microphone) -> None:
        async with device(answering(b"\1\2" * 320, "Content-Type: audio/L16; rate=16000")) as url:
            await HttpSound(url).run(microphone)
        assert heard(microphone)[0] == b"\2\1" * 320

    @pytest.mark.parametrize(
        ("handle", "error"),
        [
            (answering(b"", status="404 Not Found"), BadStatus),
            (answering(b"", status="503 Busy"), BadStatus),
            (answering(b"<html>", "Content-Type: text/html"), ProtocolError),
            (answering(b"ID3", "Content-Type: audio/mpeg"), ProtocolError),
            (answering(SAMPLES, "X-Sample-Rate: 1"), ProtocolError),
            (answering(SAMPLES, "X-Channels: many"), ProtocolError),
            (answering(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(1000)), ProtocolError),
            (answering(b"RIFF\0\0\0\0WAVE" + b"junk\xff\xff\0\0" + bytes(100_000)), ProtocolError),
        ],
    )
    async def test_what_is_no_sound(self, microphone: Microphone, handle: Handle, error: type[DeviceError]) -> None:
        async with device(handle) as url:
            with pytest.raises(error):
                await HttpSound(url).run(microphone)
        assert microphone.published == 0

    async def test_an_address_that_is_forbidden(self, microphone: Microphone) -> None:
        def check(host: str, address: str) -> None:
            raise Misuse("not there")

        async with device(answering(SAMPLES)) as url:
            with pytest.raises(Misuse, match="not there"):
                await HttpSound(url, options=Options(check_address=check)).run(microphone)

    @pytest.mark.parametrize("url", ["http://cam/?rate=5", "http://cam/?channels=9", "ftp://cam/", "http://"])
    def test_urls_that_make_no_sense(self, url: str) -> None:
        with pytest.raises(Misuse):
            HttpSound(url)

    async def test_another_device_that_takes_over_ends_it(self, microphone: Microphone) -> None:
        async def handle(_: str, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:
                writer.write(bytes(640))
                await writer.drain()
                await asyncio.sleep(0.002)

        async with device(handle) as url:
            session = asyncio.ensure_future(HttpSound(url).run(microphone))
            await until(lambda: microphone.published > 2)
            microphone.check_in("another")
            with pytest.raises(Replaced):
                await session


@given(st.lists(st.integers(1, 3000), max_size=30), st.booleans(), st.sampled_from([(8_000, 1), (44_100, 2)]))
def test_cut_anywhere(cuts: list[int], is_wav: bool, form: tuple[int, int]) -> None:
    data = (wav.endless_header(*form) if is_wav else b"") + SAMPLES
    cutter = Cutter() if is_wav else Cutter(*form)
    out: list[bytes] = []
    at = 0
    for cut in (*cuts, len(data)):
        out += cutter.feed(data[at : at + cut])
        at += cut
    frame_bytes = 2 * form[1]
    assert SAMPLES.startswith(b"".join(out))
    assert len(SAMPLES) - sum(map(len, out)) < 0.021 * form[0] * frame_bytes
    assert all(len(each) % frame_bytes == 0 and len(each) <= 0.1 * form[0] * frame_bytes for each in out)


class TestReader:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "LOOK_S", 0.005)

    async def test_it_is_fetched_while_somebody_listens(self, microphone: Microphone) -> None:
        asked, listener, told = Asked(), Collector(), list[bool]()
        microphone.stream.on_demand = told.append
        async with device(asked) as url, Supervisor() as supervisor:
            reader = SoundReader(microphone, HttpSound(url), grace_s=0.02)
            supervisor.keep("sound", reader.run)
            await asyncio.sleep(0.03)
            assert asked.sessions == 0
            microphone.stream.audio.attach(listener)
            await until(lambda: len(listener.packets) > 3)
            assert told == [True], "the camera is told as well"
            assert reader.last_error == ""
            microphone.stream.audio.detach(listener)
            await until(lambda: asked.open == 0)
            assert asked.sessions == 1
            microphone.stream.audio.attach(listener)
            await until(lambda: asked.sessions == 2 and asked.open == 1)

    async def test_always_means_always(self, microphone: Microphone) -> None:
        asked = Asked()
        async with device(asked) as url, Supervisor() as supervisor:
            supervisor.keep("sound", SoundReader(microphone, HttpSound(url), policy="always").run)
            await until(lambda: microphone.published > 3)

    async def test_it_comes_back_after_accidents(self, microphone: Microphone) -> None:
        asked = Asked()
        microphone.stream.audio.attach(Collector())
        async with device(asked) as url, Supervisor() as supervisor:
            asked.broken = True
            reader = SoundReader(microphone, HttpSound(url), backoff=Backoff(0.005, 0.01))
            supervisor.keep("sound", reader.run)
            await until(lambda: asked.sessions > 2)
            assert reader.last_error
            asked.broken = False
            await until(lambda: microphone.published > 3)
            asked.broken = True
            await until(lambda: asked.open == 0)
            asked.broken = False
            await until(lambda: asked.open == 1)
            await until(lambda: reader.last_error == "")

    async def test_a_silent_connection_is_given_up(self, microphone: Microphone) -> None:
        sessions = 0

        async def handle(_: str, writer: asyncio.StreamWriter) -> None:
            nonlocal sessions
            sessions += 1
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            await asyncio.sleep(30)

        microphone.stream.audio.attach(Collector())
        async with device(handle) as url, Supervisor() as supervisor:
            reader = SoundReader(microphone, HttpSound(url), stall_timeout_s=0.02, backoff=Backoff(0.005, 0.01))
            supervisor.keep("sound", reader.run)
            await until(lambda: sessions > 2)
            assert "No sound came" in reader.last_error
            assert microphone.refused["unreachable"] > 0
