"""A short stream by which a page or a tunnel finds out whether answers are held back on the way.

Its head is that of the MJPEG streams, so that whatever lies between treats it like one. Its lines leave at known times;
those of their coming tell the rest.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import HttpVersion10, web

from framecast.output import mjpeg
from framecast.service.access.rights import Right
from framecast.service.errors import ApiError
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

LINES = 5
PERIOD_S = 0.2
MOST_AT_ONCE = 128
MOST_OF_ONE = 8
"""Everybody may ask for it, and it takes a second of a connection; nobody is to have all places."""


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    running: Counter[str] = Counter()

    async def stream(call: Call) -> web.StreamResponse:
        chunked = call.request.version > HttpVersion10
        response = web.StreamResponse(headers=mjpeg.HEADERS)
        if call.request.method == "HEAD":
            return response
        if running.total() >= MOST_AT_ONCE or running[call.peer] >= MOST_OF_ONE:
            raise ApiError(503, "busy", "Too many look at this at once; try again", headers={"Retry-After": "2"})
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.force_close()
        running[call.peer] += 1
        try:
            await response.prepare(call.request)
            for number in range(1, LINES + 1):
                await response.write(f"{number}\n".encode())
                if number < LINES:
                    await asyncio.sleep(PERIOD_S)
        finally:
            running[call.peer] -= 1
            if not running[call.peer]:
                del running[call.peer]
        return response

    return [
        Route(
            "GET",
            "/api/v1/selftest/stream",
            Right.PUBLIC,
            stream,
            f"{LINES} short lines, {PERIOD_S * 1000:.0f} ms apart, with the head of an MJPEG stream: "
            "whether a proxy holds them back.",
            answer=mjpeg.CONTENT_TYPE,
            tag="server",
        )
    ]
