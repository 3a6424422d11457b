"""A minute of every player that people use, all at once on the same camera, and Chromium's <img> by itself.

What a player shows is read from the block code in the picture, so that a repeated, skipped or stale picture shows.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import cv2
import pytest
from playwright.sync_api import Browser

from framecast.wire import blockcode, multipart
from tests.support.img import BLOCKCODE, SHOWN_BY_IMG

MINUTE_S = 60.0
FPS = 10
STREAM = "/api/v1/cameras/cam/stream.mjpeg"
WALL_CAMERAS = 12

SAMPLE_WALL = """
async ([source]) => {
  const code = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  window.seen = new Map();
  window.looks = 0;
  setInterval(() => {
    window.looks += 1;
    for (const tile of document.querySelectorAll("fc-tile")) {
      const {camera, player: {surface}} = tile;
      if (!surface) continue;
      const [width, height] = [surface.videoWidth ?? surface.width, surface.videoHeight ?? surface.height];
      const shown = code.readBlockCodeFrom(surface, width, height);
      if (!shown) continue;
      if (!window.seen.has(camera.id)) window.seen.set(camera.id, {ids: new Set(), seconds: new Set()});
      const {ids, seconds} = window.seen.get(camera.id);
      if (!ids.has(shown.frameId)) seconds.add(Math.floor(performance.now() / 1000));
      ids.add(shown.frameId);
    }
  }, 100);
}
"""


class Watching(threading.Thread):
    """One player in a thread; `result` is what it returned, and its exception comes out of `finish`."""

    def __init__(self, play: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._play = play
        self._error: BaseException | None = None
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._play()
        except BaseException as error:
            self._error = error

    def finish(self, timeout_s: float) -> Any:
        self.join(timeout_s)
        assert not self.is_alive(), "the player hangs"
        if self._error is not None:
            raise self._error
        return self.result


def play_ffmpeg(url: str) -> tuple[int, str]:
    """Decodes for a minute; its exit status and everything it complained about."""
    # It takes the stream for 25 fps, so a minute is told by its frames.
    command = ["ffmpeg", "-nostdin", "-loglevel", "warning", "-f", "mpjpeg", "-i", url]
    command += ["-frames:v", str(round(FPS * MINUTE_S)), "-f", "null", "-"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=2 * MINUTE_S)
    return done.returncode, done.stderr


def play_opencv(url: str) -> list[int]:
    """Frame ids as `VideoCapture` shows them."""
    capture = cv2.VideoCapture(url)
    ids = []
    end = time.monotonic() + MINUTE_S
    while time.monotonic() < end:
        good, image = capture.read()
        assert good, f"OpenCV lost the stream after {len(ids)} frames"
        code = blockcode.read(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        assert code is not None
        ids.append(code.frame_id)
    capture.release()
    return ids


def play_curl(url: str) -> list[int]:
    """Frame ids in what curl stores."""
    done = subprocess.run(
        ["curl", "-sN", "--max-time", str(MINUTE_S), url], stdout=subprocess.PIPE, timeout=2 * MINUTE_S
    )
    parser = multipart.Parser("frame", max_part_bytes=1 << 20)
    return [int(part.headers["x-frame-id"]) for part in parser.feed(done.stdout)]


def play_http_client(url: str) -> list[int]:
    """Frame ids as Python's own client reads them, line by line."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", parts.path)
    response = connection.getresponse()
    ids = []
    end = time.monotonic() + MINUTE_S
    while time.monotonic() < end:
        assert response.readline() in (b"--frame\r\n", b"\r\n")
        headers = http.client.parse_headers(response)
        if "X-Frame-Id" not in headers:
            continue
        payload = response.read(int(headers["Content-Length"]))
        assert payload.startswith(b"\xff\xd8") and payload.endswith(b"\xff\xd9")
        assert response.readline() == b"\r\n"
        ids.append(int(headers["X-Frame-Id"]))
    connection.close()
    return ids


def check_ids(ids: list[int], *, least: float = 0.9) -> None:
    """Nothing out of order, nothing twice but heartbeats, and hardly anything missing."""
    assert ids == sorted(ids)
    span = ids[-1] - ids[0] + 1
    assert span >= least * FPS * MINUTE_S
    assert len(set(ids)) >= least * span


@pytest.mark.timeout(240)
def test_every_player_plays_for_a_minute(serve: Any, chromium: Browser) -> None:
    """ffmpeg, OpenCV, curl, http.client, Chromium's <img> and its wall of 12 cameras, all at the same time."""
    wall = [
        argument
        for number in range(1, WALL_CAMERAS)
        for argument in ("--camera", f"c{number}=mock:?fps={FPS}&size=320x240&name=c{number}")
    ]
    server = serve("--camera", f"cam=mock:?fps={FPS}&size=640x480", *wall)
    url = server.url + STREAM
    players = {
        "ffmpeg": Watching(lambda: play_ffmpeg(url)),
        "opencv": Watching(lambda: play_opencv(url)),
        "curl": Watching(lambda: play_curl(url)),
        "http.client": Watching(lambda: play_http_client(url)),
    }
    source = BLOCKCODE.read_text()
    # The page's own rules forbid scripts from blobs, and rightly; here one is let in to read the canvases.
    wall_page = chromium.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    complaints: list[str] = []
    wall_page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    wall_page.on("pageerror", lambda error: complaints.append(str(error)))
    wall_page.goto(server.url + "/")
    wall_page.evaluate(SAMPLE_WALL, [source])
    page = chromium.new_page(bypass_csp=True)
    page.goto(server.url + "/healthz")
    shown = page.evaluate(SHOWN_BY_IMG, [source, STREAM, MINUTE_S * 1000])
    check_ids([frame_id for frame_id, _ in shown], least=0.7)

    status, complaint = players["ffmpeg"].finish(MINUTE_S)
    assert status == 0 and complaint == ""
    for name in ("opencv", "curl", "http.client"):
        check_ids(players[name].finish(MINUTE_S))

    seen = wall_page.evaluate("() => [...window.seen.values()].map(({ids, seconds}) => [ids.size, seconds.size])")
    assert len(seen) == WALL_CAMERAS
    # A wall that plays moves in every second. Looked at every 100 ms, or as often as a busy machine comes to it, and
    # mostly another frame is seen.
    assert min(seconds for _, seconds in seen) >= 0.9 * MINUTE_S, seen
    looks = min(wall_page.evaluate("() => window.looks"), FPS * MINUTE_S)
    assert looks >= 0.1 * FPS * MINUTE_S
    assert min(ids for ids, _ in seen) >= 0.5 * looks, (seen, looks)
    assert complaints == []


@pytest.mark.parametrize("fps", [1, 5, 30])
def test_chromium_paints_a_frame_when_it_is_sent(serve: Any, chromium: Browser, fps: int) -> None:
    """A server that leaves it to the next part's headers to show a picture is a whole interval late."""
    server = serve("--camera", f"cam=mock:?fps={fps}")
    page = chromium.new_page(bypass_csp=True)
    page.goto(server.url + "/healthz")
    source = BLOCKCODE.read_text()
    shown = page.evaluate(SHOWN_BY_IMG, [source, STREAM, 8000 if fps == 1 else 4000])
    ages_ms = [age_ms for _, age_ms in shown[1:]]
    assert len(ages_ms) >= 3
    interval_ms = 1000 / fps
    print(f"{fps} fps: median {statistics.median(ages_ms):.1f} ms from drawing to canvas")
    if fps < 30:
        assert statistics.median(ages_ms) < 0.4 * interval_ms
    else:
        assert statistics.median(ages_ms) < 3 * interval_ms
