"""What devices send when they push: whole HTTP requests, and the frames of a WebSocket."""

from __future__ import annotations

import struct
from typing import Any

from tests.data import frame

Entry = dict[str, Any]

FORM = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


def form(fields: list[tuple[str, str, bytes]], *, boundary: str, eol: str = "\r\n") -> bytes:
    """A form: name, further header lines, value."""
    out = b""
    for name, more, value in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        out += head.replace("\r\n", eol).encode() + value + eol.encode()
    return out + f"--{boundary}--{eol}".encode()


def post(path: str, body: bytes, content_type: str, *, length: int | None = None, more: str = "") -> bytes:
    """A whole POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 192.168.1.2:8080\r\n{more}"
        f"Content-Length: {len(body) if length is None else length}\r\nContent-Type: {content_type}\r\n\r\n"
    ).encode() + body


def picture(name: str) -> str:
    """The header lines of a picture's field, from its name's closing quote on."""
    return f'; filename="{name}.jpg"\r\nContent-Type: image/jpeg'


def requests() -> dict[str, tuple[bytes, Entry]]:
    """Whole requests with what must come out of them."""
    a, b = frame("small-0"), frame("small-1")
    sketch = form([("imageFile", picture("esp32-cam"), a)], boundary="RandomNerdTutorials")
    big = b[:2] + b"\xff\xfe\xff\xfe" + bytes(65_532) + b[2:]
    wrapped = form([("imageFile", picture("esp32-cam"), big)], boundary="RandomNerdTutorials")
    fields = [
        ("device_id", "", b"doorbell_001"),
        ("frame_id", "", b"42"),
        ("timestamp", "", b"123456"),
        ("frame", picture("frame"), a),
    ]
    doorbell = form(fields, boundary=FORM)
    fingerprint = "fingerprint: 0123456789abcdef\r\ntoken: abcdefghijklmnopqrst\r\n"
    prusa = frame("bogus-exif")
    form_type = f"multipart/form-data; boundary={FORM}"
    return {
        "post-sketch.request": (
            post("/api/v1/cameras/door/frames", sketch, "multipart/form-data; boundary=RandomNerdTutorials"),
            {"frames": ["small-0"]},
        ),
        "post-wrapped.request": (
            post(
                "/api/v1/cameras/door/frames",
                wrapped,
                "multipart/form-data; boundary=RandomNerdTutorials",
                length=len(wrapped) % 65_536,
            ),
            {"faults": {"content_length_wrapped": 1}},
        ),
        "post-raw.request": (
            post("/api/v1/cameras/door/frames", a, "image/jpeg"),
            {"frames": ["small-0"]},
        ),
        "doorbell.request": (
            post("/api/v1/devices/doorbell/camera-stream", doorbell, form_type, more="Authorization: Bearer token\r\n"),
            {"frames": ["small-0"]},
        ),
        "post-lf-only.request": (
            post("/api/v1/cameras/door/frames", form(fields, boundary=FORM, eol="\n"), form_type),
            {"frames": ["small-0"]},
        ),
        "prusaconnect.request": (
            (
                "PUT https://connect.prusa3d.com/c/snapshot HTTP/1.0\r\nHost: connect.prusa3d.com\r\n"
                f"User-Agent: ESP32-CAM\r\nConnection: close\r\nContent-Type: image/jpg\r\n{fingerprint}"
                f"Content-Length: {len(prusa)}\r\n\r\n"
            ).encode()
            + prusa,
            {"frames": ["bogus-exif"]},
        ),
    }


def client_frame(opcode: int, payload: bytes, *, fin: bool, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """A masked WebSocket frame (RFC 6455, section 5.2)."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    head = struct.pack("!BB", first, 0x80 | size) if size < 126 else struct.pack("!BBH", first, 0xFE, size)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def fragmented(message: bytes, piece: int) -> bytes:
    """A binary message as esp_websocket_client sends it: a frame and continuations of ``piece`` bytes."""
    pieces = [message[at : at + piece] for at in range(0, len(message), piece)]
    return b"".join(
        client_frame(0x2 if at == 0 else 0x0, data, fin=at == len(pieces) - 1) for at, data in enumerate(pieces)
    )


def websockets() -> dict[str, tuple[bytes, Entry]]:
    """What follows the handshake, from the device's side."""
    small = [frame("small-0"), frame("small-1"), frame("qvga")]
    names = ["small-0", "small-1", "qvga"]
    return {
        "esp-websocket-client.bin": (b"".join(fragmented(data, 1024) for data in small), {"frames": names}),
        "whole-messages.bin": (b"".join(client_frame(0x2, data, fin=True) for data in small), {"frames": names}),
    }
