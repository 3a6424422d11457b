"""Sound over real sockets: pushed by devices of all kinds, heard as WAV and raw, bit for bit."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.core.rendition import AAC
from framecast.ingest import codes
from framecast.wire import pcm, wav
from tests.core.fakes import Collector
from tests.service.serving import Server, jpeg, serving, until
from tests.support.raw import connected, response
from tests.support.sounding import SAMPLES, Asked, device

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2] / "src" / "framecast"
SOURCES = [*(ROOT / "wire" / f"{name}.py" for name in ("pcm", "wav", "soundbody")), ROOT / "ingest" / "sound.py"]
AUDIO = "/api/v1/cameras/cam/audio"
MIC = "/api/v1/devices/doorbell/mic-stream"
WAV = "/api/v1/cameras/cam/audio.wav"
PCM = "/api/v1/cameras/cam/audio.pcm"


def chunk(number: int, samples: int = 1024) -> bytes:
    """Samples that no other number gives."""
    return random.Random(number).randbytes(2 * samples)


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="device_id"\r\n\r\ndoor\r\n'
    b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.pcm"\r\n\r\n' + chunk(1) + b"\r\n--x--\r\n"
)


@asynccontextmanager
async def listening(server: Server, path: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer whose listener has its place."""
    viewers = server.camera().stream.viewers
    before = set(viewers)
    async with server.client.get(server.url + path, headers=headers) as answer:
        assert answer.status == 200, await answer.read()
        await until(lambda: any(viewers[each].settle is not None for each in viewers.keys() - before))
        yield answer


async def send(server: Server, number: int, path: str = AUDIO, **headers: str) -> dict[str, Any]:
    """Push one chunk; what the device is told."""
    answer = await server.json(
        "POST", path, data=chunk(number), headers={"Content-Type": "application/octet-stream", **headers}
    )
    assert isinstance(answer, dict)
    return answer


async def test_raw_pcm_is_bit_exact(server: Server) -> None:
    async with listening(server, PCM) as answer:
        assert answer.content_type == "audio/pcm"
        assert {name: answer.headers[name] for name in ("X-Sample-Rate", "X-Channels", "X-Bit-Depth")} == {
            "X-Sample-Rate": "16000",
            "X-Channels": "1",
            "X-Bit-Depth": "16",
        }
        for number in range(20):
            told = await send(server, number, **{"X-Sequence": str(number + 7)})
            assert told == {"success": True, "chunk_id": number, "sequence": number + 7, "size": 2048, "clients": 1}
        assert await answer.content.readexactly(20 * 2048) == b"".join(chunk(number) for number in range(20))


async def test_whoever_listens_counts_as_a_client(server: Server) -> None:
    async with listening(server, PCM), listening(server, WAV):
        page = Collector()
        server.camera().stream.audio.attach(page)
        assert (await send(server, 1))["clients"] == 3
        server.camera().stream.audio.detach(page)
        stats = (await server.json("GET", "/api/v1/stream/stats"))["stats"]
        assert (stats["videoClientsConnected"], stats["audioClientsConnected"]) == (0, 2)
    await until(lambda: server.camera().sound.heard_by == 0)


async def test_a_chunk_after_a_missing_one_is_passed_on_soon(server: Server) -> None:
    ids = [(await send(server, number, **{"X-Sequence": str(number)}))["chunk_id"] for number in (0, 1, 5)]
    assert ids == [0, 1, 2]
    microphone = server.camera().sound.microphone
    await until(lambda: microphone.published == 3)
    assert microphone.lost == 3
    assert (await send(server, 5, **{"X-Sequence": "5"}))["chunk_id"] is None


async def test_a_wav_is_the_same_behind_a_header(server: Server) -> None:
    async with listening(server, WAV) as answer:
        assert answer.content_type == "audio/wav"
        for number in range(3):
            await send(server, number, **{"X-Sample-Rate": "44100", "X-Channels": "2"})
        data = await answer.content.readexactly(wav.HEADER_BYTES + 3 * 2048)
        assert wav.parse(data) == (b"".join(chunk(number) for number in range(3)), 44_100, 2)


