"""What ``framecast mock-camera`` prints and does."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import simplejpeg

from framecast.core.errors import Misuse
from framecast.mock import play as module
from framecast.mock.device import FakeDevice
from framecast.mock.play import PORT, DeviceOptions, play
from framecast.wire import blockcode
from tests.support import raw
from tests.support.peer import listening

pytestmark = pytest.mark.anyio


class Printed:
    """Lines, and a way to wait for one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._new = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._new.set()

    async def wait_for(self, pattern: str) -> re.Match[str]:
        async with asyncio.timeout(5):
            while True:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                self._new.clear()
                await self._new.wait()


def test_the_default_is_espressif_on_5069() -> None:
    assert PORT == 5069
    options = DeviceOptions()
    assert (options.dialect, options.port, options.host) == ("espressif", 5069, "127.0.0.1")


async def test_says_where_it_listens_and_draws_fresh_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY_S", 0.2)
    printed = Printed()
    options = DeviceOptions(port=0, fps=30, size_px=(320, 240), name="porch", faults=["padding"])
    playing = asyncio.ensure_future(play(options, printed))
    port = int((await printed.wait_for(r"^Listening on http://127\.0\.0\.1:(\d+)/stream$"))[1])
    await printed.wait_for(r"^Stills at http://127\.0\.0\.1:\d+/capture$")
    await printed.wait_for(r"^With the fault padding$")
    async with raw.asked(port, "/stream") as reader:
        data = await raw.until_pictures(reader, 3)
        codes = [blockcode.read(simplejpeg.decode_jpeg(jpeg)) for jpeg in raw.STAMPED_JPEG.findall(data)]
        ids = [code.frame_id for code in codes]
        # A busy machine may have it skip one.
        assert ids[0] == 1 and ids == sorted(set(ids))
        await printed.wait_for(r"^\d+\.\d fps \| \d+\.\d kB a frame \| 1 watching$")
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)


async def test_stops_after_its_duration() -> None:
    printed = Printed()
    await asyncio.wait_for(play(DeviceOptions(port=0, duration_s=0.05, static=True), printed), 5)
    assert printed.lines[-1] == "0 frames sent"


async def test_a_refused_push_is_told_at_the_end() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    printed = Printed()
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as peer:
        to = f"http://127.0.0.1:{peer.sockets[0].getsockname()[1]}/frames"
        options = DeviceOptions(dialect="post-raw", to=to, duration_s=2.0, static=True)
        await asyncio.wait_for(play(options, printed), 20)
    assert re.fullmatch(r"\d+ frames sent \| answers: 401 x \d+", printed.lines[-1])


async def test_pushes_and_says_what_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY_S", 0.2)
    printed = Printed()
    async with listening() as peer:
        to = f"http://127.0.0.1:{peer.port}"
        options = DeviceOptions(dialect="doorbell", to=to, fps=30, size_px=(320, 240), name="front")
        playing = asyncio.ensure_future(play(options, printed))
        pushed = await peer.request()
        await printed.wait_for(r"^Doorbell: pushing to http://127\.0\.0\.1:\d+/api/v1/devices/doorbell/camera-stream$")
        await printed.wait_for(r"^\d+\.\d fps \| .* \| answers: 200 x \d+$")
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    assert b'name="device_id"\r\n\r\nfront\r\n' in pushed.body


async def test_a_video_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"gone\.avi can't be opened"):
        await play(DeviceOptions(port=0, video=tmp_path / "gone.avi"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (DeviceOptions(dialect="nokia"), "no dialect 'nokia'"),
        (DeviceOptions(faults=["sulk"]), "no fault 'sulk'"),
        (DeviceOptions(fps=0), "fps = 0 can't be used"),
        (DeviceOptions(to="http://127.0.0.1:1"), "is asked and pushes nowhere"),
        (DeviceOptions(dialect="doorbell"), "needs a URL to push to"),
        (DeviceOptions(dialect="doorbell", to="ftp://x"), "needs a URL to push to"),
        (DeviceOptions(dialect="doorbell", to="http://x:99999"), "needs a URL to push to"),
        (DeviceOptions(dialect="doorbell", to="http://[::1"), "needs a URL to push to"),
        (DeviceOptions(speaker_url="http://x:99999/speaker"), "A speaker listens to"),
        (DeviceOptions(port=70_000), "Port 70000 on 127.0.0.1 can't be used: .*0-65535"),
        (DeviceOptions(host="a..b", port=0), "Port 0 on a..b can't be used"),
    ],
)
async def test_options_that_make_no_sense_are_explained(options: DeviceOptions, says: str) -> None:
    with pytest.raises(Misuse, match=says):
        await play(options, lambda line: None)


def has_ipv6() -> bool:
    """Whether this machine calls itself ::1."""
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
async def test_where_it_listens_over_ipv6_can_be_called(host: str) -> None:
    async with FakeDevice(host=host) as device:
        parts = urlsplit(f"{device.base_url}/capture")
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET {parts.path} HTTP/1.0\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
