"""Plain WebSocket viewers: each picture one binary message, nothing to acknowledge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from framecast.core.mailbox import Mailbox
from framecast.core.stream import Stream
from framecast.core.viewer import Viewer


async def relay(stream: Stream, viewer: Viewer, send: Callable[[bytes], Awaitable[None]], *, bound: int = 1) -> None:
    """Send every picture until cancelled, or until ``send`` raises; a viewer that is behind gets the newest.

    Args:
        stream: The camera.
        viewer: Counters to keep.
        send: Sends one binary message and waits until the connection can take more.
        bound: Pictures kept for a viewer that is behind.
    """
    mailbox = Mailbox(bound=bound)
    latest = stream.video.latest
    if latest is not None and stream.worth_showing(latest):
        mailbox.push(latest)
    stream.video.attach(mailbox)
    counted = 0

    def settle() -> None:
        nonlocal counted
        viewer.count(drops=mailbox.drops - counted)
        counted = mailbox.drops

    viewer.settle = settle
    try:
        async for packet in mailbox:
            viewer.behind = True
            await send(packet.payload)
            viewer.behind = False
            viewer.count(sent=1)
    finally:
        stream.video.detach(mailbox)
        settle()
        viewer.settle = None