async def test_a_wav_that_is_posted_says_its_own_form(server: Server) -> None:
    await server.json("POST", AUDIO, data=wav.endless_header(22_050, 2) + chunk(1))
    async with listening(server, PCM) as answer:
        assert (answer.headers["X-Sample-Rate"], answer.headers["X-Channels"]) == ("22050", "2")


async def test_a_form(server: Server) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "X-Sequence": "3"}
    told = await server.json("POST", AUDIO, data=FORM, headers=headers)
    assert (told["size"], told["sequence"]) == (2048, 3)
    heard = server.camera().stream.audio.latest
    assert heard is not None
    assert heard.payload == chunk(1)


async def test_another_form_ends_the_answers(server: Server) -> None:
    async with listening(server, WAV) as as_wav, listening(server, PCM) as as_pcm:
        await send(server, 1)
        await send(server, 2, **{"X-Sample-Rate": "8000"})
        assert await as_wav.content.read() == wav.endless_header(16_000, 1) + chunk(1)
        assert await as_pcm.content.read() == chunk(1)
    await until(lambda: not server.camera().stream.viewers)
    async with listening(server, PCM) as answer:
        assert answer.headers["X-Sample-Rate"] == "8000"


async def test_over_http_1_0_the_body_ends_with_the_connection(server: Server) -> None:
    async with connected(server.port) as (reader, writer):
        writer.write(f"GET {WAV} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b"Transfer-Encoding" not in head
        await until(lambda: len(server.camera().sound.listeners) == 1)
        await send(server, 1)
        await send(server, 2, **{"X-Sample-Rate": "8000"})
        assert await asyncio.wait_for(reader.read(), 5) == wav.endless_header(16_000, 1) + chunk(1)


async def test_head_is_answered_without_a_body(server: Server) -> None:
    async with server.client.head(server.url + PCM) as answer:
        assert answer.status == 200
        assert answer.headers["X-Sample-Rate"] == "16000"
    assert not server.camera().stream.viewers


async def test_listeners_are_counted_and_limited(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_viewers_per_camera": 1}) as server:
        async with listening(server, WAV):
            stats = await server.json("GET", "/api/v1/cameras/cam/stats")
            assert [reader["kind"] for reader in stats["readers"]] == ["audio"]
            await server.error("GET", PCM, 503, "limit_reached")
        await until(lambda: not server.camera().stream.viewers)


async def test_listening_and_pushing_need_their_rights(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server:
        watch = (await server.service.desk.create_token({"name": "w", "rights": ["watch"]}))["secret"]
        push = (await server.service.desk.create_token({"name": "p", "rights": ["publish"]}))["secret"]
        for path in (WAV, PCM, "/api/v1/stream/audio"):
            await server.error("GET", path, 401)
            await server.error("GET", path, 403, headers={"X-API-Key": push})
        for path in (AUDIO, MIC):
            await server.error("POST", path, 401, data=b"xx")
            await server.error("POST", path, 403, data=b"xx", headers={"X-API-Key": watch})
            await server.json("POST", path, data=chunk(1), headers={"X-API-Key": push})


async def test_a_camera_asleep_is_woken_by_a_listener(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=10&size=64x64&audio=1"}) as server:
        assert server.camera().stream.state == "idle"
        async with listening(server, WAV) as answer:
            header = await asyncio.wait_for(answer.content.readexactly(wav.HEADER_BYTES), 10)
            assert header == wav.endless_header(16_000, 1)
            assert len(await asyncio.wait_for(answer.content.readexactly(16_000), 10)) == 16_000


async def test_a_camera_asleep_is_woken_by_who_wants_its_sound_coded(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=10&size=64x64&audio=1"}) as server:
        stream, listener = server.camera().stream, Collector()
        track = stream.track(AAC)
        assert stream.state == "idle"
        track.attach(listener)
        await until(lambda: len(listener.packets) > 5, timeout_s=20)
        assert {packet.format.codec for packet in listener.packets} == {"aac"}
        track.detach(listener)


async def test_the_picture_that_belongs_to_a_sound(server: Server) -> None:
    await server.push(jpeg(1))
    await send(server, 1)
    heard = server.camera().stream.audio.latest
    assert heard is not None
    assert server.camera().sound.synced_frame(heard.pts_ns) is server.camera().stream.video.latest
    assert server.camera().sound.synced_frame(heard.pts_ns - 10**9) is None


class TestFetched:
    async def test_beside_a_camera_that_pushes(self, tmp_path: Path) -> None:
        asked = Asked()
        async with device(asked) as url:
            cameras = {"cam": {"url": "push:", "audio_url": f"{url}/audio", "grace_s": 0}}
            async with serving(tmp_path, cameras) as server:
                assert (await server.json("GET", "/api/v1/cameras/cam"))["audio"]["chunks"] == 0
                async with listening(server, PCM) as answer:
                    data = await asyncio.wait_for(answer.content.readexactly(2 * len(SAMPLES[:640])), 5)
                    assert data == SAMPLES[:640] * 2
                    shown = (await server.json("GET", "/api/v1/cameras/cam"))["audio"]
                    assert (shown["sample_rate"], shown["active"], shown["last_error"]) == (16_000, True, "")
                await until(lambda: asked.open == 0)
        assert asked.sessions == 1

    async def test_a_url_given_over_the_api_may_not_lead_everywhere(self, tmp_path: Path) -> None:
        path = "/api/v1/cameras/cam"
        async with serving(tmp_path) as server:
            change = {"audio_url": "http://127.0.0.1:9/audio"}
            await server.error("PATCH", path, 403, "forbidden_address", json=change)
            await server.error("PATCH", path, 400, json={"audio_url": "rtsp://10.0.0.1/"})
            fields = {"id": "other", "url": "push:", **change}
            await server.error("POST", "/api/v1/cameras", 403, "forbidden_address", json=fields)

    async def test_a_name_that_leads_there_is_found_out_when_it_is_fetched(self, tmp_path: Path) -> None:
        asked = Asked()
        async with device(asked) as url, serving(tmp_path) as server:
            # No name, but not seen for what it is before the system has resolved it.
            change = {"audio_url": url.replace("127.0.0.1", "0x7f000001")}
            shown = await server.json("PATCH", "/api/v1/cameras/cam", json=change)
            assert shown["audio"]["url"] == change["audio_url"]
            reader = server.camera().sound.reader
            assert reader is not None
            async with listening(server, WAV):
                await until(lambda: "not allowed" in reader.last_error)
        assert asked.sessions == 0

    async def test_a_change_ends_it_and_begins_another(self, tmp_path: Path) -> None:
        one, two = Asked(), Asked()
        async with device(one) as first, device(two) as second:
            cameras = {"cam": {"url": "push:", "audio_url": first}}
            options = {"network.allow_loopback": True}
            async with serving(tmp_path, cameras, options=options) as server, listening(server, PCM):
                await until(lambda: one.open == 1)
                await server.json("PATCH", "/api/v1/cameras/cam", json={"audio_url": second})
                await until(lambda: one.open == 0 and two.open == 1)
                await server.json("PATCH", "/api/v1/cameras/cam", json={"audio_url": ""})
                await until(lambda: two.open == 0)


class TestDoorbell:
    async def test_its_microphone_and_its_sound(self, server: Server) -> None:
        async with listening(server, "/api/v1/stream/audio") as answer:
            assert answer.content_type == "audio/pcm"
            assert answer.headers["X-Sample-Rate"] == "16000"
            told = await send(server, 5, MIC, **{"X-Sequence": "5"})
            assert told == {"success": True, "chunk_id": 0, "sequence": 5, "size": 2048, "clients": 1}
            assert await answer.content.readexactly(2048) == chunk(5)

    async def test_a_media_element_gets_a_wav(self, server: Server) -> None:
        async with listening(server, "/api/v1/stream/audio", Range="bytes=0-") as answer:
            assert answer.content_type == "audio/wav"
            await send(server, 5, MIC)
            assert (await answer.content.readexactly(44 + 2048))[44:] == chunk(5)

    async def test_its_numbers(self, server: Server) -> None:
        empty = (await server.json("GET", "/api/v1/stream/stats"))["stats"]
        assert (empty["audioChunksReceived"], empty["lastAudioTime"], empty["streamActive"]["audio"]) == (
            0,
            None,
            False,
        )
        await server.push(jpeg(1))
        async with listening(server, "/api/v1/stream/audio"):
            for number in (1, 2, 5, 6, 7, 7):
                await send(server, number, MIC, **{"X-Sequence": str(number)})
            await server.error("POST", MIC, 400, "odd_bytes", data=b"abc")
            stats = (await server.json("GET", "/api/v1/stream/stats"))["stats"]
        last = server.camera().stream.audio.latest
        assert last is not None
        assert stats == {
            "framesReceived": 1,
            "audioChunksReceived": 5,
            "framesDropped": 0,
            "audioChunksDropped": 3,
            "videoClientsConnected": 0,
            "audioClientsConnected": 1,
            "currentFrames": 1,
            "currentAudioChunks": 5,
            "lastFrameTime": stats["lastFrameTime"],
            "lastAudioTime": last.received_ns // 1_000_000,
            "bufferUsage": {"frames": "1/30", "audio": "5/100"},
            "streamActive": {"video": True, "audio": True},
        }

    async def test_a_device_id_chooses_the_camera(self, tmp_path: Path) -> None:
        async with serving(tmp_path, {"cam": "push:", "back": "push:"}) as server:
            await send(server, 1, MIC, **{"X-Device-Id": "back"})
            await send(server, 1, MIC, **{"X-Device-Id": "unknown"})
            assert [server.camera(each).sound.microphone.published for each in ("cam", "back")] == [1, 1]


async def test_what_is_wrong_with_it_is_explained(server: Server) -> None:
    for number in (1, 2, 9, 10, 11, 11):
        await send(server, number, **{"X-Sequence": str(number)})
    await server.error("POST", AUDIO, 400, "odd_bytes", data=b"abc")
    async with server.client.post(server.url + "/api/v1/probe", json={"camera": "cam"}) as answer:
        result = json.loads((await answer.text()).splitlines()[-1])["result"]
    found = {problem["code"]: problem["title"] for problem in result["problems"]}
    assert {"audio_lost", "audio_odd_bytes"} <= found.keys()
    assert found["audio_odd_bytes"] == "Chunks end within a sample"


def test_every_cause_is_explained() -> None:
    causes = set(re.findall(r'PcmError\(\s*"(\w+)"', "".join(path.read_text() for path in SOURCES)))
    assert len(causes) > 6
    assert not {cause for cause in causes if f"audio_{cause}" not in codes.SOUND}


class TestWebSocket:
    async def test_pictures_and_sound_on_one_socket(self, server: Server) -> None:
        camera = server.camera()
        async with (
            listening(server, PCM) as answer,
            server.client.ws_connect(server.url + "/api/v1/cameras/cam/publish") as socket,
        ):
            for number in range(4):
                await socket.send_bytes(jpeg(number))
                await socket.send_bytes(pcm.pack_tag(16_000, 1, number) + chunk(number))
            assert await answer.content.readexactly(4 * 2048) == b"".join(chunk(number) for number in range(4))
            await until(lambda: camera.stream.published == 4)
        assert not camera.stream.refused

    @pytest.mark.parametrize(
        ("message", "cause"),
        [
            (b"PCM1", "bad_tag"),
            (b"PCM1\0\0\0\0\0\0\0", "bad_tag"),
            (pcm.pack_tag(16_000, 1), "no_sound"),
            (pcm.pack_tag(16_000, 1) + b"abc", "odd_bytes"),
            (b"PCM1\1\0\1\0\0\0\0\0ab", "bad_sample_rate"),
            (pcm.pack_tag(8_000, 1) + bytes(40_000), "chunk_too_long"),
        ],
    )
    async def test_what_is_no_sound_is_counted_and_harms_nothing(
        self, server: Server, message: bytes, cause: str
    ) -> None:
        camera = server.camera()
        async with server.client.ws_connect(server.url + "/api/v1/cameras/cam/publish") as socket:
            await socket.send_bytes(message)
            await socket.send_bytes(jpeg(1))
            await until(lambda: camera.stream.published == 1)
        assert dict(camera.sound.microphone.refused) == {cause: 1}


class TestHostile:
    @pytest.mark.parametrize(
        ("body", "headers", "code"),
        [
            (b"", {}, "no_sound"),
            (b"abc", {}, "odd_bytes"),
            (b"abcdef", {"X-Channels": "2"}, "odd_bytes"),
            (b"ab", {"X-Sample-Rate": "7999"}, "bad_sample_rate"),
            (b"ab", {"X-Sample-Rate": "48001"}, "bad_sample_rate"),
            (b"ab", {"X-Sample-Rate": "-16000"}, "bad_sample_rate"),
            (b"ab", {"X-Sample-Rate": "1" * 4000}, "bad_sample_rate"),
            (b"ab", {"X-Channels": "0"}, "bad_channels"),
            (b"ab", {"X-Channels": "stereo"}, "bad_channels"),
            (b"ab", {"X-Sequence": "first"}, "bad_sequence"),
            (b"ab", {"X-Sequence": "9" * 30}, "bad_sequence"),
            (bytes(64_002), {}, "chunk_too_long"),
            (b"RIFF\0\0\0\0WAVE", {}, "bad_wav"),
            (jpeg(1), {"Content-Type": "image/jpeg"}, "bad_type"),
            (b"{}", {"Content-Type": "application/json"}, "bad_type"),
            (b"ab", {"Content-Type": "text/plain"}, "bad_type"),
            (b"ab", {"Content-Type": "multipart/form-data; boundary=x"}, "bad_form"),
            (FORM.replace(b"audio", b"other"), {"Content-Type": "multipart/form-data; boundary=x"}, "no_sound"),
            (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", {}, "bad_wav"),
            (wav.endless_header(16_000, 1) + b"a", {}, "odd_bytes"),
            (wav.endless_header(16_000, 1), {}, "no_sound"),
        ],
    )
    async def test_bad_sound_is_refused_by_name(
        self, server: Server, body: bytes, headers: dict[str, str], code: str
    ) -> None:
        for path in (AUDIO, MIC):
            message = await server.error("POST", path, 400, code, data=body, headers=headers)
            assert len(message) < 300
        assert server.camera().sound.microphone.refused[code] == 2
        assert server.camera().stream.audio.latest is None

    async def test_a_gigabyte_is_refused_before_it_comes(self, server: Server) -> None:
        for path in (AUDIO, MIC):
            async with connected(server.port) as (reader, writer):
                writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n".encode())
                assert (await response(reader)).status == 413
        assert server.camera().sound.microphone.refused["too_many_bytes"] == 2

    @pytest.mark.parametrize("stamp", ["", "soon", "-5", "1e300", "nan", "9" * 16, "0", "12.5"])
    async def test_a_stamp_of_any_kind_loses_no_sound(self, server: Server, stamp: str) -> None:
        await server.push(jpeg(1))
        assert (await send(server, 1, **{"X-Timestamp": stamp}))["chunk_id"] == 0

    async def test_a_listener_that_reads_nothing_loses_the_oldest_and_holds_nobody_up(self, server: Server) -> None:
        camera = server.camera()
        samples = bytes(2 * 16_000)
        async with connected(server.port) as (_, writer), listening(server, PCM) as good:
            writer.write(f"GET {PCM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await until(lambda: len(camera.sound.listeners) == 2)
            for _ in range(300):
                await server.json("POST", AUDIO, data=samples, headers={"X-Sample-Rate": "16000"})
                assert len(await good.content.readexactly(len(samples))) == len(samples)
                if camera.sound.listeners.drops:
                    break
            assert camera.sound.listeners.drops
            assert sum(viewer.drops for viewer in camera.stream.viewers.values()) == camera.sound.listeners.drops

    async def test_two_microphones_on_one_camera_show_up(self, server: Server) -> None:
        await send(server, 1, **{"X-Device-Id": "one"})
        await send(server, 1, **{"X-Device-Id": "two"})
        await server.error("POST", AUDIO, 409, "replaced", data=chunk(2), headers={"X-Device-Id": "one"})
        assert server.camera().sound.microphone.refused["replaced"] == 1
