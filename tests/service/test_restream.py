"""Cameras pushed on: into a real ffmpeg that goes and comes back, past passwords, and into nothing."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from framecast.core import names
from framecast.core.packet import Format
from framecast.core.rendition import H264
from framecast.output.restream.dial import _in_turn, dial, hang_up, write
from framecast.output.restream.restream import Restream, RestreamError
from framecast.output.restream.rtspsession import RtspSession
from framecast.wire import amf, blockcode, rtmp
from tests.core.fakes import Collector, packet
from tests.service.serving import Server, serving, until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

MOCK = "mock:?fps=25&size=320x240&audio=1"


class Listener:
    """The ffmpeg command, waiting to be pushed to, writing what comes as it is."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self._process = process
        self.path = path

    @classmethod
    async def started(cls, url: str, path: Path) -> Listener:
        how = ["-listen", "1"] if url.startswith("rtmp") else ["-rtsp_flags", "listen"]
        progress = ["-stats_period", "0.1", "-progress", str(path.with_suffix(".txt"))]
        arguments = ["-v", "error", "-y", *progress, *how, "-i", url, "-c", "copy", str(path)]
        process = await asyncio.create_subprocess_exec("ffmpeg", *arguments, stderr=asyncio.subprocess.PIPE)
        return cls(process, path)

    def taken(self) -> int:
        """How many pictures it has read so far."""
        file = self.path.with_suffix(".txt")
        counts = re.findall(r"(?m)^frame=(\d+)$", file.read_text()) if file.exists() else []
        return int(counts[-1]) if counts else 0

    async def stop(self) -> None:
        """End it as a person would."""
        if self._process.returncode is None:
            self._process.send_signal(2)
        await asyncio.wait_for(self._process.communicate(), 10)

    def pictures(self) -> list[int]:
        """The frame ids of the pictures it got, as they stand in them."""
        found = []
        with av.open(str(self.path)) as container:
            for frame in container.decode(video=0):
                code = blockcode.read(frame.to_ndarray(format="gray"))
                assert code is not None
                found.append(code.frame_id)
        return found

    def sounds(self) -> tuple[int, str]:
        """How many packets of sound it got, and of which codec."""
        with av.open(str(self.path)) as container:
            (stream,) = container.streams.audio
            return sum(1 for packet in container.demux(stream) if packet.size), stream.codec_context.name


def only(server: Server) -> Restream:
    (restream,) = server.service.restreams.of(server.camera())
    return restream


