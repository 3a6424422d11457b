"""The limit for ways in: aiohttp on uvloop that takes a picture and does nothing with it (`python -m bench.bare`).

No gate, no rights, no statistics, no answer worth the name. A form is read whole and cut at its blank line, which is
the least that can be done with one. Serves the product's routes for pushing, counts, and prints `listening PORT`.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import WSMsgType, web

accepted = 0


async def _post(request: web.Request) -> web.Response:
    global accepted
    body = await request.read()
    if request.content_type == "multipart/form-data":
        body = body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]
    accepted += body.startswith(b"\xff\xd8")
    return web.Response(body=b'{"success":true}', content_type="application/json")


async def _socket(request: web.Request) -> web.WebSocketResponse:
    global accepted
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        accepted += message.type is WSMsgType.BINARY
    return socket


async def _count(_request: web.Request) -> web.Response:
    return web.json_response({"accepted": accepted})


async def main() -> None:
    """Serves until it is ended."""
    app = web.Application(client_max_size=1 << 24)
    app.add_routes(
        [
            web.post("/api/v1/cameras/{id}/frames", _post),
            web.get("/api/v1/cameras/{id}/publish", _socket),
            web.get("/count", _count),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
