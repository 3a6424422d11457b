"""The dashboard's WebSocket: one socket for any set of cameras.

Pictures go out as binary messages straight from the fan-out (`output.dashboard`). This module is the conversation
around them, in JSON: subscriptions, acknowledgements, states, numbers. What is to be said is kept as a set of camera
ids, not as a queue of messages, so a page that is slow hears the newest state once and nothing piles up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Iterable
from typing import Any, cast

from aiohttp import WSMsgType, web

from framecast import __version__
from framecast.core.errors import LimitReached
from framecast.core.seat import GONE
from framecast.core.stream import Stream
from framecast.output.dashboard.hub import LookReader, Page
from framecast.service.access.rights import Grant, Right
from framecast.service.api.board import Board
from framecast.service.api.interest import Interest, PageWish, check_wish
from framecast.service.api.news import News
from framecast.service.api.sockets import open_socket
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire.wsframe import Opcode, server_frame

MAX_MESSAGE_BYTES = 64 * 1024
MOST_CAMERAS = 256
MOST_UNREAD_BYTES = 4 << 20
"""A page is not listened to while its socket holds more; twice the most that is ever on the way of one camera."""
DRAIN_S = 0.05
LEAST_STATS_S = 0.2
EVERY_CAMERA = "*"


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    board = Board(service.cameras)

    async def dashboard(call: Call) -> web.StreamResponse:
        socket = await open_socket(service, call.request, max_message_bytes=MAX_MESSAGE_BYTES)
        await Conversation(service, board, socket, call).run()
        return socket

    return [
        Route(
            "GET",
            "/api/v1/ws",
            Right.WATCH,
            dashboard,
            "One socket for a whole dashboard: any set of cameras, their states and numbers.",
            answer="WebSocket",
            websocket=True,
            tag="watch",
        )
    ]


class Refusal(Exception):
    """What a page is told about a message that can't be followed."""

    def __init__(self, code: str, message: str, camera: str = "") -> None:
        self.answer = {"type": "error", "code": code, "message": message, **({"camera": camera} if camera else {})}
        super().__init__(message)


