"""What fake devices speak: one table, from which the device, the command line, the docs and the tests all read.

The bytes follow the firmwares' own sources. A firmware that uses two ports (81 for the stream, 80 for the rest) has
both on one port here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from framecast.mock import postedsound, push
from framecast.mock.controls import EspressifControls
from framecast.mock.framing import Multipart
from framecast.mock.pushing import Pushing

B = "123456789000000000000987654321"
TASMOTA_BOUNDARY = "e8b8c539-047d-4777-a985-fbba6edff11e"


class WhenFull(StrEnum):
    """What happens to a viewer who comes when there are as many as the firmware can serve."""

    WAITS = "the next one waits"
    REPLACES = "a new one replaces the old"
    REFUSED = "the next one gets 500"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One line of the table.

    Attributes:
        name: As on the command line.
        title: Name for people.
        about: What is particular.
        path: Where its stream is, or where it pushes to.
        streams: Every path (with the query that it needs) that streams.
        stills: Every path that gives one picture.
        stream: How a stream is wrapped; None where there is none.
        still: Head of the answer to a still, ``{length}`` and ``{stamp}`` filled in.
        controls: Makes what answers every other path.
        max_clients: Viewers of the stream at a time.
        when_full: What happens to one more.
        stale_frames: So many old pictures come first on each connection.
        push: One connection's life, for a device that pushes; None for one that is asked.
        scheme: What it pushes over.
        fps: Its usual rate.
        sounds: Every path that gives its sound as endless WAV, where it is asked.
        push_sound: One connection's life for its sound; None for a device that sends it otherwise, or has none.
    """

    name: str
    title: str
    about: str
    path: str
    streams: tuple[str, ...] = ()
    stills: tuple[str, ...] = ()
    stream: Multipart | None = None
    still: str = ""
    controls: Callable[[], EspressifControls] | None = None
    max_clients: int = 1
    when_full: WhenFull = WhenFull.WAITS
    stale_frames: int = 0
    push: Callable[[Pushing], Awaitable[None]] | None = None
    scheme: str = "http"
    fps: float = 12.5
    sounds: tuple[str, ...] = ()
    push_sound: Callable[[Pushing], Awaitable[None]] | None = None

    @property
    def pushes(self) -> bool:
        """Whether the device dials and pushes, rather than being asked."""
        return self.push is not None

    @property
    def sends_sound(self) -> bool:
        """Whether it can have a microphone."""
        return bool(self.sounds) or self.push_sound is not None or self.scheme == "ws"


