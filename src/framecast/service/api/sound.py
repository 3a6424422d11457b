"""Sound in by POST, and out as a WAV or as raw PCM."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from aiohttp import HttpVersion10, web

from framecast.core.errors import Replaced
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.stream import Stream
from framecast.core.viewer import Viewer
from framecast.output import sound
from framecast.service.access.rights import Right
from framecast.service.api.leaving import admitted, while_here
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, bad_request, closing
from framecast.service.front.bodies import read_body
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire import pcm, wav
from framecast.wire.pcm import PcmError
from framecast.wire.soundbody import block_of

FIRST_CHUNK_S = 5.0
"""How long the head of a raw answer waits for a camera that is fetched to tell its sample rate."""
KIND = "audio"
"""Of viewers who listen."""
DEFAULT_FORM = Format("pcm_s16le", sample_rate_hz=pcm.DEFAULT_RATE_HZ, channels=1)
MAX_BODY_BYTES = pcm.MAX_CHUNK_BYTES + wav.MAX_PREAMBLE_BYTES
BODY = (
    "s16le samples, channels interleaved, at most 2 s of them: raw, with X-Sample-Rate (8000-48000; 16000), X-Channels "
    "(1 or 2; 1), X-Sequence and X-Timestamp where the device has them; or a WAV; or a form with a field audio"
)


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def post(call: Call) -> web.StreamResponse:
        posted = await read_sound(service, call, service.camera(call.parameter))
        return hand_in_sound(call, service.camera(call.parameter), posted)  # it may have been replaced meanwhile

    async def as_wav(call: Call) -> web.StreamResponse:
        return await send_sound(service, call, service.camera(call.parameter), is_wav=True)

    async def as_pcm(call: Call) -> web.StreamResponse:
        return await send_sound(service, call, service.camera(call.parameter), is_wav=False)

    return [
        Route(
            "POST",
            "/api/v1/cameras/{id}/audio",
            Right.PUBLISH,
            post,
            "A device pushes one chunk of sound.",
            body=BODY,
            tag="publish",
        ),
        Route(
            "GET",
            "/api/v1/cameras/{id}/audio.wav",
            Right.WATCH,
            as_wav,
            "Listen: a WAV that does not end, for <audio>, VLC and ffmpeg.",
            answer="audio/wav",
            tag="watch",
        ),
        Route(
            "GET",
            "/api/v1/cameras/{id}/audio.pcm",
            Right.WATCH,
            as_pcm,
            "Listen: the samples as the device sends them, s16le; X-Sample-Rate and X-Channels say which.",
            answer="audio/pcm",
            tag="watch",
        ),
    ]


@dataclass(frozen=True, slots=True)
class Posted:
    """A chunk of sound as a device posted it."""

    block: pcm.Block
    stamp_s: float | None
    device_id: str


async def read_sound(service: Service, call: Call, camera: Camera | None) -> Posted:
    """The sound in a request.

    Args:
        camera: The one it is meant for, as far as that is known before the request was read.

    Raises:
        ApiError: There is none that can be taken; the cause is counted on the camera.
    """
    request, headers = call.request, call.request.headers
    try:
        body = await read_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=service.settings.limits.body_timeout_s)
        block = block_of(body, headers)
    except ApiError as error:
        if error.status == 413:
            _count(camera, "too_many_bytes")
        raise
    except PcmError as error:
        _count(camera, error.cause)
        raise bad_request(str(error), error.cause) from None
    return Posted(block, pcm.stamp_of(headers.get("X-Timestamp")), headers.get("X-Device-Id", "")[:128].strip())


def hand_in_sound(call: Call, camera: Camera, posted: Posted) -> web.StreamResponse:
    """Publish posted sound, and answer.

    Raises:
        ApiError: Another device sends this camera's sound, or too many chunks come.
    """
    microphone = camera.sound.microphone
    block = posted.block
    try:
        microphone.check_in((call.peer, call.grant.name, posted.device_id), address=call.peer)
    except Replaced as error:
        raise ApiError(409, "replaced", str(error), close=True) from None
    waited = microphone.waiting
    try:
        packet = microphone.chunk(
            block.payload,
            sample_rate_hz=block.sample_rate_hz,
            channels=block.channels,
            sequence=block.sequence,
            stamp_s=posted.stamp_s,
        )
    except PcmError as error:  # the form was looked at before: it is the pace
        raise ApiError(429, error.cause, str(error), headers={"Retry-After": "1"}) from None
    waiting = block.sequence is not None and packet is None and microphone.waiting > waited
    chunk_id = packet.frame_id if packet is not None else microphone.published + waited if waiting else None
    answer = {
        "success": True,
        "chunk_id": chunk_id,
        "sequence": chunk_id if block.sequence is None else block.sequence,
        "size": len(block.payload),
        "clients": camera.sound.heard_by,
    }
    return web.Response(body=json.dumps(answer, separators=(",", ":")).encode(), content_type="application/json")


def listeners(stream: Stream) -> int:
    """Viewers who listen."""
    return sum(viewer.kind == KIND for viewer in stream.viewers.values())


async def send_sound(service: Service, call: Call, camera: Camera, *, is_wav: bool) -> web.StreamResponse:
    """Answer with a camera's sound until the listener goes, or the device sends another form of it."""
    request = call.request
    chunked = request.version > HttpVersion10
    headers = {
        "Content-Type": "audio/wav" if is_wav else "audio/pcm",
        "Cache-Control": "no-store, no-transform",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "none",
    }
    if service.closing:
        raise closing()
    with admitted(service, camera, KIND, call.peer, rendition="audio", holder=call.grant.counted_as) as viewer:
        async with while_here(service, camera):
            form = None if is_wav else await _form_of(camera, wait=request.method != "HEAD")
        if form is not None:
            headers |= form_headers(form)
        response = web.StreamResponse(headers=headers)
        if request.method == "HEAD":
            return response
        await stream_sound(request, response, camera.sound.listeners, viewer, is_wav=is_wav, chunked=chunked, form=form)
    return response


async def stream_sound(
    request: web.BaseRequest,
    response: web.StreamResponse,
    output: sound.Output,
    viewer: Viewer,
    *,
    is_wav: bool,
    chunked: bool,
    form: Format | None,
) -> None:
    """Send the head, and then a track's sound until the connection ends."""
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is not None and not transport.is_closing():
        await output.serve(transport, viewer, is_wav=is_wav, chunked=chunked, form=form)


def form_headers(form: Format) -> dict[str, str]:
    """What raw samples need to be understood."""
    return {"X-Sample-Rate": str(form.sample_rate_hz), "X-Channels": str(form.channels), "X-Bit-Depth": "16"}


async def _form_of(camera: Camera, *, wait: bool) -> Format:
    """The form of a camera's sound: as it was last, as it turns out to be soon, or as most devices send it."""
    latest: Packet | None = camera.stream.audio.latest
    if latest is not None:
        return latest.format
    if not wait or (camera.desk is not None and not camera.config.audio_url):
        return DEFAULT_FORM
    mailbox = Mailbox()
    camera.stream.audio.attach(mailbox)
    try:
        async with asyncio.timeout(FIRST_CHUNK_S):
            return (await mailbox.get()).format
    except TimeoutError:
        return DEFAULT_FORM
    finally:
        camera.stream.audio.detach(mailbox)


def _count(camera: Camera | None, cause: str) -> None:
    if camera is not None:
        camera.sound.microphone.refuse(cause)
