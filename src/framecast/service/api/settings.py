"""Settings: what holds, where it came from, and what of it can be changed while the server runs."""

from __future__ import annotations

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.config.report import described
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    timeout_s = service.settings.limits.body_timeout_s

    async def show(call: Call) -> web.StreamResponse:
        return json_response({"settings": described(service.configuration)})

    async def change(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        await service.administration.change_settings(fields)
        return await show(call)

    async def show_camera(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        return json_response({"settings": described(service.configuration, camera.camera_id)})

    async def change_camera(call: Call) -> web.StreamResponse:
        service.camera(call.parameter)
        fields = await read_json(call.request, timeout_s=timeout_s)
        await service.administration.change_camera(call.parameter, fields, call.grant)
        return await show_camera(call)

    server, camera = "/api/v1/settings", "/api/v1/cameras/{id}/settings"
    body = "settings by their dotted key, null for one that is to be as configured again"
    camera_body = "settings of the camera by their name, null for one that is to be as configured again"
    words = "Change a camera's settings; its viewers stay."
    return [
        Route("GET", server, Right.OWN, show, "All settings, and where each came from.", tag="settings"),
        Route("PATCH", server, Right.OWN, change, "Change settings at once; viewers stay.", body=body, tag="settings"),
        Route("GET", camera, Right.OPERATE, show_camera, "A camera's settings and their origin.", tag="settings"),
        Route("PATCH", camera, Right.OPERATE, change_camera, words, body=camera_body, tag="settings"),
    ]