class Conversation:
    """One page's socket."""

    def __init__(self, service: Service, board: Board, socket: web.WebSocketResponse, call: Call) -> None:
        self._service = service
        self._board = board
        self._socket = socket
        self._grant: Grant = call.grant
        self._peer = call.peer
        transport = call.request.transport
        assert transport is not None
        writer = cast(asyncio.WriteTransport, transport)
        self._page = Page(writer.write, writer.get_write_buffer_size)
        self._interests: dict[str, Interest] = {}
        self._by_number: dict[int, Interest] = {}
        self._looks: dict[str, LookReader] = {}
        self._wish_for_all: dict[str, Any] | None = None
        self._changed: set[str] = set()
        self._removed: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._news = News(service.events.log, self._wake.set)
        self._stats_s = 0.0

    async def run(self) -> None:
        """Talk until the page goes."""
        cameras = self._service.cameras
        cameras.on_added.append(self._on_added)
        cameras.on_changed.append(self._on_changed)
        cameras.on_removed.append(self._on_removed)
        for camera in cameras:
            self._watch(camera)
        talker = self._service.supervisor.spawn("dashboard talker", self._talk())
        try:
            await self._say(
                {
                    "type": "hello",
                    "version": __version__,
                    "server_ns": self._service.clock.now_ns(),
                    "cameras": [self._board.camera(camera) for camera in cameras if self._may_watch(camera)],
                    "heartbeat_s": self._service.settings.stream.heartbeat_interval_s,
                }
            )
            await self._listen()
        except ConnectionError:
            pass
        finally:
            talker.cancel()
            self._news.set(False)
            cameras.on_added.remove(self._on_added)
            cameras.on_changed.remove(self._on_changed)
            cameras.on_removed.remove(self._on_removed)
            for camera in cameras:
                if self._on_state in camera.stream.on_state:
                    camera.stream.on_state.remove(self._on_state)
            for camera_id in tuple(self._interests):
                self._unsubscribe(camera_id)
            self._look_away(self._looks)

    # What the page says.

    async def _listen(self) -> None:
        while not self._socket.closed:
            message = await self._socket.receive()
            if message.type is not WSMsgType.TEXT:
                if message.type is WSMsgType.BINARY:
                    await self._say(Refusal("bad_message", "Messages to this socket are JSON texts").answer)
                    continue
                return
            try:
                await self._follow(message.data)
            except Refusal as refusal:
                await self._say(refusal.answer)
            await self._drained()

    async def _drained(self) -> None:
        """Hear nothing more from a page that takes nothing: what it asks for must not pile up."""
        while self._page.holds_more_than(MOST_UNREAD_BYTES):  # noqa: ASYNC110 (only its protocol hears of room)
            await asyncio.sleep(DRAIN_S)

    async def _follow(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise Refusal("bad_json", "The message is not JSON") from None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ack":
            number, frame_id = message.get("camera"), message.get("frame")
            if type(number) is not int or type(frame_id) is not int:
                raise Refusal("bad_value", "ack takes camera (its number) and frame (its id)")
            interest = self._by_number.get(number)
            if interest is not None:
                interest.ack(frame_id)
        elif kind == "key":
            interest = self._by_number.get(_number(message.get("camera")))
            if interest is not None:
                interest.restart()
        elif kind == "subscribe":
            for wish in self._wishes(message.get("cameras")):
                await self._follow_wish(wish)
        elif kind == "unsubscribe":
            for camera_id in self._ids(message.get("cameras")):
                if camera_id == EVERY_CAMERA:
                    self._wish_for_all = None
                    for each in tuple(self._interests):
                        self._unsubscribe(each)
                self._unsubscribe(camera_id)
        elif kind == "detections":
            await self._look_at(self._ids(message.get("cameras")))
        elif kind == "events":
            if type(message.get("on")) is not bool:
                raise Refusal("bad_value", "on is true or false")
            self._news.set(message["on"])
        elif kind == "stats":
            interval_s = message.get("interval_s", 1)
            if type(interval_s) not in (int, float) or not (interval_s == 0 or LEAST_STATS_S <= interval_s <= 3600):
                raise Refusal("bad_value", f"interval_s is 0 (off) or {LEAST_STATS_S} to 3600")
            self._stats_s = float(interval_s)
            self._wake.set()
        elif kind == "ping":
            stamp = message.get("t")
            if not isinstance(stamp, (int, float, str, type(None))) or _is_odd(stamp):
                raise Refusal("bad_value", "t is a number or a text")
            await self._say({"type": "pong", "t": stamp, "server_ns": self._service.clock.now_ns()})
        else:
            raise Refusal("bad_type", "type: subscribe, unsubscribe, detections, events, ack, key, stats or ping")

    async def _follow_wish(self, wish: dict[str, Any]) -> None:
        """Subscribe to one camera or to all; one that can't be had keeps nobody from the others."""
        camera_id = wish.get("id")
        named = self._service.cameras.get(camera_id) if isinstance(camera_id, str) else None
        if camera_id == EVERY_CAMERA:
            self._wish_for_all = {key: value for key, value in wish.items() if key != "id"}
            cameras = [camera for camera in self._service.cameras if self._may_watch(camera)]
        elif named is not None and self._may_watch(named):
            cameras = [named]
        else:
            await self._say(Refusal("not_found", "There is no such camera", str(camera_id)[:63]).answer)
            return
        for camera in cameras:
            try:
                if self._service.cameras.has(camera):  # still, after the word about another
                    self._subscribe(camera, wish)
            except Refusal as refusal:
                await self._say(refusal.answer)

    def _subscribe(self, camera: Camera, wish: dict[str, Any]) -> None:
        before = self._interests.get(camera.camera_id)
        try:
            checked = check_wish(wish, camera)
            self._unsubscribe(camera.camera_id)
            try:
                self._begin(camera, checked)
            except (ApiError, LimitReached):
                if before is not None:
                    self._begin(camera, before.wish)  # its place is free still
                raise
        except ApiError as error:
            raise Refusal(error.code, error.message, camera.camera_id) from None
        except LimitReached as error:
            raise Refusal("limit_reached", str(error), camera.camera_id) from None

    def _begin(self, camera: Camera, wish: PageWish) -> None:
        interest = Interest(self._service, camera, self._page, wish, self._peer, self._tell, self._grant.name)
        interest.begin()
        self._interests[camera.camera_id] = interest
        self._by_number[camera.stream.number] = interest

    def _unsubscribe(self, camera_id: str) -> None:
        interest = self._interests.pop(camera_id, None)
        if interest is not None:
            self._by_number.pop(interest.camera.stream.number, None)
            interest.end()

    async def _look_at(self, camera_ids: list[str]) -> None:
        """Tell what these cameras see, and no others; however the page comes to their pictures."""
        self._look_away(self._looks.keys() - set(camera_ids))
        for camera_id in camera_ids:
            camera = self._service.cameras.get(camera_id)
            if camera is None or not self._may_watch(camera):
                await self._say(Refusal("not_found", "There is no such camera", camera_id[:63]).answer)
            elif camera_id not in self._looks:
                self._looks[camera_id] = self._service.hub.look(camera.stream, self._page)

    def _look_away(self, camera_ids: Iterable[str]) -> None:
        for camera_id in tuple(camera_ids):
            looks = self._looks.pop(camera_id, None)
            if looks is not None:
                looks.leave()

    def _wishes(self, value: object) -> list[dict[str, Any]]:
        if (
            not isinstance(value, list)
            or len(value) > MOST_CAMERAS
            or not all(isinstance(each, dict) for each in value)
        ):
            raise Refusal("bad_value", 'cameras is a list such as [{"id": "door", "fps": 10}]')
        # The last word on a camera holds.
        return list({str(each.get("id")): each for each in value}.values())

    def _ids(self, value: object) -> list[str]:
        if not isinstance(value, list) or len(value) > MOST_CAMERAS or not all(isinstance(each, str) for each in value):
            raise Refusal("bad_value", 'cameras is a list of ids such as ["door"]')
        return value

    # What the page is told.

    def _may_watch(self, camera: Camera) -> bool:
        return self._service.access.covers(self._grant, Right.WATCH, camera.camera_id, self._peer)

    def _watch(self, camera: Camera) -> None:
        if self._may_watch(camera):
            camera.stream.on_state.append(self._on_state)

    def _on_state(self, stream: Stream) -> None:
        self._changed.add(stream.camera_id)
        self._wake.set()

    def _on_added(self, camera: Camera) -> None:
        self._watch(camera)
        self._changed.add(camera.camera_id)
        self._wake.set()
        if self._wish_for_all is not None and self._may_watch(camera):
            try:
                self._subscribe(camera, self._wish_for_all)
            except Refusal:
                self._changed.add(camera.camera_id)

    def _on_changed(self, camera: Camera) -> None:
        # It may have become one that this page may watch, or be one no longer.
        if (self._on_state in camera.stream.on_state) != self._may_watch(camera):
            (self._on_added if self._may_watch(camera) else self._on_removed)(camera)
        self._changed.add(camera.camera_id)
        self._wake.set()

    def _on_removed(self, camera: Camera) -> None:
        self._unsubscribe(camera.camera_id)
        self._look_away([camera.camera_id])
        # A server that stops removes nothing: its pages keep what they show until it is back.
        if self._on_state in camera.stream.on_state:
            camera.stream.on_state.remove(self._on_state)
            if not self._service.closing:
                # A page that has not heard of it when it is back hears both: its subscription has ended all the same.
                self._removed.setdefault(camera.camera_id, camera.stream.number)
        self._changed.discard(camera.camera_id)
        self._wake.set()

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        next_stats = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(next_stats if self._stats_s else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._tell_changes()
                await self._tell_events()
                if self._stats_s and loop.time() >= next_stats:
                    next_stats = loop.time() + self._stats_s
                    await self._tell_numbers()
            except ConnectionError:
                return

    async def _tell_changes(self) -> None:
        removed, self._removed = self._removed, {}
        for camera_id, number in removed.items():
            await self._say({"type": "removed", "id": camera_id, "number": number})
        changed, self._changed = self._changed, set()
        for camera_id in changed:
            camera = self._service.cameras.get(camera_id)
            if camera is not None and self._may_watch(camera):
                await self._say({"type": "camera", "camera": self._board.camera(camera)})

    async def _tell_events(self) -> None:
        for said in self._news.take():
            former, access = self._service.former, self._service.access
            if former.may_see(access, self._grant, said.camera, said.event_id, self._peer):
                # Its body goes out as it is kept.
                await self._socket.send_str(_text({"type": "event"})[:-1] + "," + said.body[1:])

    async def _tell_numbers(self) -> None:
        cameras: dict[str, Any] = {}
        for camera in self._service.cameras:
            if self._may_watch(camera):
                interest = self._interests.get(camera.camera_id)
                numbers = self._board.numbers(camera)
                mine = {} if interest is None else {"mine": interest.numbers()}
                cameras[camera.camera_id] = {**numbers, **mine}
        await self._say({"type": "stats", "server_ns": self._service.clock.now_ns(), "cameras": cameras})

    async def _say(self, message: dict[str, Any]) -> None:
        await self._socket.send_str(_text(message))

    def _tell(self, message: dict[str, Any]) -> None:
        """Say something right now, so that it stands before the picture it is about."""
        with contextlib.suppress(*GONE):
            self._page.write(server_frame(Opcode.TEXT, _text(message).encode()))


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


def _number(value: object) -> int:
    if type(value) is not int:
        raise Refusal("bad_value", "camera is a camera's number")
    return value


def _is_odd(value: object) -> bool:
    """Whether JSON has no word for it, though Python's reader makes it from ``NaN`` and ``1e999``."""
    return isinstance(value, float) and not math.isfinite(value)
