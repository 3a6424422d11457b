"""Viewers of a running server who watch and listen for claps, one for each output that carries both picture and sound.

Each is a function of the server's URL, the camera's id and a time, and returns what it witnessed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from io import BytesIO

import aiohttp
import av
import numpy as np
import simplejpeg

from framecast.wire import media
from tests.support.claps import Witness, luma_of, watch
from tests.support.clapwhep import whep
from tests.support.whep import local_address

Viewer = Callable[[str, str, float], Awaitable[Witness]]

_PATIENT_S = 10.0


async def mp4(url: str, camera_id: str, seconds: float) -> Witness:
    """`stream.mp4`, as a player reads it."""
    return await asyncio.to_thread(watch, f"{url}/api/v1/cameras/{camera_id}/stream.mp4", seconds=seconds)


async def hls(url: str, camera_id: str, seconds: float) -> Witness:
    """HLS, as FFmpeg plays it: whole segments."""
    return await asyncio.to_thread(watch, f"{url}/api/v1/cameras/{camera_id}/hls/index.m3u8", seconds=seconds)


async def dashboard_jpeg(url: str, camera_id: str, seconds: float) -> Witness:
    """The dashboard's socket: JPEGs and PCM, each message with its capture time."""
    return await _dashboard(url, camera_id, seconds, "jpeg")


async def dashboard_h264(url: str, camera_id: str, seconds: float) -> Witness:
    """The dashboard's socket: access units for WebCodecs, and PCM."""
    return await _dashboard(url, camera_id, seconds, "h264")


async def dashboard_mp4(url: str, camera_id: str, seconds: float) -> Witness:
    """The dashboard's socket: fragments for MediaSource, AAC inside."""
    return await _dashboard(url, camera_id, seconds, "mp4")


def m5stack(address: str) -> Viewer:
    """MPEG-TS of the M5Stack viewers' port at ``address`` (``ws://HOST:PORT``)."""

    async def view(url: str, camera_id: str, seconds: float) -> Witness:
        data = bytearray()
        async with aiohttp.ClientSession() as client, client.ws_connect(f"{address}/{camera_id}") as socket:
            try:
                async with asyncio.timeout(seconds):
                    while True:
                        data += await socket.receive_bytes()
            except TimeoutError:
                pass
        return await asyncio.to_thread(watch, BytesIO(bytes(data)), form="mpegts")

    return view


async def _dashboard(url: str, camera_id: str, seconds: float, form: str) -> Witness:
    witness, file = Witness(), bytearray()
    decoder = av.CodecContext.create("h264", "r")
    times: list[float] = []
    wish = {"id": camera_id, "form": form, "audio": True, "credit": 16}
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{url}/api/v1/ws", max_msg_size=0) as socket:
        await socket.send_str(json.dumps({"type": "subscribe", "cameras": [wish]}))
        try:
            async with asyncio.timeout(seconds):
                while True:
                    received = await socket.receive(timeout=_PATIENT_S)
                    if received.type is not aiohttp.WSMsgType.BINARY:
                        assert received.type is aiohttp.WSMsgType.TEXT, received
                        continue
                    message = media.unpack(received.data)
                    at_s = message.pts_ns / 1e9
                    if message.kind is media.Kind.AUDIO:
                        samples = np.frombuffer(message.payload, "<i2")[:: message.channels]
                        witness.hear(at_s, samples, message.sample_rate_hz)
                        continue
                    if message.codec is media.Codec.JPEG:
                        witness.see(at_s, simplejpeg.decode_jpeg(message.payload, "GRAY")[:, :, 0])
                    elif message.codec is media.Codec.H264:
                        times.append(at_s)
                        for frame in decoder.decode(av.Packet(message.payload)):
                            witness.see(times.pop(0), luma_of(frame))
                    elif message.codec is media.Codec.FMP4:
                        if message.init:
                            file[:] = b""
                        file += message.payload
                    if not message.init:
                        await socket.send_str(
                            json.dumps({"type": "ack", "camera": message.camera, "frame": message.frame_id})
                        )
        except TimeoutError:
            pass
    return await asyncio.to_thread(watch, BytesIO(bytes(file)), form="mp4") if form == "mp4" else witness


VIEWERS: dict[str, Viewer] = {
    "stream.mp4": mp4,
    "HLS": hls,
    "dashboard jpeg + PCM": dashboard_jpeg,
    "dashboard h264 + PCM": dashboard_h264,
    "dashboard mp4": dashboard_mp4,
}
"""Those that need nothing but the server's own port; WebRTC only where there is an address that is not loopback."""
if local_address():
    VIEWERS["WHEP"] = whep
