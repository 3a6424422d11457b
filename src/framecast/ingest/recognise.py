"""What a device's answer tells about its firmware, and where a firmware's stream is found.

Only names for people: everything is parsed alike, whatever is recognised here. The marks are those of the firmwares'
own sources, see docs/devices.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from framecast.ingest.target import Target
from framecast.wire.http1 import Head
from framecast.wire.multipart import boundary_of

ESPRESSIF = "Espressif CameraWebServer"
ESPHOME = "ESPHome esp32_camera_web_server"
EASYTARGET = "easytarget esp32-cam-webserver"
TASMOTA = "Tasmota"
M5STACK = "M5Stack AtomS3R-CAM"
S60SC = "s60sc ESP32-CAM_MJPEG2SD"
FRAMECAST = "Framecast"
MOTION = "Motion"
USTREAMER = "µStreamer"
MJPG_STREAMER = "MJPG-Streamer"
GENERIC = "MJPEG"
STILL = "JPEG, polled"

ESPRESSIF_BOUNDARY = "123456789000000000000987654321"
TASMOTA_BOUNDARY = "e8b8c539-047d-4777-a985-fbba6edff11e"

PICTURE_TYPES = frozenset({"image/jpeg", "image/jpg", "image/pjpeg"})
PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_WITHOUT_PORT = (
    (81, "/stream"),  # Espressif, easytarget, Tasmota
    (None, "/stream"),
    (None, "/api/v1/stream"),  # M5Stack AtomS3R-CAM
    (None, "/sustain?stream=0"),  # s60sc
    (None, "/cam.mjpeg"),
    (None, "/"),  # ESPHome with its port given as 80
    (8080, "/"),  # ESPHome as its documentation sets it up
    (8080, "/stream"),  # µStreamer
    (8080, "/video"),
    (None, "/video"),
    (8081, "/"),  # ESPHome's snapshots, Motion
    (None, "/capture"),  # a picture, where the stream is taken
    (None, "/snapshot.jpg"),
)
_WITH_PORT = (
    "/stream",
    "/",
    "/cam.mjpeg",
    "/api/v1/stream",
    "/sustain?stream=0",
    "/video",
    "/capture",
    "/snapshot.jpg",
)
_PICTURES = frozenset({"/capture", "/snapshot.jpg"})
_ESPHOME_PICTURES = (8081, "/")


def candidates(target: Target) -> list[Target]:
    """Where the stream of a device may be of which only the address is known, the likeliest first."""
    if target.scheme == "http" and target.port == 80:
        return [target.at(path, port) for port, path in _WITHOUT_PORT]
    return [target.at(path) for path in _WITH_PORT]


def is_last_resort(place: Target) -> bool:
    """Whether a place has single pictures where it has anything: what is left when no stream can be had."""
    return place.path in _PICTURES or (place.port, place.path) == _ESPHOME_PICTURES


def stream_dialect(head: Head, part: Mapping[str, str], quirks: Collection[str]) -> str:
    """Which firmware sends a stream like this.

    Args:
        head: Of the response.
        part: Headers of its first picture, names in lower case.
        quirks: What the parser met so far.
    """
    boundary = (boundary_of(head.get("content-type")) or "").removeprefix("--")
    if boundary == ESPRESSIF_BOUNDARY:
        return _espressif_like(head, part, quirks)
    if boundary == TASMOTA_BOUNDARY:
        return TASMOTA
    if "x-frame-id" in part:
        return FRAMECAST
    server = head.get("server").lower()
    if boundary == "boundarydonotcross":
        return MJPG_STREAMER if "mjpg-streamer" in server else USTREAMER
    if boundary == "BoundaryString" or server.startswith("motion"):
        return MOTION
    return GENERIC


def _espressif_like(head: Head, part: Mapping[str, str], quirks: Collection[str]) -> str:
    """The firmwares that took Espressif's boundary over with its code."""
    if head.version == (1, 0):
        return ESPHOME
    if "no_first_boundary" in quirks:
        return M5STACK
    if "padded_content_length" in quirks:
        return S60SC
    if "x-timestamp" in part or head.get("x-framerate"):
        return ESPRESSIF
    return EASYTARGET


def still_dialect(target: Target, head: Head) -> str:
    """Which firmware answers with one picture like this."""
    path = target.path.partition("?")[0]
    if path == "/capture" and head.get("x-timestamp"):
        return f"{ESPRESSIF} ({STILL})"
    if path == "/snapshot.jpg" and not head.get("content-length"):
        return f"{TASMOTA} ({STILL})"
    if path == "/api/v1/capture":
        return f"{M5STACK} ({STILL})"
    return STILL
