"""What is imported at its first use, and by which thread: on the loop's it would hold up everybody's pictures."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.data import FOLDER
from tests.test_start import HEAVY
from tests.wire.test_sdp import OFFER

SERVE = f"""
import sys, threading
from framecast import app
from framecast.cli import main

announce = app.announce

def see(event, arguments):
    if event == "import" and arguments[0].partition(".")[0] in {HEAVY!r}:
        if threading.current_thread() is threading.main_thread() and not seen & {{arguments[0]}}:
            seen.add(arguments[0])
            frame, ours = sys._getframe(), []
            while frame is not None:
                if frame.f_globals.get("__name__", "").startswith("framecast."):
                    ours.append(frame.f_globals["__name__"])
                frame = frame.f_back
            print("on the loop:", arguments[0], "for", " ".join(ours[:3]), flush=True)

seen = set()

def announced(service, listeners):
    announce(service, listeners)
    sys.addaudithook(see)

app.announce = announced
sys.exit(main(["serve", "--port", "0", "--data", "data", "--camera", "a=mock:?fps=5&size=64x64&audio=1"]))
"""
JSON = "application/json"
FIRST = [
    ("POST", "/api/v1/cameras", JSON, json.dumps({"id": "film", "url": "rtsp://192.0.2.1/"}).encode()),
    ("POST", "/api/v1/cameras", JSON, json.dumps({"id": "p", "url": "push:", "rotate": 90}).encode()),
    ("POST", "/api/v1/cameras/p/frames", "image/jpeg", (FOLDER / "frames" / "qvga.jpg").read_bytes()),
    ("GET", "/api/v1/cameras/p/snapshot.jpg?max_bytes=2000", "", None),
    ("GET", "/api/v1/cameras/p/stream.mp4?width=96", "", None),
    ("GET", "/api/v1/cameras/a/stream.mp4", "", None),
    ("GET", "/api/v1/cameras/a/hls/index.m3u8", "", None),
    ("POST", "/api/v1/cameras/a/whep", "application/sdp", OFFER.encode()),
    ("POST", "/api/v1/probe", JSON, json.dumps({"camera": "film"}).encode()),
    ("GET", "/api/v1/cameras/a/detections?once=1", "", None),
    ("GET", "/api/v1/cameras/a/snapshot.jpg?overlay=detections", "", None),
    ("GET", "/api/v1/people", "", None),
    ("GET", "/api/v1/models", "", None),
    ("GET", "/api/v1/push/key", "", None),
    ("GET", "/metrics", "", None),
    ("GET", "/api/v1/history", "", None),
    ("GET", "/api/v1/tunnel/qr.svg", "", None),
    ("POST", "/api/v1/users", JSON, json.dumps({"name": "ann", "role": "owner", "password": "some words"}).encode()),
    ("POST", "/api/v1/session", JSON, json.dumps({"name": "ann", "password": "some words"}).encode()),
]
"""Requests each of which is the first to need something; answers are not looked at."""


def test_nothing_heavy_is_imported_on_the_loop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path) as child,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(child.kill)  # or it would be waited for, whatever failed
        assert child.stdout is not None
        url = child.stdout.readline().split()[-1].rstrip("/")
        for method, path, kind, body in FIRST:
            ask(method, url + path, kind, body)
        child.send_signal(signal.SIGTERM)
        said = child.stdout.read()
        assert child.wait(10) == 0
    assert not said, said


def ask(method: str, url: str, kind: str, body: bytes | None) -> None:
    """Send a request, and take the first of its answer."""
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            response.read(100)
    except urllib.error.HTTPError as error:
        error.close()
