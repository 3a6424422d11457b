"""The server itself: health, statistics, metrics, the reference."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from aiohttp import web

from framecast import __version__
from framecast.core.stream import State
from framecast.service.access.rights import Grant, Right
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.operations import usage
from framecast.service.service import Service

SENDING = (State.LIVE, State.STALLED)


def routes(service: Service, others: list[Route]) -> list[Route]:
    """The routes of this module; ``others`` are the rest of the table, for the reference."""

    async def health(call: Call) -> web.StreamResponse:
        return json_response({"status": "ok", "version": __version__})

    async def ready(call: Call) -> web.StreamResponse:
        if reasons := await service.readiness.reasons():
            text = "; ".join(reasons)
            raise ApiError(503, "not_ready", text[0].upper() + text[1:], headers={"Retry-After": "5"})
        return json_response({"status": "ready", "cameras": len(service.cameras)})

    async def statistics(call: Call) -> web.StreamResponse:
        return json_response(overview(service, call.grant, call.peer))

    async def metrics(call: Call) -> web.StreamResponse:
        exposition = await asyncio.get_running_loop().run_in_executor(None, _import_exposition)
        return web.Response(
            body=exposition(service, watchable(service, call.grant, call.peer), whole=call.grant.cameras is None),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    @cache
    def document() -> bytes:  # some milliseconds, and everybody may ask
        from framecast.service.api import openapi  # seldom wanted, and some milliseconds to import

        return json.dumps(openapi.document([*others, *table]), separators=(",", ":")).encode()

    async def reference(call: Call) -> web.StreamResponse:
        return web.Response(body=document(), content_type="application/json")

    public, watch = Right.PUBLIC, Right.WATCH
    table = [
        Route("GET", "/healthz", public, health, "Whether the process lives.", tag="server"),
        Route("GET", "/readyz", public, ready, "Whether it can do its work; 503 with reasons if not.", tag="server"),
        Route("GET", "/metrics", watch, metrics, "Prometheus metrics.", answer="text/plain", tag="server"),
        Route("GET", "/api/v1/stats", watch, statistics, "Numbers of the server and all cameras.", tag="server"),
        Route("GET", "/api/openapi.json", public, reference, "This reference, for programs.", tag="server"),
    ]
    return table


def watchable(service: Service, grant: Grant, peer: str) -> list[Camera]:
    """The cameras that the caller may watch."""
    return [camera for camera in service.cameras if service.access.covers(grant, Right.WATCH, camera.camera_id, peer)]


def overview(service: Service, grant: Grant, peer: str) -> dict[str, Any]:
    """Numbers of the cameras that the caller may watch, and of the server where these are all there are and will be."""
    cameras, whole = watchable(service, grant, peer), grant.cameras is None
    budget = service.cameras.budget
    return {
        "version": __version__,
        "uptime_s": round((service.clock.now_ns() - service.started_ns) / 1e9, 1),
        "active_broadcasters": sum(camera.stream.state in SENDING for camera in cameras),
        "clients": sum(len(camera.stream.viewers) for camera in cameras),
        "encodes": service.encodes() if whole else None,
        "scans": {"covered": budget.covered, "passed": budget.passed} if whole else None,
        "process": process() if whole else None,
        "cameras": {camera.camera_id: views.numbers(camera) for camera in cameras},
    }


def process() -> dict[str, Any]:
    """What this process uses: CPU seconds, resident bytes, open descriptors, tasks. Zeros where it can't be told."""
    return {**usage.process(), "tasks": len(asyncio.all_tasks())}


def _import_exposition() -> Callable[..., bytes]:
    # Imported when first asked for, and not on the loop: it takes 60 ms.
    from framecast.service.api.metrics import exposition

    return exposition
