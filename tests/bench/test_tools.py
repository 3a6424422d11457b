"""The bench's own tools count right: what they would miss, nobody would notice."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import simplejpeg
from aiohttp import WSMsgType, web
from bench.parts import BUILD, Camera, Load, Pace, Relay, build, watch
from bench.pictures import pictures
from bench.processes import Child, cores
from bench.report import BEGIN, DOCUMENT, END
from bench.results import paired_ratio

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None or shutil.which("make") is None, reason="needs a C compiler"),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the bench reads Linux's accounting"),
]

PACE = Pace(rounds=1, window_s=0.6, settle_s=0.1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    build()
    return pictures(tmp_path_factory.mktemp("pictures"), 6_000, 2, width=160, height=120)


def test_pictures_are_equal_in_size_and_header_and_differ_in_content(files: list[Path]) -> None:
    first, second = (path.read_bytes() for path in files)
    scan = first.index(b"\xff\xda")
    assert len(first) == len(second)
    assert abs(len(first) - 6_000) <= 120
    assert first[:scan] == second[:scan] and first != second
    assert simplejpeg.decode_jpeg(first, "GRAY", strict=True).shape[:2] == (120, 160)


def test_relay_gives_every_frame_to_every_viewer(files: list[Path]) -> None:
    with Camera(files, cameras=2, fps=50) as camera, Relay(camera.urls()) as relay:
        window = watch(relay, [relay.viewer_url(0), relay.viewer_url(1)], 20, PACE, exact=4, stalled=2)
    assert window.missing == 0
    assert window.load["connected"] == 20
    assert window.load["frames"] == pytest.approx(18 * 50 * PACE.window_s, rel=0.15)
    assert 0 < window.latency_ms["p50"] < 100
    assert 0 < window.cpu_cores < 1


def test_slow_viewer_sees_older_pictures_than_the_others(files: list[Path]) -> None:
    with Camera(files, fps=50) as camera, Relay([camera.url()]) as relay:
        window = watch(relay, [relay.viewer_url()], 6, PACE, exact=4, slow=2, slow_rate=100_000)
    assert window.load["age_ms"]["p50"] > 2 * window.latency_ms["p50"]
    assert window.missing == 0


def test_viewers_that_churn_join_as_often_as_asked(files: list[Path]) -> None:
    with (
        Camera(files, fps=100) as camera,
        Relay([camera.url()]) as relay,
        Load([relay.viewer_url()], 5, joins=60) as load,
    ):
        assert json.loads(load.line_with('"churned"', 10))["joins"] == 60


@contextmanager
def scripted(frame_ids: list[int]) -> Iterator[tuple[str, list[threading.Event]]]:
    """A server whose four viewers get exactly these parts: two, then all but the last, then the last, as it is told."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    body = b"--frame\r\n" + b"".join(
        b"Content-Type: image/jpeg\r\nX-Frame-Id: %d\r\nContent-Length: 900\r\n\r\n" % number
        + bytes(900)
        + b"\r\n--frame\r\n"
        for number in frame_ids
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
    per_part = (len(body) - 9) // len(frame_ids)
    go = [threading.Event() for _ in range(3)]
    ends = [9 + 2 * per_part, len(body) - per_part, len(body)]

    def serve() -> None:
        viewers = []
        for _ in range(4):
            viewer, _ = listener.accept()
            viewer.recv(2000)
            viewer.sendall(head)
            viewers.append(viewer)
        at = 0
        for step, end in zip(go, ends, strict=True):
            for viewer in viewers:
                viewer.sendall(body[at:end])
            at = end
            step.wait(10)
        for viewer in viewers:
            viewer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", go
    finally:
        for step in go:
            step.set()
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    ("frame_ids", "missing", "repeated"),
    [
        ([100, 101, 102, 103, 104, 105], 0, 0),
        ([100, 101, 102, 105, 106, 107], 2, 0),
        ([100, 101, 102, 102, 103, 104], 0, 1),
    ],
    ids=["whole", "gap", "repeat"],
)
@pytest.mark.parametrize("exact", [4, 1], ids=["exact", "cheap"])
def test_load_counts_gaps_and_repeats(
    frame_ids: list[int], missing: int, repeated: int, exact: int, files: object
) -> None:
    # Two parts before the window (the load learns the size of a part), the rest in it, the last one for the probe at
    # its end.
    with scripted(frame_ids) as (url, steps), Load([url], 4, exact=exact) as load:
        load.joined()
        load.begin()
        threading.Event().wait(0.2)
        steps[0].set()
        threading.Event().wait(0.2)
        load.say("end")
        steps[1].set()
        seen = json.loads(load.line_with('"window"', 10))
    assert (seen["missing"], seen["repeated"]) == (4 * missing, 4 * repeated)
    assert seen["unprobed"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize("fragment", [0, 1024])
async def test_push_sends_whole_pictures(files: list[Path], fragment: int) -> None:
    wanted = {path.read_bytes() for path in files}
    received: list[bytes] = []

    async def socket_route(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            assert message.type is WSMsgType.BINARY
            received.append(message.data)
        return answer

    async def raw_route(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.json_response({"success": True})

    async def form_route(request: web.Request) -> web.Response:
        field = (await request.post())["frame"]
        assert isinstance(field, web.FileField)
        received.append(field.file.read())
        field.file.close()
        return web.json_response({"success": True})

    app = web.Application()
    app.add_routes(
        [web.get("/ws/{n}", socket_route), web.post("/raw/{n}", raw_route), web.post("/form/{n}", form_route)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        for mode, route in (("ws", "ws"), ("raw", "raw"), ("multipart", "form")):
            received.clear()
            told = await _push(f"http://127.0.0.1:{port}/{route}/%d", mode, fragment, files)
            assert told["broken"] == told["refused"] == told["unfinished"] == 0
            assert len(received) == told["sent"] > 0
            assert set(received) <= wanted
    finally:
        await runner.cleanup()


async def _push(url: str, mode: str, fragment: int, files: list[Path]) -> dict[str, int]:
    import anyio.to_thread

    command: list[object] = [BUILD / "push", "--url", url, "--mode", mode, "--fragment", fragment]
    command += ["--connections", 2, "--seconds", 0.2]
    for path in files:
        command += ["--picture", path]

    def run() -> dict[str, int]:
        with Child(command, core=cores()[0], log=BUILD / "test.log") as push:
            return dict(json.loads(push.line(10)))

    return await anyio.to_thread.run_sync(run)


def test_ratio_is_the_median_of_each_rounds_own() -> None:
    assert paired_ratio([1.0, 4.0, 3.0], [1.0, 2.0, 1.0]) == 2.0


def test_document_has_the_marks_that_the_report_fills() -> None:
    text = DOCUMENT.read_text()
    assert text.index(BEGIN) < text.index(END)
