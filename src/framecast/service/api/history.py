"""What happened to the cameras over hours and days."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.system import watchable
from framecast.service.api.watch import named
from framecast.service.cameras.cameras import Camera
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.operations.history import step_for
from framecast.service.service import Service
from framecast.service.store.history import Row, merge

COLUMNS = (
    "time",
    "fps",
    "live",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "drops",
    "refused",
    "reconnects",
    "viewers",
    "most_viewers",
    "bitrate_bps",
    "sent_bps",
)
LEAST_HOURS, MOST_HOURS = 0.25, 2160
DEFAULT_HOURS = 24
_ALL = 1 << 40
"""A step longer than any range: everything in one row."""


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def show(call: Call) -> web.StreamResponse:
        hours = query.number(call.query, "hours", LEAST_HOURS, MOST_HOURS) or DEFAULT_HOURS
        camera_id = call.query.get("camera")
        if camera_id is not None:
            camera = named(service, call, camera_id, Right.WATCH)
            since = service.former.minutes(call.grant, [camera_id])
            step, rows = await service.history.read([camera_id], hours=hours, since=since)
            shown = {
                camera_id: {**_summary(camera, rows[camera_id]), "points": [_point(row) for row in rows[camera_id]]}
            }
        else:
            cameras = {camera.camera_id: camera for camera in watchable(service, call.grant, call.peer)}
            step, since = step_for(hours), service.former.minutes(call.grant, cameras)
            _, rows = await service.history.read([*cameras], hours=hours, step=step, since=since)
            shown = {each: _summary(camera, rows[each]) for each, camera in cameras.items()}
        return json_response(
            {
                "hours": hours,
                "kept_hours": service.history.hours or 1,
                "step_s": step * 60,
                "columns": COLUMNS,
                "cameras": shown,
            }
        )

    return [
        Route(
            "GET",
            "/api/v1/history",
            Right.WATCH,
            show,
            "What happened to the cameras: rate, latency, drops, reconnects, viewers and bytes over hours.",
            query={
                "camera": "Id of the one whose course is wanted; else the sums of all.",
                "hours": f"Of the past, {LEAST_HOURS} to {MOST_HOURS}. Default: {DEFAULT_HOURS}.",
            },
            tag="server",
        )
    ]


def _summary(camera: Camera, rows: list[Row]) -> dict[str, Any]:
    whole = merge(rows, step=_ALL)
    sums = whole[0] if whole else Row(camera.camera_id, 0)
    _, *numbers = _point(sums)
    return {
        "name": camera.name,
        "seconds": round(sums.seconds),
        "frames": sums.frames,
        "bytes": sums.bytes,
        "sent_bytes": sums.sent_bytes,
        "viewer_s": round(sums.viewer_s),
        **dict(zip(COLUMNS[1:], numbers, strict=True)),
    }


def _point(row: Row) -> list[float | int | None]:
    """The values of `COLUMNS`; None for what was not to be seen."""
    timed = row.passes > 0
    return [
        row.minute * 60,
        round(row.frames / row.awake_s, 2) if row.awake_s else None,
        round(min(1.0, row.live_s / row.awake_s), 4) if row.awake_s else None,
        round(row.p50_ms, 3) if timed else None,
        round(row.p95_ms, 3) if timed else None,
        round(row.p99_ms, 3) if timed else None,
        row.drops,
        row.refused,
        row.reconnects,
        round(row.viewer_s / row.seconds, 2) if row.seconds else None,
        row.most_viewers,
        round(row.bytes * 8 / row.seconds) if row.seconds else None,
        round(row.sent_bytes * 8 / row.seconds) if row.seconds else None,
    ]
