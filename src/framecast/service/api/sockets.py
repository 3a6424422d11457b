"""WebSockets as all routes open them."""

from __future__ import annotations

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
    if not socket.can_prepare(request).ok:
        raise bad_request("This address speaks WebSocket; send an Upgrade request", "websocket_only")
    await socket.prepare(request)
    service.sockets.add(socket)
    if request.transport is not None:
        tune(request.transport)
        request.transport.set_write_buffer_limits(high=1, low=0)
    return socket
