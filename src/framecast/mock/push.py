"""Devices that push: each function is one connection's life, from dialling to the device's or the peer's end.

They raise OSError or EOFError when the peer goes; the device dials again.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct

from framecast.mock.audio import Audio, tagged
from framecast.mock.framing import bent
from framecast.mock.line import Line, status_of
from framecast.mock.pushing import Pushing, read_reply, write_request
from framecast.mock.shutter import Frame

_PIECE_BYTES = 1024
_FINGERPRINT = "5ca1ab1e-0000-4000-8000-00000000cafe"


async def post_raw(device: Pushing) -> None:
    """Each JPEG is the body of one POST, all on one connection; stamped where there is sound that it belongs to."""
    line = await device.dial()
    while True:
        frame = await device.next_frame()
        stamp = f"X-Timestamp: {device.uptime_s(frame):.6f}\r\n" if device.audio is not None else ""
        head = (
            f"POST {device.target.path} HTTP/1.1\r\nHost: {device.target.authority}\r\n"
            "User-Agent: ESP32HTTPClient\r\nConnection: keep-alive\r\nContent-Type: image/jpeg\r\n"
            f"{stamp}"
        )
        if not await _posted(device, line, frame, head, [frame.payload]):
            return


async def post_multipart(device: Pushing) -> None:
    """Field ``imageFile``, the picture written in 1 KB pieces."""
    boundary = "RandomNerdTutorials"
    before = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="imageFile"; filename="esp32-cam.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    after = f"\r\n--{boundary}--\r\n".encode()
    line = await device.dial()
    while True:
        frame = await device.next_frame()
        head = (
            f"POST {device.target.path} HTTP/1.1\r\nHost: {device.target.authority}\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
        )
        body = [before, *_pieces(frame.payload), after]
        if not await _posted(device, line, frame, head, body):
            return


async def doorbell(device: Pushing) -> None:
    """Fields ``device_id``, ``frame_id`` and ``timestamp`` (ms of uptime), then the picture as ``frame``."""
    boundary = "----ESP32DoorbellBoundary"
    line = await device.dial()
    while True:
        frame = await device.next_frame()
        head = (
            f"POST {device.target.path} HTTP/1.1\r\nHost: {device.target.authority}\r\n"
            f"Connection: keep-alive\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
        )
        fields = {
            "device_id": device.device_id,
            "frame_id": str(frame.frame_id),
            "timestamp": str(int(device.uptime_s(frame) * 1000)),
        }
        before = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        before += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="frame"; filename="frame.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        body = [before.encode(), frame.payload, f"\r\n--{boundary}--\r\n".encode()]
        if not await _posted(device, line, frame, head, body):
            return


async def prusaconnect(device: Pushing) -> None:
    """PUT in absolute form over HTTP/1.0, one connection a picture."""
    frame = await device.next_frame()
    line = await device.dial()
    host = device.target.host
    head = (
        f"PUT https://{host}{device.target.path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: ESP32-CAM\r\n"
        f"Connection: close\r\nContent-Type: image/jpg\r\nfingerprint: {_FINGERPRINT}\r\n"
        f"token: {device.token}\r\n"
    )
    await _posted(device, line, frame, head, list(_pieces(frame.payload)), authorise=False)


async def websocket(device: Pushing) -> None:
    """As esp_websocket_client: a binary frame of 1,024 bytes and as many continuations as it takes."""
    line = await _upgraded(device, "ESP32 Websocket Client")
    await _messages(device, line, _PIECE_BYTES)


async def m5stack_ws(device: Pushing) -> None:
    """As the Arduino WebSockets library: each JPEG is one unfragmented binary frame."""
    line = await _upgraded(device, "arduino-WebSocket-Client")
    await _messages(device, line, 0)


def client_frame(opcode: int, payload: bytes, *, last: bool = True, mask: bytes | None = None) -> bytes:
    """One masked WebSocket frame (RFC 6455, section 5.2)."""
    mask = os.urandom(4) if mask is None else mask
    first = (0x80 if last else 0) | opcode
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 0x10000:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    # XOR as one large number: a KB costs some 2 us, a loop over bytes 100.
    repeated = (mask * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + masked.to_bytes(length, "big")


async def _posted(
    device: Pushing, line: Line, frame: Frame, head: str, body: list[bytes], *, authorise: bool = True
) -> bool:
    """Send one request and read its answer; whether the connection can carry another."""
    length = sum(map(len, body))
    declared = length & 0xFFFF if "length-wrap" in device.faults else length + frame.length_error
    await write_request(device, line, head, body, declared, authorise=authorise)
    device.record(frame, line)
    reply = await read_reply(device, line)
    device.answered(reply.status, reply.body)
    return reply.keeps_open


async def _upgraded(device: Pushing, agent: str) -> Line:
    line = await device.dial()
    target = device.target
    head = (
        f"GET {target.path} HTTP/1.1\r\nConnection: Upgrade\r\nHost: {target.host}:{target.port}\r\n"
        f"User-Agent: {agent}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
    )
    if device.token:
        head += f"Authorization: Bearer {device.token}\r\n"
    await line.send(bent(head + "\r\n", device.faults).encode())
    answer = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = status_of(answer)
    device.answered(status, b"")
    if status != 101:
        line.close()
        raise ConnectionRefusedError(f"the upgrade to WebSocket was answered with {status}")
    return line


async def _messages(device: Pushing, line: Line, piece_bytes: int) -> None:
    """Send pictures, and sound where there is any, until the peer closes; answer its pings."""
    whole = asyncio.Lock()  # one message after another, whatever pieces it is sent in
    works = [_send_pictures(device, line, piece_bytes, whole), _listen(device, line)]
    if device.audio is not None:
        works.append(_send_sound(device, device.audio, line, piece_bytes, whole))
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        line.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _send_pictures(device: Pushing, line: Line, piece_bytes: int, whole: asyncio.Lock) -> None:
    while True:
        frame = await device.next_frame()
        async with whole:
            await line.send(*_fragments(frame.payload, piece_bytes))
        device.record(frame, line)


async def _send_sound(device: Pushing, audio: Audio, line: Line, piece_bytes: int, whole: asyncio.Lock) -> None:
    with audio.microphone.listen() as ear:
        while True:
            chunk = await ear.next()
            async with whole:
                await line.send(*_fragments(tagged(chunk, audio.microphone.options), piece_bytes))
            audio.record(chunk)


def _fragments(message: bytes, piece_bytes: int) -> list[bytes]:
    """The frames of a binary message; 0 = one frame."""
    pieces = _pieces(message, piece_bytes or max(1, len(message))) or [b""]
    return [
        client_frame(0 if number else 2, piece, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)
    ]


async def _listen(device: Pushing, line: Line) -> None:
    """Read what the peer says until it closes: pings are answered, sound is played, a close code is an answer."""
    message = bytearray()
    while True:
        first, second = await line.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await line.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await line.reader.readexactly(8), "big")
        payload = await line.reader.readexactly(length)
        opcode = first & 0x0F
        if opcode == 9:
            await line.send(client_frame(10, payload))
        elif opcode == 8:
            device.answered(int.from_bytes(payload[:2], "big"), payload[2:])
            return
        elif opcode in (0, 2):
            message += payload
            if first & 0x80:
                if device.speaker is not None:
                    device.speaker.message(bytes(message))
                message.clear()


def _pieces(data: bytes, size: int = _PIECE_BYTES) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
