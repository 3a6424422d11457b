"""The server itself: health, statistics, metrics, sessions, tokens, the reference."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from framecast import __version__
from framecast.core.stream import State
from framecast.service.access.rights import COOKIE, PREFIXED_COOKIE, SECURE_COOKIE, Grant, Right
from framecast.service.access.tokens import SESSION_LIFE_S
from framecast.service.api import openapi
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, bad_request, not_found
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

WRONG_KEYS_PER_MINUTE = 10
SENDING = (State.LIVE, State.STALLED)


def routes(service: Service, others: list[Route]) -> list[Route]:
    """The routes of this module; ``others`` are the rest of the table, for the reference."""
    timeout_s = service.settings.limits.body_timeout_s
    wrong_keys: dict[str, list[float]] = {}

    async def health(call: Call) -> web.StreamResponse:
        return json_response({"status": "ok", "version": __version__})

    async def ready(call: Call) -> web.StreamResponse:
        if not service.ready:
            raise ApiError(503, "not_ready", "The server is starting or stopping", headers={"Retry-After": "1"})
        return json_response({"status": "ready", "cameras": len(service.cameras)})

    async def statistics(call: Call) -> web.StreamResponse:
        return json_response(overview(service, call.grant, call.peer))

    async def metrics(call: Call) -> web.StreamResponse:
        exposition = await asyncio.get_running_loop().run_in_executor(None, _import_exposition)
        return web.Response(
            body=exposition(service, watchable(service, call.grant, call.peer)),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def who(call: Call) -> web.StreamResponse:
        return json_response(_session(service, call.grant))

    async def log_in(call: Call) -> web.StreamResponse:
        if service.access.open:
            return json_response(_session(service, call.grant))
        now = time.monotonic()
        wrong = [at for at in wrong_keys.get(call.peer, ()) if now - at < 60]
        if len(wrong) >= WRONG_KEYS_PER_MINUTE:
            raise ApiError(
                429, "too_many_attempts", "Too many wrong keys; wait a minute", headers={"Retry-After": "60"}
            )
        fields = await read_json(call.request, timeout_s=timeout_s)
        key = fields.get("key")
        if not isinstance(key, str) or not key:
            raise bad_request('Send {"key": "fc_…"}', "bad_value")
        entered = await service.log_in(key.strip())
        if entered is None:
            if len(wrong_keys) > 1000:
                wrong_keys.clear()
            wrong_keys[call.peer] = [*wrong, now]
            raise ApiError(401, "wrong_key", "This key is unknown or revoked")
        cookie, grant = entered
        response = json_response(_session(service, grant))
        name, path, secure = call.client.cookie, call.client.cookie_path, call.client.secure
        response.set_cookie(
            name, cookie, max_age=SESSION_LIFE_S, path=path, httponly=True, samesite="Strict", secure=secure
        )
        return response

    async def log_out(call: Call) -> web.StreamResponse:
        response = web.Response(status=204)
        for name in (COOKIE, SECURE_COOKIE, PREFIXED_COOKIE):
            cookie = call.request.cookies.get(name)
            if cookie:
                await service.log_out(cookie)
            if cookie or name == COOKIE:
                path = "/" if name == SECURE_COOKIE else call.client.cookie_path
                response.del_cookie(name, path=path, httponly=True, samesite="Strict", secure=name != COOKIE)
        return response

    async def list_tokens(call: Call) -> web.StreamResponse:
        return json_response({"tokens": await service.tokens()})

    async def create_token(call: Call) -> web.StreamResponse:
        made = await service.create_token(await read_json(call.request, timeout_s=timeout_s))
        return json_response(made, status=201)

    async def revoke_token(call: Call) -> web.StreamResponse:
        if not await service.revoke_token(call.parameter, forget=call.query.get("forget") == "1"):
            raise not_found(f"There is no token {call.parameter[:64]!r}")
        return web.Response(status=204)

    async def reference(call: Call) -> web.StreamResponse:
        return json_response(openapi.document([*others, *table]))

    public, watch, operate = Right.PUBLIC, Right.WATCH, Right.OPERATE
    table = [
        Route("GET", "/healthz", public, health, "Whether the process lives.", tag="server"),
        Route("GET", "/readyz", public, ready, "Whether it can serve; 503 while it can't.", tag="server"),
        Route("GET", "/metrics", watch, metrics, "Prometheus metrics.", answer="text/plain", tag="server"),
        Route("GET", "/api/v1/stats", watch, statistics, "Numbers of the server and all cameras.", tag="server"),
        Route("GET", "/api/openapi.json", public, reference, "This reference, for programs.", tag="server"),
        Route("GET", "/api/v1/session", public, who, "What the caller may do.", tag="access"),
        Route(
            "POST",
            "/api/v1/session",
            public,
            log_in,
            "Exchange a key for a cookie.",
            body="key",
            tag="access",
        ),
        Route("DELETE", "/api/v1/session", public, log_out, "Log out.", answer="204", tag="access"),
        Route("GET", "/api/v1/tokens", operate, list_tokens, "All tokens, without their secrets.", tag="access"),
        Route(
            "POST",
            "/api/v1/tokens",
            operate,
            create_token,
            "Create a token; its secret is in the answer, and nowhere else ever.",
            body="name, rights (watch, operate, publish), cameras?",
            tag="access",
        ),
        Route(
            "DELETE",
            "/api/v1/tokens/{name}",
            operate,
            revoke_token,
            "Revoke a token.",
            query={"forget": "1: take it off the list as well."},
            answer="204",
            tag="access",
        ),
    ]
    return table


def _session(service: Service, grant: Grant) -> dict[str, Any]:
    return {
        "open": service.access.open,
        "rights": sorted(right.value for right in Right if right is not Right.PUBLIC and grant.has(right)),
        "cameras": None if grant.cameras is None else sorted(grant.cameras),
        "name": grant.name,
    }


def watchable(service: Service, grant: Grant, peer: str) -> list[Camera]:
    """The cameras that the caller may watch."""
    return [camera for camera in service.cameras if service.access.covers(grant, Right.WATCH, camera.camera_id, peer)]


def overview(service: Service, grant: Grant, peer: str) -> dict[str, Any]:
    """Numbers of the server and of the cameras that the caller may watch."""
    cameras = watchable(service, grant, peer)
    return {
        "version": __version__,
        "uptime_s": round((service.clock.now_ns() - service.started_ns) / 1e9, 1),
        "active_broadcasters": sum(camera.stream.state in SENDING for camera in cameras),
        "clients": sum(len(camera.stream.viewers) for camera in cameras),
        "encodes": service.encodes(),
        "scans": {"covered": service.cameras.budget.covered, "passed": service.cameras.budget.passed},
        "process": process(),
        "cameras": {camera.camera_id: views.numbers(camera) for camera in cameras},
    }


def process() -> dict[str, Any]:
    """What this process uses: CPU seconds, resident bytes, open descriptors, tasks. Zeros where it can't be told."""
    times = os.times()
    try:
        with open("/proc/self/statm", "rb") as statm:
            rss_bytes = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        fds = len(os.listdir("/proc/self/fd"))
    except OSError:
        rss_bytes = fds = 0
    return {
        "cpu_s": round(times.user + times.system, 2),
        "rss_bytes": rss_bytes,
        "fds": fds,
        "tasks": len(asyncio.all_tasks()),
    }


def _import_exposition() -> Callable[[Service, Iterable[Camera]], bytes]:
    # Imported when first asked for, and not on the loop: it takes 60 ms.
    from framecast.service.api.metrics import exposition

    return exposition
