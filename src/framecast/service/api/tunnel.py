"""The public address: what it is, opening and closing it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.service.tunnel import statuspage


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    tunnel = service.tunnel
    timeout_s = service.settings.limits.body_timeout_s

    def described() -> dict[str, Any]:
        shown = sorted(each for each, config in service.settings.cameras.items() if config.public)
        return {**tunnel.status.as_json(), "ports": service.ports, "public": shown}

    async def show(call: Call) -> web.StreamResponse:
        return json_response(described())

    async def start(call: Call) -> web.StreamResponse:
        await tunnel.start(tunnel.wish(await read_json(call.request, timeout_s=timeout_s)))
        return json_response(described())

    async def stop(call: Call) -> web.StreamResponse:
        if tunnel.leads(call.client.host):
            tunnel.stop_after_answer()
        else:
            await tunnel.stop()
        return web.Response(status=204)

    async def look(call: Call) -> web.StreamResponse:
        return json_response((await tunnel.look()).as_json())

    async def code(call: Call) -> web.StreamResponse:
        return statuspage.code_of(tunnel.status)

    own = Right.OWN
    return [
        Route("GET", "/api/v1/tunnel", own, show, "The public address, and how its tunnel is.", tag="server"),
        Route(
            "POST",
            "/api/v1/tunnel",
            own,
            start,
            "Begin to open a tunnel.",
            body="provider (ngrok, cloudflare), domain?, authtoken?, cloudflare_token?",
            tag="server",
        ),
        Route(
            "DELETE",
            "/api/v1/tunnel",
            own,
            stop,
            "Close the tunnel, and every connection that came through it.",
            answer="204",
            tag="server",
        ),
        Route(
            "POST",
            "/api/v1/tunnel/selftest",
            own,
            look,
            "Look from outside whether pictures come through.",
            tag="server",
        ),
        Route(
            "GET",
            "/api/v1/tunnel/qr.svg",
            own,
            code,
            "The public address as a QR code.",
            answer="image/svg+xml",
            tag="server",
        ),
    ]
