"""What `framecast demo` shows: three synthetic devices, each coming in by another route, with its sound.

    garden    fetched: an ESP32-CAM that serves MJPEG over HTTP, and a WAV that does not end
    door      pushed by POST: a doorbell, 5 pictures and 16 chunks of sound a second
    robot     pushed by WebSocket: fragmented messages, sound between the pictures

They speak real bytes over real sockets of this machine, so what works here works with the devices they imitate.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from framecast.core.supervise import Supervisor
from framecast.mock.device import FakeDevice
from framecast.mock.microphone import SoundOptions
from framecast.mock.picture import Pictures, Synthetic
from framecast.service.config import CameraConfig

SIZE_PX = (640, 480)
CALM = SoundOptions(claps=False)
"""Flashes are for measuring, and nothing to look at."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One device of the demo.

    Attributes:
        dialect: How it speaks (`mock.dialects`).
        path: Where it pushes; empty for one that is fetched.
        sound: Rate and channels of its sound.
    """

    camera_id: str
    name: str
    dialect: str
    fps: float
    path: str = ""
    sound: SoundOptions = CALM


GUESTS = (
    Guest("garden", "Garden", "espressif", 25.0),
    Guest("door", "Front door", "doorbell", 5.0, "/api/v1/devices/doorbell/camera-stream"),
    Guest("robot", "Robot", "websocket", 15.0, "/api/v1/cameras/robot/publish", SoundOptions(24_000, 2, claps=False)),
)


class Demonstration:
    """The demo's devices.

    Args:
        video: A file whose pictures they send; drawn ones if None.

    Raises:
        Misuse: The file can't be read.
    """

    def __init__(self, video: Path | None) -> None:
        self._video = video
        self._pictures = {guest.camera_id: self._make_pictures(guest) for guest in GUESTS}
        # Known before the device runs, so that the camera can be configured before the server starts.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port: int = probe.getsockname()[1]

    def cameras(self) -> dict[str, CameraConfig]:
        """What the server is to be configured with."""
        return {
            guest.camera_id: CameraConfig(
                url="push:" if guest.path else f"http://127.0.0.1:{self._port}/stream",
                name=guest.name,
                audio_url="" if guest.path else f"http://127.0.0.1:{self._port}/audio",
            )
            for guest in GUESTS
        }

    @property
    def settings(self) -> dict[str, object]:
        """What else the server is to be configured with: a doorbell's sound says nothing of whose it is."""
        return {"compat.doorbell": "door"}

    def start(self, server_port: int, supervisor: Supervisor) -> None:
        """Let the devices begin; they run until the supervisor stops."""
        for guest in GUESTS:
            supervisor.spawn(f"demo device:{guest.camera_id}", self._run(guest, server_port))

    async def _run(self, guest: Guest, server_port: int) -> None:
        scheme = "ws" if guest.dialect == "websocket" else "http"
        async with FakeDevice(
            guest.dialect,
            fps=guest.fps,
            pictures=self._pictures[guest.camera_id],
            port=0 if guest.path else self._port,
            to=f"{scheme}://127.0.0.1:{server_port}{guest.path}" if guest.path else "",
            device_id=guest.camera_id,
            audio=guest.sound,
        ):
            await asyncio.Event().wait()

    def _make_pictures(self, guest: Guest) -> Pictures:
        if self._video is None:
            return Synthetic(*SIZE_PX, fps=guest.fps, name=guest.camera_id)
        from framecast.mock.video import Video

        return Video(self._video, name=guest.camera_id)