async def stats(server: Server) -> dict[str, Any]:
    (found,) = (await server.json("GET", "/api/v1/cameras/cam/stats"))["restream"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
async def test_a_restream_survives_the_restart_of_the_other_end(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}/live/door"
    async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
        encoded = Collector()
        server.camera().stream.track(H264).attach(encoded)
        got: list[Listener] = []
        for number in range(2):
            listener = await Listener.started(url, tmp_path / f"{number}.mkv")
            got.append(listener)
            before = only(server).frames
            await until(lambda before=before: only(server).frames >= before + 50, 30)
            await until(lambda listener=listener: listener.taken() >= 45)  # it may get a core later than we
            said = await stats(server)
            assert said["state"] == "sending"
            assert said["connects"] == number + 1
            await listener.stop()
            await until(lambda: only(server).state != "sending")
            assert only(server).last_error
        assert not server.service.supervisor.failures
        first, second = (listener.pictures() for listener in got)
        # A listener that is interrupted does not write the last pictures it read.
        assert len(first) >= 30
        for pictures in (first, second):  # every one that was encoded while it was there, and nothing else
            at = encoded.numbers.index(pictures[0])
            assert pictures == encoded.numbers[at : at + len(pictures)]
        assert second[0] > first[-1]
        count, codec = got[0].sounds()
        assert codec == "aac"
        assert count > 30


async def test_a_change_takes_effect_at_once_and_leaves_the_others_alone(tmp_path: Path) -> None:
    one, two = (f"rtmp://127.0.0.1:{free_port()}/live/secret{number}" for number in range(2))
    async with serving(
        tmp_path, {"cam": {"url": MOCK, "restream": [one]}}, options={"network.allow_loopback": True}
    ) as server:
        listener = await Listener.started(one, tmp_path / "one.mkv")
        await until(lambda: only(server).state == "sending", 20)
        kept = only(server)
        await server.json("PATCH", "/api/v1/cameras/cam", json={"restream": [two, one], "name": "Door"})
        await until(lambda: len(list(server.service.restreams.of(server.camera()))) == 2)
        assert kept in server.service.restreams.of(server.camera())
        assert kept.state == "sending"
        await server.json("PATCH", "/api/v1/cameras/cam", json={"restream": []})
        assert not list(server.service.restreams.of(server.camera()))
        assert (await server.json("GET", "/api/v1/cameras/cam/stats"))["restream"] == []
        await listener.stop()
        await until(lambda: not server.camera().stream.wanted)


async def test_secrets_are_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    urls = [
        f"rtmp://127.0.0.1:{port}/live/sesame?pass=sesame",
        f"rtsp://user:sesame@127.0.0.1:{port}/door",
        f"whip+http://:sesame@127.0.0.1:{port}/whip",
        f"whip+http://127.0.0.1:{port}/sesame/publish",
    ]
    async with serving(tmp_path, {"cam": {"url": MOCK, "restream": urls}}) as server:
        await until(lambda: all(each.last_error for each in server.service.restreams.of(server.camera())))
        answer = await server.json("GET", "/api/v1/cameras/cam/stats")
        while any(each["state"] != "waiting" for each in answer["restream"]):  # it may be just trying again
            answer = await server.json("GET", "/api/v1/cameras/cam/stats")
        assert [each["url"] for each in answer["restream"]] == [
            f"rtmp://127.0.0.1:{port}/live/***",
            f"rtsp://user:***@127.0.0.1:{port}/door",
            f"whip+http://:***@127.0.0.1:{port}/whip",
            f"whip+http://127.0.0.1:{port}/***",
        ]
        assert all(each["retry_in_s"] is not None for each in answer["restream"])
        async with server.client.get(server.url + "/metrics") as response:
            metrics = await response.text()
        assert "framecast_restream_up" in metrics
        for text in (str(answer), metrics, caplog.text):
            assert "sesame" not in text
        assert "restream" in caplog.text


async def test_the_api_may_not_push_where_cameras_may_not_be(server: Server) -> None:
    for url in (
        "rtmp://127.0.0.1/live/x",
        "rtsp://[::1]/x",
        "rtmps://169.254.169.254/live/x",
        "whip+http://localhost/x",
        "whip:http://127.0.0.1:9/x",
    ):
        await server.error("PATCH", "/api/v1/cameras/cam", 403, "forbidden_address", json={"restream": [url]})
    for url in (
        "http://x/y",
        "rtmp://x",
        "rtmp://x/onlyapp",
        "rtmp://u:p@x/live/key",
        "whip+ftp://x/y",
        "x",
        "rtmp://x:99999/a/b",
    ):
        message = await server.error("PATCH", "/api/v1/cameras/cam", 400, "bad_value", json={"restream": [url]})
        assert "rtmp://HOST/APP/KEY" in message
    # A name that resolves to where it may not go is found when it is called.
    assert not list(server.service.restreams.of(server.camera()))


async def test_a_name_is_looked_at_when_it_is_called(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(names, "SHARED", names.Names(resolve))
    await server.json("PATCH", "/api/v1/cameras/cam", json={"restream": ["rtmp://media.example.org/live/x"]})
    await until(lambda: "receivers on this machine are not allowed" in only(server).last_error)


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "whip+http"])
async def test_a_name_that_can_be_nobodys_is_said_and_tried_later(
    tmp_path: Path, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [f"{scheme}://a..b/live/k"]}}) as server:
        await until(lambda: only(server).state == "waiting", 10)
        assert only(server).last_error == "nobody knows a host called a..b"
        assert "Traceback" not in caplog.text


