"""One picture, now."""

from __future__ import annotations

import asyncio

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.stream import State, Stream

FRESH_S = 1.0
"""A picture younger than this is as good as the next one."""


class NoFrame(Exception):
    """There is no picture, or none young enough; the message says which."""


async def take(stream: Stream, rendition: Rendition, *, max_age_s: float | None, wait_s: float) -> Packet:
    """The newest picture; a camera that sleeps is woken for it.

    A live camera answers with its newest picture at once, whatever its rate. One that sleeps or connects gets
    ``wait_s`` seconds to deliver; after that its last picture will do unless ``max_age_s`` forbids it. Cancel-safe.

    Args:
        stream: The camera.
        rendition: Which form of it.
        max_age_s: Oldest acceptable picture, None for any age. One that arrives after the call is never too old.
        wait_s: Longest wait for one.

    Raises:
        NoFrame: No picture yet, or only older ones.
        LimitReached: The camera has too many renditions already.
    """
    track = stream.track(rendition)
    asked_ns = stream.clock.now_ns()
    latest = track.latest
    if latest is not None and _will_do(stream, latest, max_age_s):
        return latest
    mailbox = Mailbox(bound=1)
    track.attach(mailbox)
    try:
        source = stream.inlet.latest
        in_the_making = source is not None and (latest is None or latest.frame_id < source.frame_id)
        if in_the_making or stream.state in (State.IDLE, State.CONNECTING, State.LIVE):
            try:
                async with asyncio.timeout(wait_s):
                    async for packet in mailbox:
                        if packet.received_ns >= asked_ns or _will_do(stream, packet, max_age_s):
                            return packet
            except TimeoutError:
                pass
    finally:
        track.detach(mailbox)
    latest = track.latest
    if latest is None:
        raise NoFrame("No frame available yet")
    if max_age_s is not None and not _young(stream, latest, max_age_s):
        age_s = (stream.clock.now_ns() - latest.pts_ns) / 1e9
        raise NoFrame(f"The newest frame is {age_s:.1f} s old, more than max_age={max_age_s:g}")
    return latest


def _will_do(stream: Stream, packet: Packet, max_age_s: float | None) -> bool:
    """Whether there is no need to wait for another picture."""
    if max_age_s is not None:
        return _young(stream, packet, max_age_s)
    newest = packet.frame_id == stream.frame_ids.next - 1
    return (newest and stream.state is not State.CONNECTING and stream.state is not State.IDLE) or _young(
        stream, packet, FRESH_S
    )


def _young(stream: Stream, packet: Packet, age_s: float) -> bool:
    return stream.clock.now_ns() - packet.pts_ns <= age_s * 1e9
