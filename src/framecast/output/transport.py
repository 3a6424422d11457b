"""Taking a viewer's connection over once its response head is out.

Theory of operation. aiohttp reads the request, checks it and sends the head. From then on it would only be in the way:
a coroutine per viewer costs twice the CPU of one `transport.write`. So the transport gets another protocol, `Takeover`,
which turns the transport's own flow control into the seat's `pause` and `resume`. The handler just awaits `ended`.
When the connection goes, the protocol that was replaced is told as well, or aiohttp would keep it for ever.

Where there is a TCP socket below, frames go to it by `send(2)` directly as long as the transport holds nothing:
uvloop's ``write`` ends in `write(2)`, and with its own bookkeeping costs a twelfth more per viewer.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import cast

from framecast.core.descriptors import Borrowed, borrow
from framecast.core.seat import FRESH, Seat
from framecast.core.stream import STALL_TIMEOUT_S, Stream
from framecast.output.stall import StallWatch, unsent_bytes

NOTSENT_LOWAT_BYTES = 8 * 1024
"""Most bytes the kernel takes beyond what is on its way. With its default of megabytes a slow link showed pictures
5 s old; with this 0.3 s, and fast links lost nothing."""
IDLE_CHATTER_BYTES = 64 * 1024
"""A viewer has nothing to say once it watches; one that talks on is cut."""
FAREWELL_S = 2.0
"""How long a viewer whose answer ends may take to read what it was sent."""


def tune(transport: asyncio.Transport) -> None:
    """Make the socket hold as little as it can: what waits in a buffer is a stale picture."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    elif hasattr(socket, "TCP_INFO"):  # Linux before Python 3.12 doesn't name the option
        sock.setsockopt(socket.IPPROTO_TCP, 25, NOTSENT_LOWAT_BYTES)


def share(transport: asyncio.Transport) -> Borrowed | None:
    """The TCP socket below ``transport``, or None where something stands between: TLS, or no socket at all.

    The descriptor stays the transport's. The caller must `detach` the socket before the transport closes it, or it
    would close, or write to, whatever has that number next.
    """
    theirs = transport.get_extra_info("socket")
    if theirs is None or theirs.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if transport.get_extra_info("ssl_object") is not None:
        return None
    ours = borrow(theirs)
    ours.setblocking(False)
    return ours


class Takeover(asyncio.Protocol):
    """Serves one viewer's transport on behalf of a seat.

    The transport must not be closing: over TLS its protocol is told of the end only once, and may have been already.

    Args:
        stream: What it watches: says how long a viewer may go without taking a byte, and counts those cut for it.

    Attributes:
        ended: Resolves when the connection is gone.
    """

    def __init__(self, seat: Seat, transport: asyncio.Transport, stream: Stream | None = None) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket = share(transport)
        if self._socket is not None:
            seat.send = self._socket.send
        self._seat = seat
        self._ending = False
        self._transport = transport
        self._heard_bytes = 0
        self._stream = stream
        timeout_s = stream.viewer_stall_timeout_s if stream is not None else STALL_TIMEOUT_S
        self._watch = StallWatch(partial(unsent_bytes, transport), self._cut, timeout_s)
        self._previous = cast(asyncio.Protocol, transport.get_protocol())
        transport.set_protocol(self)
        tune(transport)
        # A request with a body may have made the server stop reading; without it the end would go unnoticed.
        transport.resume_reading()
        # uvloop tries the socket at once only when the data exceeds the high-water mark. Of what `send` left not one
        # byte may wait unnoticed; over TLS, which has no `send`, a mark of 0 would be reached by nothing at all.
        transport.set_write_buffer_limits(high=1 if self._socket is None else 0, low=0)
        if transport.get_write_buffer_size() and seat.ready:
            self.pause_writing()

    @property
    def begun(self) -> bool:
        """Whether the viewer has had anything."""
        return self._seat.index != FRESH

    def close(self) -> None:
        """Drop the connection without waiting for what it has not taken."""
        self._transport.abort()

    def end(self, last: bytes = b"") -> None:
        """End the answer with ``last``: nothing more will come. Safe to call twice."""
        if self._ending:
            return
        self._ending = True
        self._seat.pause()
        if last and not self._transport.is_closing():
            self._transport.write(last)
        self._transport.close()
        asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def pause_writing(self) -> None:
        self._watch.pause()
        self._seat.pause()

    def resume_writing(self) -> None:
        self._watch.resume()
        if not self._ending:
            self._seat.resume()

    def _cut(self) -> None:
        if self._stream is not None:
            self._stream.viewers_cut += 1
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._heard_bytes += len(data)
        if self._heard_bytes > IDLE_CHATTER_BYTES:
            self._transport.abort()

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._seat.leave()
        self._watch.close()
        if self._socket is not None:
            self._socket.detach()  # before the transport closes it, which it does right after this
        if not self.ended.done():
            self.ended.set_result(None)
        self._previous.connection_lost(exc)
