"""Runs looks over a track, in the pool that all cameras share.

Nothing here imports NumPy or OpenCV: what looks is made in a thread, where it keeps nobody waiting.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from framecast.core.clock import SYSTEM, Clock
from framecast.core.mailbox import Mailbox
from framecast.core.pacer import Pacer
from framecast.core.packet import Format, Packet
from framecast.core.track import Track
from framecast.vision.pool import InferencePool
from framecast.vision.sight import Sight
from framecast.wire.detections import Look, pack

if TYPE_CHECKING:
    from framecast.vision.looker import Seen

BLIND_FPS = 1.0


class Looks(Protocol):
    """Looks at one camera's pictures. Called from one thread at a time."""

    def look(self, packet: Packet) -> Seen:
        """What is seen in a picture."""


class DetectionWorker:
    """A `framecast.core.worker.Worker`: pictures in, a `Look` for each that was chosen.

    The picture is taken when its turn has come, so that what is looked at is always the newest.

    Args:
        make_looker: Makes what looks; called in a thread, may take its time. None: nothing can look, as ``sight`` says.
        pool: Where it runs.
        sight: Is told what happens.
        fps: Most pictures a second; 0 is no limit.
        clock: The camera's.
    """

    def __init__(
        self, make_looker: Callable[[], Looks], pool: InferencePool, sight: Sight, fps: float, clock: Clock = SYSTEM
    ) -> None:
        self._make_looker = make_looker
        self._pool = pool
        self._sight = sight
        self._fps = fps
        self._clock = clock

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``."""
        self._sight.begin()
        try:
            looker = await self._pool.run(self._make_looker)
            pacer = Pacer(self._fps) if self._fps else None
            async for packet in source:
                before = out.latest
                if before is not None and (before.frame_id, before.epoch) == (packet.frame_id, packet.epoch):
                    continue  # work began anew with the picture it had ended with
                if pacer is not None and not pacer.take(packet.received_ns):
                    continue
                async with self._pool.turn() as turn:
                    while len(source):
                        packet = await source.get()
                    seen, payload = await turn(partial(_see, looker, packet))
                self._tell(seen, payload, packet, out)
                del seen  # what looked may be let go of before this camera sends another picture
        finally:
            self._sight.end(sys.exception())

    def _tell(self, seen: Seen, payload: bytes, packet: Packet, out: Track) -> None:
        self._sight.note(seen.look, seen.inferences, self._clock.now_ns())
        if seen.opened is not None:
            self._sight.model = seen.opened.name
            self._sight.provider = "" if seen.opened.detector is None else seen.opened.detector.provider
        publish(out, packet, payload)


class BlindWorker:
    """A `framecast.core.worker.Worker` for those who can't see: it says why, once a second.

    Args:
        sight: Is told the same.
        state: Why, as a code.
        reason: Why, in words.
    """

    def __init__(self, sight: Sight, state: str, reason: str) -> None:
        self._sight = sight
        self._state = state
        self._reason = reason

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``."""
        self._sight.begin()
        self._sight.state, self._sight.reason = self._state, self._reason
        try:
            pacer = Pacer(BLIND_FPS)
            async for packet in source:
                if pacer.take(packet.received_ns):
                    look = Look(packet.frame_id, packet.epoch, packet.pts_ns, state=self._state, reason=self._reason)
                    publish(out, packet, pack(look))
        finally:
            self._sight.end(sys.exception())


def publish(out: Track, picture: Packet, payload: bytes) -> None:
    """Give out what was seen in a picture."""
    out.publish(
        Packet(
            payload=payload,
            format=Format("detections"),
            frame_id=picture.frame_id,
            seq=0 if out.latest is None else out.latest.seq + 1,
            epoch=picture.epoch,
            pts_ns=picture.pts_ns,
            received_ns=picture.received_ns,
        )
    )


def _see(looker: Looks, picture: Packet) -> tuple[Seen, bytes]:
    seen = looker.look(picture)
    return seen, pack(seen.look)
