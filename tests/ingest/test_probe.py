"""The probe against devices of every dialect, with every fault, and against what is no camera at all."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial

import pytest

from framecast.core.clock import Clock
from framecast.core.errors import Misuse, Unreachable
from framecast.core.source import Feed
from framecast.ingest import diagnosis, probefeed
from framecast.ingest.codes import TABLE as TABLE_OF_CODES
from framecast.ingest.http_client import Options
from framecast.ingest.probe import ProbeResult, Step, probe
from framecast.ingest.probefeed import ProbeFeed
from framecast.mock.device import FakeDevice
from framecast.mock.dialects import TABLE
from framecast.mock.faults import KINDS
from tests.data import frame

from .camera import Asked, camera, respond, until

pytestmark = pytest.mark.anyio

ASKED = [dialect for dialect in TABLE if not dialect.pushes]
QUICK = Options(connect_timeout_s=2.0, head_timeout_s=0.3)


async def look(url: str, seconds: float = 0.3, **more: object) -> tuple[ProbeResult, list[Step]]:
    steps: list[Step] = []
    result = await probe(url, seconds=seconds, on_step=steps.append, **more)  # type: ignore[arg-type]
    json.dumps(result.to_json())
    json.dumps([step.to_json() for step in steps])
    assert steps[-1].step == "done"
    assert steps[-1].ok is result.ok
    return result, steps


def codes(result: ProbeResult) -> set[str]:
    return {problem.code for problem in result.problems}


@pytest.mark.parametrize("dialect", ASKED, ids=lambda dialect: dialect.name)
async def test_every_dialect_is_found_by_its_address(dialect: object, monkeypatch: pytest.MonkeyPatch) -> None:
    name = dialect.name  # type: ignore[attr-defined]
    async with FakeDevice(name, fps=40) as device:
        # Time by the device's pictures: a machine that stands still for a moment has another rate.
        clock = Clock(lambda: len(device.sent) * 25_000_000)
        monkeypatch.setattr("framecast.ingest.probe.ProbeFeed", partial(ProbeFeed, clock=clock))
        result, _ = await look(f"127.0.0.1:{device.port}", 1.0)
        assert result.ok
        assert result.url == device.url
        assert (result.width, result.height) == (640, 480)
        assert result.kind == ("still" if name == "esphome-snapshot" else "pull")
        assert result.preview is not None
        assert result.preview.startswith(b"\xff\xd8")
        if result.kind == "pull":
            assert result.fps == pytest.approx(40, rel=0.25)
            assert result.dialect == device.dialect.title.removesuffix(", older builds")
        assert not [problem for problem in result.problems if problem.severity == "error"]


NAMED = {
    "http-500": "camera_error",
    "auth": "unauthorized",
    "auth-digest": "unauthorized",
    "refuse": "connection_refused",
}
PARAMETERS = {"stall": "stall=0.2", "hang": "hang=0.2", "freeze-mid-frame": "freeze-mid-frame=0.2", "jump": "jump=0.5"}
SHARES = ("truncate", "corrupt-scan", "not-jpeg", "huge", "wrong-content-length", "text-part")
SLOW = {"stall": 4.2, "hang": 3.6, "freeze-mid-frame": 3.6, "jump": 2.0, "reboot": 1.5} | dict.fromkeys(SHARES, 1.5)
FOUND_OTHERWISE = {
    # Its pictures are large, and their length 65,536 too small.
    "length-wrap": "wrong_content_length",
    "reboot": "lost",
}


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.listens and kind.code and not kind.sound], ids=lambda kind: kind.name
)
async def test_every_fault_is_named(kind: object) -> None:
    name, code = kind.name, kind.code  # type: ignore[attr-defined]
    fault = PARAMETERS.get(name, name)
    if name in SHARES:
        fault = f"{name}=0.5"
    if name == "http-500":
        fault = "http-500=1"
    if name == "reboot":
        fault = "reboot=0.2"
    async with FakeDevice("espressif", [fault], fps=30, stall_s=2.2, down_s=0.1) as device:
        result, _ = await look(device.url, SLOW.get(name, 0.6))
    assert (FOUND_OTHERWISE.get(name) or NAMED.get(name, code)) in codes(result)
    for problem in result.problems:
        assert problem.title
        assert problem.advice


async def test_one_picture_and_then_silence_is_no_working_camera() -> None:
    async with FakeDevice("espressif", ["hang=0"], fps=30) as device:
        result, steps = await look(device.url, 2.3)
    assert not result.ok
    assert result.frames == 1
    assert steps[-1].text == "It does not go on after the first picture"
    (problem,) = [problem for problem in result.problems if problem.severity == "error"]
    assert problem.code == "hang"
    assert "One picture came" in problem.title


async def test_credentials_are_used_and_never_shown() -> None:
    async with FakeDevice("espressif", ["auth=me:secret"], fps=30) as device:
        for url, more in (
            (device.url.replace("//", "//me:secret@"), {}),
            (device.url, {"user": "me", "password": "secret"}),
        ):
            result, steps = await look(url, **more)
            assert result.ok
            assert "secret" not in json.dumps([result.to_json(), *(step.to_json() for step in steps)])


async def test_a_wrong_path_leads_to_the_right_one() -> None:
    async with FakeDevice("tasmota", fps=30) as device:
        result, _ = await look(f"{device.base_url}/nothing")
    assert result.ok
    assert result.url == device.url
    problem = next(problem for problem in result.problems if problem.code == "not_found")
    assert problem.severity == "warning"
    assert device.url in problem.title


async def test_a_web_page_leads_to_the_stream() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        page = asked.target == "/"
        writer.write(respond(b"<html>", "text/html", "200 OK" if page else "404 Not Found"))

    async with camera(answer) as device:
        result, _ = await look(device.url("/"))
    assert not result.ok
    problem = next(problem for problem in result.problems if problem.code == "web_page")
    assert ":81/stream" in problem.advice
    assert "Tried without success" in problem.advice


async def test_the_one_place_is_taken() -> None:
    async with FakeDevice("espressif", fps=30) as device:
        _, writer = await asyncio.open_connection("127.0.0.1", device.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: device.clients == 1)
        result, _ = await look(device.url, options=QUICK)
        writer.close()
    assert "silent" in codes(result)
    assert "another program" in next(problem.advice for problem in result.problems if problem.code == "silent").lower()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result, _ = await look(f"http://127.0.0.1:{taken.getsockname()[1]}/stream")
    assert codes(result) == {"connection_refused"}


async def test_no_such_name() -> None:
    result, steps = await look("http://no-such-camera.invalid/stream")
    assert codes(result) == {"dns"}
    assert [step.step for step in steps] == ["resolve", "done"]


async def test_no_http() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RTSP/1.0 200 OK\r\n\r\n")

    async with camera(answer) as device:
        result, _ = await look(device.url("/stream"))
    assert codes(result) == {"no_http"}


async def test_a_stream_without_pictures() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n--x\r\n")
        writer.write(b"Content-Type: text/plain\r\n\r\nNo frames send.\r\n--x\r\n")

    async with camera(answer) as device:
        result, _ = await look(device.url("/"))
    assert not result.ok
    assert "text_part" in codes(result)


@pytest.mark.parametrize("url", ["", "http://", "http://a b/", "::::", "rtsp://camera/", "v4l2:/dev/video0", "push:"])
async def test_what_can_not_be_probed(url: str) -> None:
    result, _ = await look(url)
    assert codes(result) <= {"bad_url", "not_supported"}
    assert not result.ok


async def test_forbidden_addresses() -> None:
    def never(host: str, address: str) -> None:
        raise Misuse(f"{address} is this machine")

    async with FakeDevice("espressif") as device:
        result, _ = await look(device.url, check_address=never)
        assert device.connections == 0
    assert codes(result) == {"forbidden_address"}
    assert result.problems[0].title.endswith("is this machine")


async def test_other_kinds_are_opened_by_their_own_sources() -> None:
    class Synthetic:
        async def run(self, feed: Feed) -> None:
            feed.connected("Synthetic")
            while True:
                feed.jpeg(jpeg)
                await asyncio.sleep(0.02)

    async with FakeDevice("esphome-snapshot") as device:
        jpeg = (await look(device.url))[0].preview
    assert jpeg is not None
    result, _ = await look("mock:?fps=50", open_source=lambda url: Synthetic())
    assert (result.ok, result.kind, result.dialect) == (True, "mock", "Synthetic")


async def test_a_login_goes_to_the_other_kinds_too_and_is_never_shown() -> None:
    class Silent:
        async def run(self, feed: Feed) -> None:
            raise Unreachable("nobody there")

    def open_source(url: str) -> Silent:
        opened.append(url)
        return Silent()

    opened: list[str] = []
    for url, more in (
        ("rtsp://me:se%2Fcret@10.0.0.1/live?channel=1", {}),
        ("rtsp://10.0.0.1/live?channel=1", {"user": "me", "password": "se/cret"}),
        ("rtsp://me:se%2Fcret@10.0.0.1/live?channel=1", {"user": "other", "password": "word"}),
    ):
        result, steps = await look(url, open_source=open_source, **more)
        assert opened.pop() == "rtsp://me:se%2Fcret@10.0.0.1/live?channel=1"
        assert result.url == "rtsp://10.0.0.1/live?channel=1"
        assert "cret" not in json.dumps([result.to_json(), *(step.to_json() for step in steps)])


async def test_cancelling_lets_the_camera_go() -> None:
    async with FakeDevice("espressif", fps=30) as device:
        task = asyncio.create_task(probe(device.url, seconds=60))
        await until(lambda: device.clients == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: device.clients == 0)


def test_damage_is_looked_for_as_far_as_the_share_of_a_core_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = ProbeFeed()
    assert not feed.jpeg(frame("corrupt"))
    assert feed.faults == {"corrupt_scan": 1}
    monkeypatch.setattr(probefeed, "SHARE", 0.0)
    monkeypatch.setattr(probefeed, "BURST_S", 1e-9)
    spent = ProbeFeed()
    spent.jpeg(frame("small-0"))
    assert spent.jpeg(frame("corrupt"))
    assert not spent.jpeg(frame("small-0")[:500]), "its markers cost nothing"
    assert (spent.frames, spent.faults) == (2, {"truncated": 1})


async def test_counters_of_a_live_camera_are_explained() -> None:
    problems = diagnosis.diagnose({"uptime_timestamp": 1, "text_part": 4}, {"truncated": 2, "stall": 0})
    assert [(problem.code, problem.count) for problem in problems] == [
        ("text_part", 4),
        ("truncated", 2),
        ("uptime_timestamp", 1),
    ]


async def test_an_unknown_code_is_still_told() -> None:
    assert diagnosis.diagnose({"something_new": 1}, {})[0].title == "something new"


@pytest.mark.parametrize("code", TABLE_OF_CODES)
async def test_every_explanation_says_what_is_so_and_what_to_do(code: str) -> None:
    entry = TABLE_OF_CODES[code]
    assert entry.title[0].isupper()
    assert not entry.title.endswith(".")
    assert entry.advice.endswith(".")
