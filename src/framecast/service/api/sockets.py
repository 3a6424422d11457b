"""WebSockets as all routes open them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from framecast.output.transport import tune
from framecast.service.errors import bad_request
from framecast.service.service import Service

HEARTBEAT_S = 20.0
CLOSE_TIMEOUT_S = 2.0


async def open_socket(service: Service, request: web.BaseRequest, *, max_message_bytes: int) -> web.WebSocketResponse:
    """Complete the handshake; the service closes the socket when it stops.

    Raises:
        ApiError: This is no WebSocket request.
    """
    socket = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S, heartbeat=HEARTBEAT_S, max_msg_size=max_message_bytes, compress=False
    )
    try:
        is_handshake = socket.can_prepare(request).ok
    except ValueError:  # the key is no text
        is_handshake = False
    if not is_handshake:
        raise bad_request("This address speaks WebSocket; send an Upgrade request", "websocket_only")
    await socket.prepare(request)
    service.sockets.add(socket)
    if request.transport is not None:
        tune(request.transport)
        request.transport.set_write_buffer_limits(high=1, low=0)
    return socket


class Silence:
    """Notices when nothing has come for a while; a timer for each message would cost as much as reading it.

    Args:
        most_s: How long nothing may come.
        on_silence: Called once, when it was longer.
    """

    def __init__(self, most_s: float, on_silence: Callable[[], None]) -> None:
        self._most_s = most_s
        self._on_silence = on_silence
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_later(most_s, self._look)

    def broken(self) -> None:
        """Something has come."""
        self._heard_s = self._loop.time()

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _look(self) -> None:
        left_s = self._heard_s + self._most_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._on_silence()
