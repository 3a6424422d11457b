"""Cameras that push: the desk at which they hand in their pictures.

One publisher at a time. A device is known by its identity: its connection for WebSockets; address, token and device id
for POSTs, since simple firmwares open a connection per picture. Another identity takes over: the epoch rises, and the
first is told so. Its WebSocket is closed, its next POST within a few seconds is refused, so that two devices configured
alike show up as what they are instead of flickering.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from framecast.core.errors import Replaced
from framecast.core.limits import Quietly
from framecast.core.packet import Packet
from framecast.core.publisher import Publisher
from framecast.core.stream import State, Stream
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.gate import Gate
from framecast.ingest.silence import Silence
from framecast.ingest.sound import Microphone

log = logging.getLogger("framecast.ingest.push")

LOOK_S = 0.25
REFUSE_REPLACED_S = 5.0
WAITING = "Waiting for the device to push its first picture"
REFUSED = "What the device pushes can't be shown"
ONLY_SOUND = "The device pushes its sound, and no picture yet"


class Desk:
    """Takes the pictures of one pushing camera.

    Args:
        stream: The camera.
        gate: What pictures must pass.
        stall_timeout_s: Silence after which the device counts as gone.
        microphone: Takes the device's sound; one of its own when left out.
    """

    def __init__(
        self, stream: Stream, gate: Gate, *, stall_timeout_s: float = 10.0, microphone: Microphone | None = None
    ) -> None:
        self.stream = stream
        self.dialect = ""
        self.address = ""
        self.connects = 0
        self.sessions = 0
        self.last_error = ""
        self.cause = ""
        self.retry_at: float | None = None
        self._gate = gate
        self._stall_timeout_s = stall_timeout_s
        self._publisher: Publisher | None = None
        self._identity: object = None
        self._replaced: dict[object, float] = {}
        self._capture = CaptureClock()
        self.microphone = microphone or Microphone(stream)
        self.microphone.follow(self._capture)
        self._silence = Silence()
        self._quietly = Quietly()
        stream.set_state(State.OFFLINE, WAITING)

    def check_in(
        self, identity: object, *, dialect: str, address: str, on_replaced: Callable[[], None] | None = None
    ) -> None:
        """Make ``identity`` the publisher, if it isn't already.

        Raises:
            Replaced: It was replaced a moment ago and the other one is still publishing.
        """
        if identity == self._identity and self._publisher is not None and not self._publisher.closed:
            return
        now = self._now()
        replaced_at = self._replaced.pop(identity, None)
        if (
            replaced_at is not None
            and now - replaced_at < REFUSE_REPLACED_S
            and self._publisher is not None
            and self._silence.at(now) < REFUSE_REPLACED_S
        ):
            self._replaced[identity] = replaced_at
            self.stream.refused["replaced"] += 1
            raise Replaced("Another device took this camera over; give each device a camera of its own")
        if self._publisher is not None and self._identity is not None:
            self._replaced = {self._identity: now}
            log.warning("%s: %s takes over from %s", self.stream.camera_id, address, self.address)
        self.sessions += 1
        self.connects += 1
        self.dialect = dialect
        self.address = address
        self._identity = identity
        self._capture = CaptureClock()
        self.microphone.follow(self._capture)
        self._publisher = self.stream.open_publisher(address, on_replaced)
        log.info("%s: %s publishes (%s)", self.stream.camera_id, address, dialect)

    def leave(self, identity: object) -> None:
        """The connection of ``identity`` is gone."""
        if identity == self._identity and self._publisher is not None:
            self._publisher.close()
            self._publisher = None
            self._identity = None
            self._gone("The device closed its connection")

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None) -> Packet | None:
        """Publish one candidate picture of whoever is checked in; None when it was refused (``cause`` says why)."""
        publisher = self._publisher
        if publisher is None or publisher.closed:
            self.cause = "replaced"
            return None
        stream = self.stream
        received_ns = stream.clock.now_ns()
        checked = self._gate.check(payload)
        if checked is None:
            self.cause = self._gate.cause
            self._silence.refused(self._now(), self.cause)
            if stream.state is State.OFFLINE and (why := self._silence.why(self._now())):
                self._gone(f"{REFUSED}: {why}")
            if self._quietly.due():
                log.info("%s: refused pictures so far: %s", stream.camera_id, dict(stream.refused))
            return None
        pts_ns = received_ns
        if stamp_s is not None:
            capture = self._capture.map(received_ns, stamp_s)
            pts_ns = capture.pts_ns
            for quirk in capture.quirks:
                stream.quirks[quirk] += 1
            if capture.new_epoch:
                publisher.new_epoch()
                stream.refused["reboot"] += 1
        self._silence.heard(self._now())
        if stream.state is not State.LIVE:
            stream.set_state(State.LIVE)
        return publisher.publish(checked[1], checked[0], pts_ns, received_ns)

    def restart(self) -> None:
        """Shut out whoever publishes; it may come back at once."""
        if self._publisher is not None:
            self._publisher.replace()
            self._publisher.close()
            self._publisher = None
            self._identity = None
            self._replaced.clear()
            self._gone("The reader was restarted")

    async def run(self) -> None:
        """Watch for silence until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            silence = self._silence
            silent_s = silence.at(self._now())
            state = self.stream.state
            if self.stream.reason in (WAITING, ONLY_SOUND):
                self.stream.set_state(state, ONLY_SOUND if self.microphone.active else WAITING)
            if state is State.LIVE and silent_s > silence.normal_s:
                self.stream.refused["stall"] += 1
                self.stream.set_state(State.STALLED, "The device pauses")
            elif state is State.STALLED and silent_s > max(self._stall_timeout_s, 4 * silence.interval_s):
                why = silence.why(self._now())
                self._gone(f"{REFUSED}: {why}" if why else f"Nothing came for {silent_s:.0f} s")

    def _now(self) -> float:
        """Seconds of the stream's clock."""
        return self.stream.clock.now_ns() / 1e9

    def _gone(self, reason: str) -> None:
        self.last_error = reason
        self.stream.set_state(State.OFFLINE, reason)
