"""Plain WebSocket viewers: each picture one binary message, nothing to acknowledge.

As JPEGs, or as the packets of a transport stream, which may be joined end to end and played.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from framecast.core.mailbox import Mailbox, Policy
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.wire.mpegts import discontinuity

MOST_BEHIND = 60
"""Pieces of a transport stream that may wait for one viewer, beside what it began with."""


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
            viewer.count(sent=1, size_bytes=len(packet.payload))
    finally:
        stream.video.detach(mailbox)
        settle()
        viewer.settle = None


async def relay_coded(track: Track, viewer: Viewer, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Send a transport stream until cancelled, or until ``send`` raises; who is behind goes on at a key picture.

    It begins with all that the track kept, however much that is: not every camera can be asked for a key picture.

    Args:
        track: Of a `TransportStream`.
        viewer: Counters to keep.
        send: As for `relay`.
    """
    mailbox = Mailbox(bound=MOST_BEHIND, policy=Policy.SKIP_TO_KEY)
    track.attach(mailbox)
    mailbox.begin(track.backlog)  # in place of what attaching brought: a track that was idle has just been filled
    if not mailbox:
        track.want_key()
    counted = mailbox.drops
    try:
        async for packet in mailbox:
            unit = packet.payload
            if mailbox.drops != counted and packet.key:
                viewer.count(drops=mailbox.drops - counted)
                counted = mailbox.drops
                unit = discontinuity(unit) + unit
            viewer.behind = True
            await send(unit)
            viewer.behind = False
            viewer.count(sent=1, size_bytes=len(unit))
            if mailbox.drops != counted:
                track.want_key()
    finally:
        track.detach(mailbox)
