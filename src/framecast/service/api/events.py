"""What happened before the cameras: lists, pictures, and everything new as it is told."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from aiohttp import web

from framecast.core.limits import Quietly
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.watch import named
from framecast.service.errors import ApiError, bad_request, closing, not_found
from framecast.service.events.rules import KINDS
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.service.store import ulid
from framecast.service.store.events import MOST_AT_A_TIME, Announcement, Event
from framecast.service.store.eventsearch import Filter

DEFAULT_LIMIT = 50
BEAT_S = 15.0
"""A stream with nothing to tell says so, or proxies and phones take it for dead."""
MOST_BEHIND = 256
"""Announcements that may wait for one reader; it is cut then, and comes back for what it has missed."""
REPLAYED_AT_ONCE = 200
RETRY_MS = 2000
LOOK_S = 1.0
"""How often it is looked whether a reader is there still: nobody is told when one goes."""
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    events = service.events.log

    async def listing(call: Call) -> web.StreamResponse:
        camera_id = call.query.get("camera", "")
        if camera_id:
            named(service, call, camera_id, Right.WATCH)
        return await _list(service, call, [camera_id] if camera_id else _watched(service, call))

    async def of_camera(call: Call) -> web.StreamResponse:
        return await _list(service, call, [service.camera(call.parameter).camera_id])

    async def show(call: Call) -> web.StreamResponse:
        return json_response((await _event(service, call)).described())

    async def picture(call: Call) -> web.StreamResponse:
        event = await _event(service, call)
        data = await asyncio.to_thread(events.picture, event.event_id) if event.picture_bytes else None
        if data is None:
            raise not_found("This event has no picture (any more)")
        # It may be replaced by a better one while the event lasts.
        age = "private, max-age=86400" if event.end_s is not None else "no-store"
        name = f"{event.camera}-{event.event_id}.jpg"
        headers = {"Cache-Control": age, "Content-Disposition": f'inline; filename="{name}"'}
        return web.Response(body=data, content_type="image/jpeg", headers=headers)

    async def delete(call: Call) -> web.StreamResponse:
        if not ulid.is_one(call.parameter) or not await events.delete(call.parameter):
            raise _unknown(call.parameter)
        return web.Response(status=204)

    async def stream(call: Call) -> web.StreamResponse:
        return await _stream(service, call)

    watch, operate = Right.WATCH, Right.OPERATE
    one = "/api/v1/events/{event}"
    times = "Unix seconds, or the id of an event"
    filters = {
        "kind": f"Only of this kind: {', '.join(KINDS)}.",
        "name": "Only with this person in it; unknown: with strangers.",
        "rule": "Only of the rule of this id.",
        "since": f"Only from then on: {times}.",
        "before": f"Only older ones: {times}.",
        "limit": f"At most so many, 1 to {MOST_AT_A_TIME}. Default: {DEFAULT_LIMIT}.",
    }
    return [
        Route(
            "GET",
            "/api/v1/events",
            watch,
            listing,
            "What happened, the newest first.",
            query={"camera": "Only before the camera of this id.", **filters},
            tag="events",
        ),
        Route(
            "GET",
            "/api/v1/cameras/{id}/events",
            watch,
            of_camera,
            "What happened before one camera, the newest first.",
            query=filters,
            tag="events",
        ),
        Route(
            "GET",
            "/api/v1/events/stream",
            watch,
            stream,
            "Everything that is told of events, as server-sent events; Last-Event-ID goes on from there.",
            query={"last_event_id": "As the header Last-Event-ID, for clients that can't send it."},
            answer="text/event-stream",
            tag="events",
        ),
        Route("GET", one, watch, show, "One event.", tag="events"),
        Route("GET", one + "/picture.jpg", watch, picture, "Its best picture.", answer="image/jpeg", tag="events"),
        Route("DELETE", one, operate, delete, "Forget an event and its picture.", answer="204", tag="events"),
    ]


async def _list(service: Service, call: Call, cameras: Sequence[str] | None) -> web.StreamResponse:
    kind = call.query.get("kind", "")
    if kind and kind not in KINDS:
        raise bad_request(f"kind is one of {', '.join(KINDS)}", "bad_value")
    limit = query.whole(call.query, "limit", 1, MOST_AT_A_TIME) or DEFAULT_LIMIT
    wanted = Filter(
        cameras,
        kind,
        _short(call, "name"),
        _short(call, "rule"),
        _moment(call, "since"),
        _moment(call, "before"),
    )
    found: list[Event] = []
    parts = [(wanted.since, cameras)] if cameras is None else service.former.since(call.grant, cameras).items()
    for since, these in parts:
        part = replace(wanted, cameras=these, since=max(since, wanted.since))
        found += await service.blocking(partial(service.events.log.store.page, part, limit + 1))
    found.sort(key=lambda event: event.event_id, reverse=True)
    shown = found[:limit]
    return json_response(
        {
            "events": [event.described() for event in shown],
            "next": shown[-1].event_id if len(found) > limit else None,
        }
    )


def _watched(service: Service, call: Call) -> list[str] | None:
    """The cameras whose events are shown; None for all, those that were removed too."""
    if call.grant.cameras is None and call.grant.has(Right.WATCH):
        return None
    covers = partial(service.access.covers, call.grant, Right.WATCH)
    return [camera.camera_id for camera in service.cameras if covers(camera.camera_id, call.peer)]


async def _event(service: Service, call: Call) -> Event:
    """The event that is asked for; one that may not be seen is not there."""
    event_id = call.parameter
    event: Event | None = None
    if ulid.is_one(event_id):
        event = await service.blocking(service.events.log.store.get, event_id)
    if event is None or not _may_see(service, call, event.camera, event_id):
        raise _unknown(event_id)
    return event


def _may_see(service: Service, call: Call, camera_id: str, event_id: str) -> bool:
    return service.former.may_see(service.access, call.grant, camera_id, event_id, call.peer)


def _unknown(event_id: str) -> ApiError:
    return not_found(f"There is no event {event_id[:40]!r}")


def _short(call: Call, name: str) -> str:
    text = call.query.get(name, "")
    if len(text) > 100:
        raise bad_request(f"{name} has at most 100 letters", "bad_value")
    return text


def _moment(call: Call, name: str) -> str:
    """An id that stands for a moment; empty for none."""
    text = call.query.get(name, "")
    if not text or ulid.is_one(text):
        return text
    try:
        time_s = float(text) if len(text) < 32 and text.isascii() else math.nan
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s < 1e11:
        raise bad_request(f"{name} is a time in Unix seconds, or the id of an event", "bad_value")
    return ulid.first(time_s)


async def _stream(service: Service, call: Call) -> web.StreamResponse:
    """Tell what is told, until the reader goes."""
    if service.closing:
        raise closing()
    last = _last_seen(call)
    response = web.StreamResponse(headers=HEADERS)
    if call.request.method == "HEAD":
        return response
    await response.prepare(call.request)
    reader, events = _Reader(service, call), service.events.log
    events.on_announced.append(reader.hear)
    events.on_closing.append(reader.end)
    try:
        await reader.begin(response, last)
        await reader.go_on(response)
    except (ConnectionError, TimeoutError):
        pass
    finally:
        events.on_announced.remove(reader.hear)
        events.on_closing.remove(reader.end)
    call.request.protocol.close()  # it takes nothing, or is too far behind: it comes back for the rest
    return response


def _last_seen(call: Call) -> int | None:
    """Number of the last announcement that the reader has; None where it begins now."""
    text = call.request.headers.get("Last-Event-ID", call.query.get("last_event_id", "")).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise bad_request("Last-Event-ID is the id of an event of this stream", "bad_value")
    return int(text)


class _Reader:
    """One reader of the stream."""

    def __init__(self, service: Service, call: Call) -> None:
        self._service = service
        self._call = call
        self._store = service.events.log.store
        self._waiting: deque[Announcement] = deque()
        self._wake = asyncio.Event()
        self._seen = 0
        self._ended = False

    def end(self) -> None:
        """Tell what waits, and end: the server stops."""
        self._ended = True
        self._wake.set()

    def hear(self, announcement: Announcement) -> None:
        """Take in what was told (a listener of `EventLog`)."""
        if len(self._waiting) <= MOST_BEHIND:
            self._waiting.append(announcement)
            self._wake.set()

    async def begin(self, response: web.StreamResponse, last: int | None) -> None:
        """Tell what it has missed, as far as it is kept, and from where it goes on."""
        newest = await self._service.blocking(lambda: self._store.newest)
        self._seen = newest if last is None else min(last, newest)
        await self._write(response, b"retry: %d\nid: %d\n\n" % (RETRY_MS, self._seen))
        while self._seen < newest:
            missed = await self._service.blocking(self._store.announced, self._seen, REPLAYED_AT_ONCE)
            if not missed:
                break
            for announcement in missed:
                await self._tell(response, announcement)

    async def go_on(self, response: web.StreamResponse) -> None:
        """Tell what is told from now on, until it falls too far behind."""
        beat = Quietly(BEAT_S)
        beat.due()
        while len(self._waiting) <= MOST_BEHIND:
            if self._waiting:
                await self._tell(response, self._waiting.popleft())
                continue
            if self._ended or self._call.request.transport is None:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                if beat.due():
                    await self._write(response, b":\n\n")

    async def _tell(self, response: web.StreamResponse, said: Announcement) -> None:
        if said.seq <= self._seen:
            return  # it was among what was missed
        self._seen = said.seq
        call = self._call
        if _may_see(self._service, call, said.camera, said.event_id):
            await self._write(response, b"id: %d\ndata: %b\n\n" % (said.seq, said.body.encode()))

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._service.settings.limits.viewer_stall_timeout_s):
            await response.write(data)
