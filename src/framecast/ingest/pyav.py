"""RTSP cameras, video files and local cameras, read through FFmpeg in the process.

Theory of operation. FFmpeg blocks, so each source has a thread of its own, made when it is run and ended with it. The
thread opens, reads, decodes and encodes (`avsession`), and puts pictures into an outlet: a few places, the oldest gives
way, emptied on the loop. Motion JPEG passes as it is.

A peer that hangs blocks the thread, not the loop: `AvSource.run` is cancelled within half a second whatever the thread
does, and the thread ends by FFmpeg's own time-out. The thread is a daemon, so it never holds up the end of the process;
a new run waits for it, so there is never more than one a source.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from framecast.core import names
from framecast.core.errors import ConfigError, DeviceError, Misuse, Unreachable
from framecast.core.source import Feed
from framecast.ingest.avoutlet import Order, Outlet
from framecast.ingest.avtarget import target_of
from framecast.wire.jpeg import MAX_PIXELS

CheckAddress = Callable[[str, str], None]

GOODBYE_S = 0.5
"""How long a cancelled run waits for its thread, so that a local camera is free for the next one."""

_numbers = itertools.count(1)


class AvSource:
    """A `framecast.core.source.Source` that reads through FFmpeg.

    Args:
        url: ``rtsp://``, ``rtsps://``, ``file:PATH`` (again from the start at its end) or ``v4l2:/dev/video0``.
        fps: Most pictures a second; 0 passes all.
        quality: JPEG quality where pictures have to be encoded, 1-100.
        timeout_s: How long the peer may be silent.
        user: For RTSP, where the URL names nobody.
        password: Belongs to ``user``.
        max_pixels: Of a picture; larger ones are not decoded.
        check_address: Called with host and IP address before an RTSP camera is connected; raises Misuse to forbid it.
            The connection then goes to that address, and a redirect is not followed (see `avtarget`).

    Attributes:
        drops: Pictures the loop was too busy to take.

    Raises:
        Misuse: A URL that can't be read this way.
    """

    def __init__(
        self,
        url: str,
        *,
        fps: float = 0.0,
        quality: int = 85,
        timeout_s: float = 10.0,
        user: str = "",
        password: str = "",
        max_pixels: int = MAX_PIXELS,
        check_address: CheckAddress | None = None,
    ) -> None:
        if not 1 <= quality <= 100:
            raise Misuse(f"quality = {quality}: 1 to 100 are possible")
        if fps < 0 or timeout_s <= 0:
            raise Misuse("fps is at least 0 (all pictures), timeout_s above 0")
        self.drops = 0
        target = target_of(url, timeout_s, user, password)
        self._order = Order(target, fps, quality, timeout_s, max_pixels=max_pixels)
        self._check_address = check_address
        self._last: Future[None] | None = None

    async def run(self, feed: Feed) -> None:
        """Connect and feed until the device ends; a file goes on for ever. See `framecast.core.source.Source`."""
        if self._last is not None:
            await _settled(self._last)
        order = await self._checked()
        outlet = Outlet(asyncio.get_running_loop(), feed)
        ended: Future[None] = Future()
        # Running from the start: those who wait for it can be cancelled, it can't.
        ended.set_running_or_notify_cancel()
        self._last = ended
        name = f"framecast-av-{next(_numbers)}"
        threading.Thread(target=_thread, args=(order, outlet, ended), name=name, daemon=True).start()
        try:
            await asyncio.wrap_future(ended)
        finally:
            outlet.close()
            self.drops += outlet.drops
            if not ended.done():
                try:
                    async with asyncio.timeout(GOODBYE_S):
                        await _settled(ended)
                except TimeoutError:
                    pass

    async def _checked(self) -> Order:
        """The order, at an address that may be connected to."""
        order, target = self._order, self._order.target
        if self._check_address is None or not target.host:
            return order
        try:
            async with asyncio.timeout(order.timeout_s):
                addresses = await names.SHARED.addresses(target.host)
        except TimeoutError:
            raise Unreachable(f"{target.host}: its name could not be looked up in time") from None
        except (OSError, UnicodeError):
            raise Unreachable(f"{target.host}: there is no such name") from None
        refusal: Misuse | None = None
        for ip in addresses:
            try:
                self._check_address(target.host, ip)
            except Misuse as error:
                refusal = error
            else:
                return replace(order, target=target.at(ip), is_checked=True)
        raise refusal or Unreachable(f"{target.host} has no address")


async def _settled(future: Future[None]) -> None:
    """Wait until ``future`` is done, in whatever way: whoever ran it was told which."""
    await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)


def _thread(order: Order, outlet: Outlet, ended: Future[None]) -> None:
    try:
        try:
            from framecast.ingest.avsession import FOLLOWS_REDIRECTS, Session
        except ModuleNotFoundError:
            accepted = "it needs the media extra: pip install 'framecast[media]'"
            raise ConfigError("camera", "url", order.target.address, accepted) from None
        if order.is_checked and FOLLOWS_REDIRECTS:
            accepted = "its FFmpeg follows redirects anywhere: pip install 'av>=18', or add it by framecast cameras add"
            raise ConfigError("camera", "url", order.target.address, accepted)
        Session(order, outlet).run()
    except (DeviceError, Misuse) as error:
        ended.set_exception(error)
    else:
        ended.set_result(None)
    finally:
        if not ended.done():
            # A fault of ours: the traceback goes where those of threads go, and the task must not wait for ever.
            ended.set_exception(RuntimeError(f"the thread that reads {order.target.address} died"))