async def test_a_server_that_refuses_is_quoted(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"ANNOUNCE rtsp://127.0.0.1:")
        writer.write(b"RTSP/1.0 403 Not Today\r\nCSeq: 1\r\n\r\n")
        await reader.read()
        writer.close()

    door = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with door:
        port = door.sockets[0].getsockname()[1]
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [f"rtsp://127.0.0.1:{port}/x"]}}) as server:
            await until(lambda: "403 Not Today" in only(server).last_error, 10)


async def refuse_rtmp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1 + rtmp.HANDSHAKE_BYTES)
    writer.write(b"\x03" + bytes(2 * rtmp.HANDSHAKE_BYTES))
    await reader.readexactly(rtmp.HANDSHAKE_BYTES + 1)
    about = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": "no stream live/open-sesame"}
    body = amf.write("_error", 1, None, about)
    assert len(body) <= 0xFF
    head = bytes((3, 0, 0, 0, 0, 0, len(body), rtmp.COMMAND, 0, 0, 0, 0))
    writer.write(head + b"\xc3".join(body[at : at + 128] for at in range(0, len(body), 128)))
    await reader.read()
    writer.close()


async def refuse_rtsp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"RTSP/1.0 403 no stream of open-sesame\r\nCSeq: 1\r\n\r\n")
    await reader.read()
    writer.close()


async def refuse_whip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 no stream of open-sesame\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("refuse", "url"),
    [
        (refuse_rtmp, "rtmp://127.0.0.1:{port}/live/open-sesame"),
        (refuse_rtsp, "rtsp://user:open-sesame@127.0.0.1:{port}/door"),
        (refuse_whip, "whip+http://:open-sesame@127.0.0.1:{port}/door"),
    ],
)
async def test_a_server_that_tells_the_secret_is_quoted_without_it(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    url: str,
) -> None:
    door = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with door:
        url = url.format(port=door.sockets[0].getsockname()[1])
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
            await until(lambda: bool(only(server).last_error), 10)
            said = str(await stats(server))
    for text in (said, caplog.text):
        assert "sesame" not in text
        assert "no stream" in text and "***" in text


