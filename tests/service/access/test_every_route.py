"""Every route of the table for every kind of caller, over HTTP and WebSocket.

`RULES` is written down here, and not read from the table: a route that is new, or asks for another right, fails until
somebody has thought about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.service.access.rights import COOKIE
from framecast.service.api.table import make_table
from framecast.service.front.routing import Route
from framecast.service.store.credentials import Visit
from tests.service.serving import Server, serving

pytestmark = pytest.mark.anyio

RULES = {
    "public": """
        GET /  GET /cameras/{id}  GET /mjpeg  GET /analytics  GET /access  GET /setup  GET /docs  GET /events
        GET /people
        GET /static/{path:path}  GET /sw.js  GET /favicon.ico  GET /ca.crt
        GET /healthz  GET /readyz  GET /api/openapi.json  GET /api/v1/system  GET /api/v1/selftest/stream
        GET /api/v1/session  POST /api/v1/session  DELETE /api/v1/session  POST /api/v1/setup
        POST /api/v1/setup/code
    """,
    "watch": """
        GET /api/v1/cameras  GET /api/v1/cameras/{id}  GET /api/v1/cameras/{id}/stats
        GET /api/v1/cameras/{id}/stream.mjpeg  GET /api/v1/cameras/{id}/snapshot.jpg
        GET /api/v1/cameras/{id}/stream.mp4  GET /api/v1/cameras/{id}/hls/{name:path}
        GET /api/v1/cameras/{id}/audio.wav  GET /api/v1/cameras/{id}/audio.pcm
        POST /api/v1/cameras/{id}/whep  PATCH /api/v1/whep/{viewer}  DELETE /api/v1/whep/{viewer}
        GET /api/v1/ws  GET /api/v1/history  GET /api/v1/stats  GET /metrics
        GET /api/v1/stream/audio  GET /api/v1/stream/camera  GET /api/v1/stream/camera/snapshot
        GET /api/v1/stream/stats  GET /stream  GET /stream/detect  GET /api/robot/stream
        GET /api/robot/stream/stats  GET /video_feed  GET /status
        GET /api/v1/sessions  DELETE /api/v1/sessions/{session}  POST /api/v1/password  POST /api/v1/links
        GET /api/v1/cameras/{id}/detections  GET /api/v1/cameras/{id}/zones
        GET /api/v1/events  GET /api/v1/cameras/{id}/events  GET /api/v1/events/stream
        GET /api/v1/events/{event}  GET /api/v1/events/{event}/picture.jpg
        GET /api/v1/push/key  POST /api/v1/push/subscriptions  DELETE /api/v1/push/subscriptions
    """,
    "operate": """
        POST /api/v1/cameras  PATCH /api/v1/cameras/{id}  DELETE /api/v1/cameras/{id}
        GET /api/v1/cameras/{id}/settings  PATCH /api/v1/cameras/{id}/settings
        POST /api/v1/cameras/{id}/restart  POST /api/v1/probe  GET /api/v1/cameras/{id}/talk
        PUT /api/v1/cameras/{id}/zones  DELETE /api/v1/events/{event}  GET /api/v1/models
        GET /api/v1/rules  POST /api/v1/rules  PATCH /api/v1/rules/{rule}  DELETE /api/v1/rules/{rule}
        GET /api/v1/people  GET /api/v1/people/{person}/photos/{name:path}  GET /api/v1/people/unknown
        GET /api/v1/events/sinks  POST /api/v1/events/sinks/{sink}/test
    """,
    "publish": """
        POST /api/v1/cameras/{id}/frames  PUT /api/v1/cameras/{id}/frames  GET /api/v1/cameras/{id}/publish
        POST /api/v1/cameras/{id}/audio  GET /api/v1/cameras/{id}/speaker
        POST /api/v1/devices/doorbell/camera-stream  POST /api/v1/devices/doorbell/mic-stream
    """,
    "own": """
        GET /api/v1/users  POST /api/v1/users  PATCH /api/v1/users/{name}  DELETE /api/v1/users/{name}
        GET /api/v1/tokens  POST /api/v1/tokens  DELETE /api/v1/tokens/{name}
        GET /api/v1/audit  GET /api/v1/settings  PATCH /api/v1/settings
        GET /api/v1/tunnel  POST /api/v1/tunnel  DELETE /api/v1/tunnel  POST /api/v1/tunnel/selftest
        GET /api/v1/tunnel/qr.svg
        POST /api/v1/people  PATCH /api/v1/people/{person}  DELETE /api/v1/people/{person}
        POST /api/v1/people/{person}/photos  DELETE /api/v1/people/{person}/photos/{name:path}
        POST /api/v1/people/unknown/{group}  DELETE /api/v1/people/unknown/{group}
        GET /api/v1/webhooks  POST /api/v1/webhooks  DELETE /api/v1/webhooks/{webhook}
    """,
}
FIRST_CAMERAS = {
    "/api/v1/stream/audio",
    "/api/v1/stream/camera",
    "/api/v1/stream/camera/snapshot",
    "/api/v1/stream/stats",
    "/stream",
    "/stream/detect",
    "/api/robot/stream",
    "/api/robot/stream/stats",
    "/video_feed",
    "/status",
    "/api/v1/devices/doorbell/camera-stream",
    "/api/v1/devices/doorbell/mic-stream",
}
"""Routes that mean the first camera, which is ``cam``."""
STREAM = "/api/v1/cameras/cam/stream.mjpeg"


@dataclass
class Caller:
    """Somebody, and what they should be able to do, told without the code under test.

    Attributes:
        rights: All they have.
        everywhere: Whether they have these on all cameras; else on ``other`` only.
        refused: Status of what they may not do.
        headers, query: By which they show who they are.
        only: The one path that is theirs.
    """

    rights: str = ""
    everywhere: bool = True
    refused: int = 403
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    only: str = ""

    def expected(self, right: str, path: str) -> int:
        """Status of the refusal, or 0 for none."""
        if right == "public" or path == self.only:
            return 0
        if right not in self.rights.split():
            return self.refused
        of_cam = path.startswith("/api/v1/cameras/cam") or path in FIRST_CAMERAS
        return self.refused if not self.everywhere and (of_cam or right in ("operate", "own")) else 0


async def callers(server: Server) -> dict[str, Caller]:
    """One of each kind."""
    desk = server.service.desk
    found = {"nobody": Caller(refused=401), "wrong token": Caller(refused=401, headers={"X-API-Key": "fc_wrong"})}
    for name, given, rights in (
        ("watcher", ["watch"], "watch"),
        ("operator", ["operate"], "watch operate"),
        ("publisher", ["publish"], "publish"),
    ):
        for everywhere in (True, False):
            title = name if everywhere else f"{name} of other"
            cameras = None if everywhere else ["other"]
            made = await desk.create_token({"name": title, "rights": given, "cameras": cameras})
            found[title] = Caller(rights, everywhere, headers={"Authorization": f"Bearer {made['secret']}"})
    key = (await desk.create_token({"name": "all", "rights": ["watch", "operate", "publish"]}))["secret"]
    found["key in the address"] = Caller("watch publish", query=f"key={key}")
    entered = await desk.log_in_by_key(key, Visit("127.0.0.1"), "")
    assert entered is not None
    cookie = {"Cookie": f"{COOKIE}={entered.cookie}", "Origin": server.url}
    found["token by cookie"] = Caller("watch operate publish", headers=cookie)
    found["owner"] = Caller("watch operate publish own", headers=await server.owner())
    found["viewer"] = Caller("watch", headers=await server.user("viewer"))
    found["viewer of other"] = Caller("watch", False, headers=await server.user("guest", cameras=["other"]))
    found["disabled"] = Caller(refused=401, headers=await server.user("gone"))
    await server.json("PATCH", "/api/v1/users/gone", json={"disabled": True}, headers=found["owner"].headers)
    # Made in a session of its own: that of the owner above ends when it comes to the log-out.
    link = await server.json("POST", "/api/v1/links", json={"path": STREAM}, headers=await server.owner(), status=201)
    found["link"] = Caller(refused=401, query=link["url"].partition("?")[2], only=STREAM)
    return found


def rules() -> dict[str, str]:
    """Right by method and path."""
    return {rule: right for right, text in RULES.items() for rule in re.findall(r"[A-Z]+ \S+", text)}


async def verdict(server: Server, route: Route, path: str, caller: Caller) -> int:
    """Status of the refusal that this caller gets; 0 when something else answers than the rules."""
    options: dict[str, Any] = {"headers": dict(caller.headers)}
    if route.method in ("POST", "PUT", "PATCH"):
        options["data"] = b"{ "  # no JSON, but sound
    query = f"?{caller.query}" if caller.query else ""
    async with server.client.request(route.method, server.url + path + query, **options) as response:
        if response.status not in (401, 403):
            response.close()
            return 0
        code = (await response.json())["error"]["code"]
        if response.status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
        return response.status if code in ("unauthorised", "forbidden") else 0


async def handshake(server: Server, path: str, caller: Caller) -> int:
    """The same for a WebSocket: 0 when the handshake succeeds, or fails for another reason."""
    query = f"?{caller.query}" if caller.query else ""
    try:
        async with server.client.ws_connect(server.url + path + query, headers=caller.headers):
            return 0
    except aiohttp.WSServerHandshakeError as refusal:
        return refusal.status if refusal.status in (401, 403) else 0


async def test_every_route_has_a_rule(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        table = {f"{route.method} {route.path}": route.right.value for route in make_table(server.service).routes}
    assert table == rules()


async def test_every_route_asks_for_its_right(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "mock:?fps=10&size=96x64&audio=1", "allow_query_key": True}, "other": "push:"}
    async with serving(tmp_path, cameras) as server:
        routes = sorted(make_table(server.service).routes, key=lambda route: route.path == "/api/v1/session")
        asked = 0
        for name, caller in (await callers(server)).items():
            for route in routes:
                right = rules().get(f"{route.method} {route.path}", route.right.value)
                # What removes names what isn't there.
                path = route.path.replace("{id}", "ghost" if route.method == "DELETE" else "cam")
                path = re.sub(r"\{\w+(:path)?\}", "ghost", path)
                expected = caller.expected(right, path.replace("/ghost", "/cam", 1) if "{id}" in route.path else path)
                asked += 1
                assert await verdict(server, route, path, caller) == expected, (name, route.method, path)
                if route.websocket:
                    assert await handshake(server, path, caller) == expected, (name, "WebSocket", path)
        assert asked > 900


async def test_other_methods_of_every_route_open_nothing(tmp_path: Path) -> None:
    """HEAD is asked for the right of GET, OPTIONS says what there is and does nothing, and no other is known."""
    cameras = {"cam": {"url": "push:", "allow_query_key": True}, "other": "push:"}
    async with serving(tmp_path, cameras) as server:
        everybody = await callers(server)
        kept = await server.service.blocking(server.service.trail.kept.page, None, 100)
        for name in ("nobody", "viewer of other", "operator of other", "publisher"):
            caller = everybody[name]
            for route in make_table(server.service).routes:
                path = re.sub(r"\{\w+(:path)?\}", "ghost", route.path.replace("{id}", "cam"))
                if route.method == "GET" and (expected := caller.expected(route.right.value, path)):
                    async with server.client.head(server.url + path, headers=caller.headers) as response:
                        assert response.status == expected, (name, "HEAD", path)
                for method, status in (("OPTIONS", 204), ("TRACE", 405), ("PURGE", 405)):
                    async with server.client.request(method, server.url + path, headers=caller.headers) as response:
                        assert response.status == status, (name, method, path)
        assert await server.service.blocking(server.service.trail.kept.page, None, 100) == kept
