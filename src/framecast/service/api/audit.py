"""Who changed what, for owners."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.errors import bad_request
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.service.store.audit import MOST_AT_A_TIME, Entry


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def show(call: Call) -> web.StreamResponse:
        before, limit = _number(call, "before", None), _number(call, "limit", 100)
        entries = await service.blocking(service.trail.kept.page, before, limit)
        return json_response({"entries": [_describe(entry) for entry in entries]})

    return [
        Route(
            "GET",
            "/api/v1/audit",
            Right.OWN,
            show,
            "Who changed what, the latest first.",
            query={
                "before": "Only what is older than the entry of this id.",
                "limit": f"At most so many entries, 1 to {MOST_AT_A_TIME}. Default: 100.",
            },
            tag="access",
        )
    ]


def _describe(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "time": round(entry.time_s, 3),
        "who": entry.who,
        "address": entry.address,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
        "done": entry.done,
    }


def _number(call: Call, name: str, default: int | None) -> int | None:
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise bad_request(f"{name} has to be a whole number above 0", "bad_value")
    most = MOST_AT_A_TIME if name == "limit" else None
    if most is not None and int(text) > most:
        raise bad_request(f"{name} has to be 1 to {most}", "bad_value")
    return int(text)
