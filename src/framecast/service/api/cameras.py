"""Cameras as resources: list, add, change, remove, restart, probe, statistics."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.cameras import peering, restreams, views
from framecast.service.cameras.cameras import Camera
from framecast.service.cameras.probing import findings, probe_url
from framecast.service.cameras.reach import check_address
from framecast.service.config import mask_url
from framecast.service.errors import ApiError, bad_request
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

PROBES_AT_A_TIME = 4


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    timeout_s = service.settings.limits.body_timeout_s
    probing = asyncio.Semaphore(PROBES_AT_A_TIME)

    async def listing(call: Call) -> web.StreamResponse:
        covered = [
            camera
            for camera in service.cameras
            if service.access.covers(call.grant, Right.WATCH, camera.camera_id, call.peer)
        ]
        return json_response({"cameras": [views.camera(camera) for camera in covered]})

    async def show(call: Call) -> web.StreamResponse:
        return json_response(views.camera(service.camera(call.parameter)))

    async def add(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        camera = await service.administration.add_camera(fields, call.grant)
        return json_response(
            views.camera(camera),
            status=201,
            headers={"Location": call.client.path(f"/api/v1/cameras/{camera.camera_id}")},
        )

    async def change(call: Call) -> web.StreamResponse:
        service.camera(call.parameter)
        fields = await read_json(call.request, timeout_s=timeout_s)
        camera = await service.administration.change_camera(call.parameter, fields, call.grant)
        return json_response(views.camera(camera))

    async def remove(call: Call) -> web.StreamResponse:
        await service.administration.remove_camera(call.parameter)
        return web.Response(status=204)

    async def restart(call: Call) -> web.StreamResponse:
        service.camera(call.parameter)
        service.cameras.restart(call.parameter)
        return json_response({"success": True})

    async def statistics(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        named = service.access.covers(call.grant, Right.OPERATE, camera.camera_id, call.peer)
        readers = [views.reader(viewer, named=named) for viewer in camera.stream.viewers.values()]
        pushed = [restreams.summary(each) for each in service.restreams.of(camera)]
        webrtc = peering.summary(service.peering.known(camera), named=named)
        return json_response({**views.camera(camera), "readers": readers, "restream": pushed, "webrtc": webrtc})

    async def probe(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        url, username, password = _target(service, fields)
        known = findings(service.camera(fields["camera"])) if "camera" in fields else None
        if known is not None:
            return await _send_probe(call, lambda say: _tell(service.camera(fields["camera"]), known, say))

        def is_hidden() -> bool:
            """What a mask hides is not shown here either, and the device's own pictures are not masked."""
            if "camera" not in fields:
                return False
            camera = service.cameras.get(fields["camera"])
            return camera is None or bool(camera.config.masks)

        if probing.locked():
            raise ApiError(429, "busy", f"{PROBES_AT_A_TIME} cameras are being probed already; try again in a moment")
        async with probing:
            asked = service, call, url, username, password
            return await _send_probe(call, lambda say: _probe(*asked, say, is_hidden, is_known="camera" in fields))

    watch, operate = Right.WATCH, Right.OPERATE
    one = "/api/v1/cameras/{id}"
    body = "url, id?, name?, policy?, rotate?, mirror?, masks?, … (see the configuration of a camera)"
    return [
        Route("GET", "/api/v1/cameras", watch, listing, "All cameras.", tag="cameras"),
        Route("POST", "/api/v1/cameras", operate, add, "Add a camera.", body=body, tag="cameras"),
        Route("GET", one, watch, show, "One camera.", tag="cameras"),
        Route("PATCH", one, operate, change, "Change a camera; its viewers stay.", body=body, tag="cameras"),
        Route("DELETE", one, operate, remove, "Remove a camera.", answer="204", tag="cameras"),
        Route("POST", one + "/restart", operate, restart, "Let the camera's reader connect anew.", tag="cameras"),
        Route("GET", one + "/stats", watch, statistics, "One camera with everybody who watches it.", tag="cameras"),
        Route(
            "POST",
            "/api/v1/probe",
            operate,
            probe,
            "Look at a camera before it is added: what it speaks and what is wrong with it, step by step.",
            body="url (a bare address will do) or camera (an id), username?, password?",
            answer="application/x-ndjson",
            tag="cameras",
        ),
    ]


def _target(service: Service, fields: dict[str, Any]) -> tuple[str, str, str]:
    unknown = fields.keys() - {"url", "camera", "username", "password"}
    if unknown:
        raise bad_request(f"A probe takes url or camera, not {', '.join(sorted(unknown))[:100]}", "bad_value")
    camera_id, url = fields.get("camera"), fields.get("url")
    if "camera" in fields:
        if not isinstance(camera_id, str) or "url" in fields:
            raise bad_request("camera is the id of a camera, in place of a url", "bad_value")
        camera = service.camera(camera_id)
        return camera.config.url, camera.config.username, camera.config.password
    username, password = fields.get("username", ""), fields.get("password", "")
    if not isinstance(url, str) or not url.strip() or len(url) > 2000:
        raise bad_request("A probe needs a url, such as 192.168.1.20 or http://192.168.1.20:81/stream", "bad_value")
    if not isinstance(username, str) or not isinstance(password, str):
        raise bad_request("username and password are texts", "bad_value")
    return url.strip(), username, password


Known = tuple[dict[str, Any], bytes | None]
Say = Callable[[dict[str, Any]], Awaitable[None]]


async def _probe(
    service: Service,
    call: Call,
    url: str,
    username: str,
    password: str,
    say: Say,
    is_hidden: Callable[[], bool],
    *,
    is_known: bool,
) -> None:
    was_hidden = is_hidden()
    steps: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    check = None if call.grant.local else check_address(service.settings.network)
    task = asyncio.get_running_loop().create_task(
        probe_url(
            url,
            username=username,
            password=password,
            check=check,
            open_source=lambda each: service.open_url(each, trusted=call.grant.local),
            on_step=steps.put_nowait,
        )
    )
    task.add_done_callback(lambda _: steps.put_nowait(None))
    try:
        while (step := await steps.get()) is not None:
            await say(step)
        result, preview = await task
        if is_known:
            # Who typed an address needs it as it is to add the camera; of one that is kept nobody is told the secrets.
            result |= {"url": mask_url(result["url"]), "candidates": [mask_url(url) for url in result["candidates"]]}
        shown = base64.b64encode(preview).decode() if preview and not (was_hidden or is_hidden()) else None
        await say({"result": {**result, "preview": shown}})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tell(camera: Camera, known: Known, say: Say) -> None:
    stream = camera.stream
    words = f"{stream.published} pictures came in so far" + (f"; {stream.reason}" if stream.reason else "")
    await say({"step": "frames", "text": words, "ok": stream.published > 0})
    result, preview = known
    await say({"result": {**result, "preview": base64.b64encode(preview).decode() if preview else None}})


async def _send_probe(call: Call, run: Callable[[Say], Awaitable[None]]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(call.request)

    async def say(line: dict[str, Any]) -> None:
        await response.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    try:
        await run(say)
        await response.write_eof()
    except ConnectionError:
        pass
    return response