async def test_one_that_takes_nothing_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and then neither reads nor answers."""
    monkeypatch.setattr("framecast.output.restream.restream.CONNECT_TIMEOUT_S", 0.2)
    held: list[asyncio.StreamWriter] = []
    door = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    async with door:
        port = door.sockets[0].getsockname()[1]
        cameras = {"cam": {"url": MOCK, "restream": [f"rtmp://127.0.0.1:{port}/live/x"]}}
        async with serving(tmp_path, cameras) as server:
            await until(lambda: only(server).last_error == "it took too long", 10)
            assert not server.camera().stream.wanted
            for writer in held:
                writer.transport.abort()


async def test_what_is_written_to_a_connection_that_is_closed_is_an_error_like_others() -> None:
    door = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with door:
        _, writer = await dial("127.0.0.1", door.sockets[0].getsockname()[1], tls=False, check=None)
        writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="closed"):
            write(writer, b"too late")
        await hang_up(writer, b"farewell")


async def test_an_address_that_does_not_answer_is_not_waited_for_where_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr("framecast.output.restream.dial.PATIENCE_S", 0.1)
    monkeypatch.setattr(names, "SHARED", names.Names(resolve))
    door = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = door.sockets[0].getsockname()[1]
    with socket.socket() as silent, ExitStack() as crowd:
        silent.bind(("127.0.0.2", port))
        silent.listen(0)
        for _ in range(4):  # more than it has room for: those who come later hear nothing
            one = crowd.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        async with door, asyncio.timeout(5):
            _, writer = await dial("media.example.org", port, tls=False, check=None)
            assert writer.get_extra_info("peername") == ("127.0.0.1", port)
            await hang_up(writer)


@pytest.mark.parametrize(
    ("found", "tried"),
    [
        ([], []),
        (["10.0.0.1"], ["10.0.0.1"]),
        (["fd00::1", "fd00::2", "fd00::3", "10.0.0.1"], ["fd00::1", "10.0.0.1", "fd00::2", "fd00::3"]),
        (["10.0.0.1", "10.0.0.2", "fd00::1"], ["10.0.0.1", "fd00::1", "10.0.0.2"]),
    ],
)
def test_both_kinds_of_addresses_have_their_turn(found: list[str], tried: list[str]) -> None:
    assert _in_turn(found) == tried


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_name_and_a_password_are_given_when_asked_for(tmp_path: Path, scheme: str) -> None:
    challenge = f'{scheme} realm="media", nonce="7ypf"' if scheme == "Digest" else 'Basic realm="media"'
    asked: list[tuple[str, str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("$"):
                break
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(lines.get("Content-Length", 0)))
            asked.append((head.split()[0], lines.get("Authorization", "")))
            status = "200 OK" if asked[-1][1].startswith(scheme) else "401 Unauthorized"
            extra = "Session: 77\r\n" if status == "200 OK" else f"WWW-Authenticate: {challenge}\r\n"
            writer.write(f"RTSP/1.0 {status}\r\nCSeq: {lines['CSeq']}\r\n{extra}\r\n".encode())
            if asked[-1][0] == "RECORD":
                break
        await reader.read()
        writer.close()

    door = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with door:
        url = f"rtsp://us%65r:pass%20word@127.0.0.1:{door.sockets[0].getsockname()[1]}/x"
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
            await until(lambda: only(server).state == "sending", 10)
    assert [method for method, _ in asked][:3] == ["ANNOUNCE", "ANNOUNCE", "SETUP"]
    assert asked[0][1] == ""
    if scheme == "Basic":
        assert asked[1][1] == "Basic dXNlcjpwYXNzIHdvcmQ="
    else:
        assert 'username="user"' in asked[1][1]


async def test_sound_in_another_form_is_announced_anew() -> None:
    """Players read the rate from what was announced: a camera that was replaced must not be heard at the old one's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := (await reader.readuntil(b"\r\n\r\n")).decode()) and not head.startswith("RECORD"):
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            announced.append((await reader.readexactly(int(lines.get("Content-Length", 0)))).decode())
            writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {lines['CSeq']}\r\nSession: 77\r\n\r\n".encode())
        writer.write(b"RTSP/1.0 200 OK\r\n\r\n")
        await reader.read()
        writer.close()

    announced: list[str] = []
    key = replace(packet(1, b"\0\0\0\1\x67\x42\xc0\x1f\0\0\0\1\x68\xce\0\0\0\1\x65."), format=Format("h264", 640, 480))
    sound = replace(packet(2), format=Format("aac", sample_rate_hz=16_000, channels=1))
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as door:
        session = RtspSession(f"rtsp://127.0.0.1:{door.sockets[0].getsockname()[1]}/x", None)
        await session.open()
        watching = asyncio.ensure_future(session.watch())
        try:
            await session.start(key, sound)
            await session.send(key)
            await session.send(sound)
            assert "MPEG4-GENERIC/16000/1" in announced[0]
            with pytest.raises(RestreamError, match="another form"):
                await session.send(replace(sound, format=Format("aac", sample_rate_hz=44_100, channels=1)))
        finally:
            watching.cancel()
            await session.close()


async def test_a_server_that_can_encode_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.cameras.restreams.find_spec", lambda _: None)
    async with serving(tmp_path, {"cam": {"url": MOCK, "restream": ["rtmp://127.0.0.1:9/live/x"]}}) as server:
        await until(lambda: "framecast[media]" in only(server).last_error)
