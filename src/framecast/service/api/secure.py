"""What pages need to know to offer HTTPS, and the authority that is to be trusted for it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from framecast import __version__
from framecast.service.access.rights import CONTROL, Right
from framecast.service.errors import not_found
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

NEEDS_HTTPS = ("talk", "webcodecs", "clipboard", "install", "wake_lock")
"""What browsers keep from pages that came by http from another machine: microphone, decoders, copying, installing, and
keeping the screen on."""


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def system(call: Call) -> web.StreamResponse:
        return json_response(facts(service, call))

    async def authority(call: Call) -> web.StreamResponse:
        https = service.https
        path = https.authority if https is not None else None
        if path is None:
            raise not_found("This server has no authority of its own; `framecast tls init` makes one")
        try:
            body = await asyncio.get_running_loop().run_in_executor(None, path.read_bytes)
        except OSError:
            raise not_found("The authority's certificate is gone from the data folder") from None
        return web.Response(
            body=body,
            headers={
                # Android and iOS offer to install what comes as this.
                "Content-Type": "application/x-x509-ca-cert",
                "Content-Disposition": 'inline; filename="framecast-ca.crt"',
                "Cache-Control": "no-cache",
            },
        )

    public = Right.PUBLIC
    return [
        Route("GET", "/api/v1/system", public, system, "What this server is, and what needs HTTPS here.", tag="server"),
        Route(
            "GET",
            "/ca.crt",
            public,
            authority,
            "The certificate of this server's own authority, for devices to trust.",
            answer="application/x-x509-ca-cert",
            tag="server",
        ),
    ]


def facts(service: Service, call: Call) -> dict[str, Any]:
    """See docs/protocol.md."""
    client, https = call.client, service.https
    m5 = service.cameras.get(service.settings.compat.m5) or service.cameras.first
    seen = m5 is not None and service.access.covers(call.grant, Right.WATCH, m5.camera_id, call.peer)
    return {
        "version": __version__,
        "secure": client.secure,
        "https": None
        if https is None or client.forwarded
        else {
            "url": f"https://{_host(client.host)}:{https.port}/",
            "port": https.port,
            "authority": "/ca.crt" if https.authority is not None else None,
            "expires": https.tls.expires_s,
        },
        "needs_https": list(NEEDS_HTTPS),
        "buffered": service.tunnel.is_buffered_for(client.host) if client.forwarded else False,
        "m5_camera": m5.camera_id if m5 is not None and seen else None,
        **({"url": service.url} if call.grant is CONTROL else {}),
    }


def _host(header: str) -> str:
    """The name by which the client calls this server, ready for an address."""
    try:
        name = urlsplit(f"//{header}").hostname or "localhost"
    except ValueError:
        name = "localhost"
    return f"[{name}]" if ":" in name else name