def _chunked_head(more: str = "") -> str:
    """As esp_http_server writes it (httpd_resp_send_chunk)."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={B}\r\n"
        f"Transfer-Encoding: chunked\r\n{more}\r\n"
    )


_ANYONE = "Access-Control-Allow-Origin: *\r\n"
_STILL = (
    "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n"
    "Content-Disposition: inline; filename=capture.jpg\r\n"
)

TABLE: tuple[Dialect, ...] = (
    Dialect(
        "espressif",
        "Espressif CameraWebServer",
        "Chunked, three chunks a frame; the boundary comes before the part; X-Timestamp is uptime",
        "/stream",
        streams=("/stream",),
        sounds=("/audio",),
        stills=("/capture",),
        stream=Multipart(
            _chunked_head(f"{_ANYONE}X-Framerate: 60\r\n"),
            B,
            chunked=True,
            before=f"\r\n--{B}\r\n",
            fields="Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Timestamp: {stamp}\r\n\r\n",
        ),
        still=f"{_STILL}{_ANYONE}X-Timestamp: {{stamp}}\r\n\r\n",
        controls=EspressifControls,
    ),
    Dialect(
        "esphome",
        "ESPHome esp32_camera_web_server",
        "HTTP/1.0, not chunked, no timestamp; says `No frames send.` in a text part",
        "/",
        streams=("/",),
        sounds=("/audio",),
        stream=Multipart(
            f"HTTP/1.0 200 OK\r\n{_ANYONE}Connection: close\r\n"
            f"Content-Type: multipart/x-mixed-replace;boundary={B}\r\n\r\n",
            B,
            opening=f"--{B}\r\n",
            after=f"\r\n--{B}\r\n",
        ),
    ),
    Dialect(
        "esphome-snapshot",
        "ESPHome esp32_camera_web_server (snapshot mode)",
        "One JPEG for each request",
        "/",
        stills=("/",),
        still=f"{_STILL}\r\n",
    ),
    Dialect(
        "easytarget",
        "easytarget esp32-cam-webserver",
        "As Espressif's, without X-Timestamp; known to freeze in mid-frame",
        "/stream",
        streams=("/stream",),
        sounds=("/audio",),
        stills=("/capture",),
        stream=Multipart(_chunked_head(_ANYONE), B, chunked=True, before=f"\r\n--{B}\r\n"),
        still=f"{_STILL}{_ANYONE}\r\n",
        controls=EspressifControls,
    ),
    Dialect(
        "tasmota",
        "Tasmota",
        "HTTP/1.1 with neither length nor chunks; /cam.jpg streams as well",
        "/stream",
        streams=("/stream", "/cam.mjpeg", "/cam.jpg"),
        sounds=("/audio",),
        stills=("/snapshot.jpg", "/wc.jpg"),
        stream=Multipart(
            f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={TASMOTA_BOUNDARY}\r\n\r\n",
            TASMOTA_BOUNDARY,
            before=f"--{TASMOTA_BOUNDARY}\r\n",
            after="\r\n",
        ),
        still="HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\nContent-type: image/jpeg\r\n\r\n",
        when_full=WhenFull.REPLACES,
    ),
    Dialect(
        "tasmota-old",
        "Tasmota, older builds",
        "As tasmota, but the body starts without a boundary",
        "/stream",
        streams=("/stream", "/cam.mjpeg", "/cam.jpg"),
        sounds=("/audio",),
        stills=("/snapshot.jpg", "/wc.jpg"),
        stream=Multipart(
            f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={TASMOTA_BOUNDARY}\r\n\r\n",
            TASMOTA_BOUNDARY,
            after=f"\r\n--{TASMOTA_BOUNDARY}\r\n",
        ),
        still="HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\nContent-type: image/jpeg\r\n\r\n",
        when_full=WhenFull.REPLACES,
    ),
    Dialect(
        "m5stack",
        "M5Stack AtomS3R-CAM",
        "Chunked; the body starts at Content-Type, without a boundary; the first frames are stale",
        "/api/v1/stream",
        streams=("/api/v1/stream",),
        sounds=("/audio",),
        stills=("/api/v1/capture",),
        stream=Multipart(_chunked_head(), B, chunked=True, after=f"\r\n--{B}\r\n"),
        still=f"{_STILL}\r\n",
        stale_frames=2,
    ),
    Dialect(
        "s60sc",
        "s60sc ESP32-CAM_MJPEG2SD",
        "Content-Length padded with spaces; two viewers at most",
        "/sustain?stream=0",
        streams=("/sustain?stream=0", "/sustain?video=1"),
        sounds=("/sustain?audio=1",),
        stills=("/control?still=1",),
        stream=Multipart(
            _chunked_head(_ANYONE),
            B,
            chunked=True,
            before=f"\r\n--{B}\r\n",
            fields="Content-Type: image/jpeg\r\nContent-Length: {length:10}\r\n\r\n",
        ),
        still=f"{_STILL}{_ANYONE}\r\n",
        max_clients=2,
        when_full=WhenFull.REFUSED,
    ),
    Dialect(
        "post-raw",
        "Raw JPEG by POST",
        "Body image/jpeg, one connection kept alive",
        "/api/v1/cameras/mock/frames",
        push=push.post_raw,
        push_sound=postedsound.post,
        fps=10.0,
    ),
    Dialect(
        "post-multipart",
        "ESP32-CAM photo sketch",
        "Multipart field imageFile, written in 1 KB pieces",
        "/api/v1/cameras/mock/frames",
        push=push.post_multipart,
        push_sound=postedsound.post,
        fps=10.0,
    ),
    Dialect(
        "doorbell",
        "Doorbell",
        "Multipart frame, device_id, frame_id, timestamp; 5 fps",
        "/api/v1/devices/doorbell/camera-stream",
        push=push.doorbell,
        push_sound=postedsound.post_doorbell,
        fps=5.0,
    ),
    Dialect(
        "prusaconnect",
        "PrusaConnect camera",
        "PUT in absolute form, HTTP/1.0, image/jpg, one connection a picture",
        "/c/snapshot",
        push=push.prusaconnect,
        fps=1.0,
    ),
    Dialect(
        "websocket",
        "esp_websocket_client",
        "Binary messages in fragments of 1,024 bytes",
        "/api/v1/cameras/mock/publish",
        push=push.websocket,
        scheme="ws",
    ),
    Dialect(
        "m5stack-ws",
        "M5Stack over WebSocket",
        "Each JPEG one binary message, to port 8765",
        "/",
        push=push.m5stack_ws,
        scheme="ws",
    ),
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in TABLE}
