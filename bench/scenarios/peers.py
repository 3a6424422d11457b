"""Peers found on this machine, given the same camera and the same viewers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from bench.parts import LOGS, PICTURES, Camera, Pace, Product, Server, Window, wait_until, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.processes import cores
from bench.results import Measure, Result, middle, paired_ratio, raw_windows

VIEWERS = 50
FPS = 30


class Motion(Server):
    """`motion` reading the camera over HTTP and giving MJPEG, detection and recording off: as little as it can do."""

    name = "motion"

    def __init__(self, url: str) -> None:
        self.port = _free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="framecast-motion-")
        config = Path(self._folder.name) / "motion.conf"
        config.write_text(
            "daemon off\nsetup_mode off\nlog_level 4\n"
            f"target_dir {self._folder.name}\n"
            f"netcam_url {url}\nwidth 640\nheight 480\nframerate {FPS}\nminimum_frame_time 0\n"
            "picture_output off\nmovie_output off\nemulate_motion off\npause on\n"
            f"stream_port {self.port}\nstream_localhost on\nstream_maxrate {FPS}\nstream_quality 80\n"
            "stream_motion off\nwebcontrol_port 0\n"
        )
        super().__init__(["motion", "-n", "-c", config], core=cores()[1], log=LOGS / "motion.log")

    def viewer_url(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self, sig: int = 15) -> str:
        out = super().stop(sig)
        self._folder.cleanup()
        return out


def run(pace: Pace) -> Result:
    """No target: what the field's tools need for the same viewers, where they are installed."""
    result = Result("peers", pace.quick)
    if shutil.which("ustreamer"):
        version = subprocess.run(["ustreamer", "--version"], capture_output=True, text=True).stdout.strip()
        result.notes.append(f"ustreamer {version} cannot take part: it reads V4L2 devices only, not a network camera.")
    else:
        result.notes.append("ustreamer is not installed.")
    if shutil.which("motion") is None:
        result.notes.append("motion is not installed.")
        return result
    files = pictures(PICTURES, 25_000 - STAMP_BYTES, 4)
    windows: dict[str, list[Window]] = {}
    with Camera(files, fps=FPS) as camera, Product({"cam": camera.url()}) as product, Motion(camera.url()) as motion:
        servers: list[Server] = [motion, product]
        try:
            wait_until("motion serves", lambda: _listens(motion.port), 15)
            time.sleep(3)
            for _ in range(1 if pace.quick else 3):
                for server in servers:
                    url = server.viewer_url()
                    windows.setdefault(server.name, []).append(watch(server, [url], VIEWERS, pace, exact=VIEWERS))
        except RuntimeError as error:
            result.notes.append(f"motion could not be measured: {error}")
            return result
    result.raw = {name: raw_windows(some) for name, some in windows.items()}
    ours, theirs = windows[product.name], windows[motion.name]
    rates = {name: middle([window.load["fps"] for window in some]) for name, some in windows.items()}
    # A peer that gives fewer frames does less: what is compared is the cost of a frame given to a viewer.
    mine, other = _us_a_frame(ours), _us_a_frame(theirs)
    result.measures += [
        Measure(
            f"CPU, {VIEWERS} viewers, beside motion",
            f"{middle([window.cpu_cores for window in ours]):.3f} core, {rates[product.name]:.1f} fps",
            f"{middle([window.cpu_cores for window in theirs]):.3f} core, {rates[motion.name]:.1f} fps",
        ),
        Measure(
            "CPU per frame given to a viewer, beside motion",
            f"{middle(mine):.1f} µs",
            f"{middle(other):.1f} µs",
            f"{paired_ratio(mine, other):.2f}",
        ),
    ]
    result.notes.append(
        "motion decodes and encodes every frame even with detection paused: its viewers see new pictures."
    )
    return result


def _us_a_frame(windows: list[Window]) -> list[float]:
    return [1e6 * w.cpu_cores * w.load["seconds"] / w.load["frames"] for w in windows if w.load["frames"]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
