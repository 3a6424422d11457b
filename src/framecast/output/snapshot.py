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

    A live camera answers with its newest picture at once. One that sleeps or connects gets ``wait_s`` seconds to
    deliver; after that its last picture will do unless ``max_age_s`` forbids it. Cancel-safe.

    Args:
        stream: The camera.
        rendition: Which form of it.
        max_age_s: Oldest acceptable picture, None for any age.
        wait_s: Longest wait for one.

    Raises:
        NoFrame: No picture yet, or only older ones.
        LimitReached: The camera has too many renditions already.
    """
    track = stream.track(rendition)
    latest = track.latest
    if latest is not None and _young(stream, latest, FRESH_S if max_age_s is None else max_age_s):
        return latest
    mailbox = Mailbox(bound=1)
    track.attach(mailbox)
    try:
        hopeful = stream.state in (State.IDLE, State.CONNECTING, State.LIVE) or (
            stream.video.latest is not None and not rendition.is_source
        )
        if hopeful:
            try:
                async with asyncio.timeout(wait_s):
                    return await mailbox.get()
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


def _young(stream: Stream, packet: Packet, age_s: float) -> bool:
    return stream.clock.now_ns() - packet.pts_ns <= age_s * 1e9
