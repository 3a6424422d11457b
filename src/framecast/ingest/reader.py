"""The one supervised reader of a camera that is fetched (not of one that pushes).

Theory of operation.

    idle --wanted--> connecting --first picture--> live --silence--> stalled --picture--> live
      ^                 |  ^                         |                  |
      |                 |  +--- backoff --- offline <+---- watchdog ----+
      +---- unwanted for the grace, from any state ----+

A session is one run of the source, as a task of its own. The reader looks at it four times a second: has a picture
come (silence of a few seconds is normal for these devices and only shows as `stalled`; beyond `stall_timeout_s` the
socket is taken for dead), is the camera still wanted, did somebody ask for a restart. Whatever ends a session, viewers
stay on the stream. Pauses between attempts double up to a cap and are spread; a session that brought pictures resets
them. The capture clock outlives sessions, since a device that reboots always breaks its connection.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from framecast.core.clock import Clock
from framecast.core.errors import BadStatus, DeviceError, Misuse, Replaced, Stalled, Unreachable
from framecast.core.limits import Quietly
from framecast.core.packet import Format, Packet
from framecast.core.publisher import Publisher
from framecast.core.source import Source
from framecast.core.stream import State, Stream
from framecast.core.supervise import Backoff
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.gate import Gate
from framecast.ingest.silence import Silence
from framecast.ingest.sound import Microphone
from framecast.wire.pcm import PcmError

log = logging.getLogger("framecast.ingest.reader")

LOOK_S = 0.25
"""Pause between two looks at a session."""
CODED_KEPT = 64
"""Access units whose pictures may still be in the works."""
DENIED = frozenset({401, 403})
DENIED_RETRY_S = 30.0

Policy = Literal["on_demand", "always"]


class Reader:
    """Runs a source, and is the feed it speaks to.

    Args:
        stream: The camera.
        source: How to get at its pictures.
        gate: What they must pass.
        label: The URL as people may see it, without secrets.
        policy: Fetch always, or while somebody is attached and `grace_s` after.
        stall_timeout_s: Silence after which the connection is given up.
        microphone: Takes the sound that comes with the pictures; one of its own when left out.

    Attributes:
        dialect: What the device speaks, as far as known.
        address: Where it was found.
        connects: Sessions that got as far as a speaking device.
        sessions: Attempts.
        last_error: Why the last session ended, in words.
        retry_at: Loop time of the next attempt, None while there is none to come.
    """

    def __init__(
        self,
        stream: Stream,
        source: Source,
        gate: Gate,
        *,
        label: str,
        policy: Policy = "on_demand",
        grace_s: float = 30.0,
        stall_timeout_s: float = 10.0,
        backoff: Backoff | None = None,
        microphone: Microphone | None = None,
    ) -> None:
        self.stream = stream
        self.clock: Clock = stream.clock
        self.dialect = ""
        self.address = ""
        self.connects = 0
        self.sessions = 0
        self.last_error = ""
        self.retry_at: float | None = None
        self._source = source
        self._gate = gate
        self._label = label
        self._policy = policy
        self._grace_s = grace_s
        self._stall_timeout_s = stall_timeout_s
        self._backoff = backoff or Backoff(first_s=0.25, cap_s=5.0)
        self._publisher: Publisher | None = None
        self._capture = CaptureClock()
        self.microphone = microphone or Microphone(stream)
        self.microphone.follow(self._capture)
        self._coded: dict[int, Packet] = {}
        self._silence = Silence()
        self._good = 0
        self._resumed = False
        self._answered = False
        self._wake = asyncio.Event()
        self._unwanted_since: float | None = None
        self._restart = False
        self._session: asyncio.Task[None] | None = None
        self._quietly = Quietly()
        stream.on_demand = self._demand

    # What the source says.

    @property
    def next_frame_id(self) -> int:
        """What the next accepted picture will be called."""
        return self.stream.frame_ids.next

    def connected(self, dialect: str, address: str = "") -> None:
        """The device speaks."""
        if dialect != self.dialect and self.dialect:
            log.info("%s: speaks %s now, spoke %s before", self.stream.camera_id, dialect, self.dialect)
        self.dialect = dialect
        self.address = address or self.address
        self.connects += 1
        self._answered = True
        log.info("%s: Connected to stream at %s (%s)", self.stream.camera_id, self._label, dialect)

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        """One whole candidate picture; see `core.source.Feed`."""
        publisher = self._publisher
        if publisher is None or publisher.closed:
            return False
        if received_ns is None:
            received_ns = self.clock.now_ns()
        checked = self._gate.check(payload)
        if checked is None:
            self._silence.refused(self._now(), self._gate.cause)
            if self._quietly.due():
                log.info("%s: refused pictures so far: %s", self.stream.camera_id, dict(self.stream.refused))
            return False
        form, jpeg = checked
        publisher.publish(jpeg, form, self._captured(publisher, received_ns, stamp_s), received_ns)
        return True

    @property
    def wants_pictures(self) -> bool:
        """Whether anybody needs JPEGs of a source that sends H.264 itself."""
        return self.stream.inlet.wanted

    def codes_itself(self, yes: bool) -> None:
        """Say whether access units will come."""
        self._coded.clear()
        self.stream.set_native(yes)

    def access_unit(
        self,
        payload: bytes,
        *,
        key: bool,
        width_px: int,
        height_px: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> int | None:
        """One access unit; see `core.source.Feed`."""
        publisher = self._publisher
        if publisher is None or publisher.closed or not self._gate.admits(len(payload), key=key):
            return None
        if received_ns is None:
            received_ns = self.clock.now_ns()
        form = Format("h264", width_px, height_px)
        pts_ns = self._captured(publisher, received_ns, stamp_s)
        packet = publisher.publish_coded(payload, form, pts_ns, received_ns, key=key)
        if packet is None:
            return None
        self._coded[packet.frame_id] = packet
        while len(self._coded) > CODED_KEPT:
            del self._coded[next(iter(self._coded))]
        return packet.frame_id

    def picture_of(self, frame_id: int, payload: bytes) -> None:
        """The JPEG of an access unit; see `core.source.Feed`."""
        coded, publisher = self._coded.get(frame_id), self._publisher
        checked = self._gate.check(payload) if coded is not None else None
        if coded is not None and checked is not None and publisher is not None:
            publisher.publish_picture_of(coded, checked[1], checked[0])

    def sound(
        self,
        payload: bytes,
        *,
        sample_rate_hz: int,
        channels: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> None:
        """One block of sound; see `core.source.Feed`."""
        try:
            self.microphone.check_in(self, address=self._label)
            self.microphone.chunk(
                payload, sample_rate_hz=sample_rate_hz, channels=channels, stamp_s=stamp_s, received_ns=received_ns
            )
        except (PcmError, Replaced):
            return  # counted there

    def _captured(self, publisher: Publisher, received_ns: int, stamp_s: float | None) -> int:
        """When a picture was taken, Unix ns of our clock. Whatever a picture says about the camera is noted."""
        capture = self._capture.map(received_ns, stamp_s)
        for quirk in capture.quirks:
            self.stream.quirks[quirk] += 1
        if capture.new_epoch:
            publisher.new_epoch()
            self.stream.refused["reboot"] += 1
        elif self._resumed and stamp_s is None:
            publisher.new_epoch()  # without stamps nobody can tell whether the device restarted meanwhile
        self._resumed = False
        self._silence.heard(self._now())
        self._answered = True
        self._good += 1
        if self.stream.state is not State.LIVE:
            self.stream.set_state(State.LIVE)
        return capture.pts_ns

    def alive(self) -> None:
        """The device answers and has nothing new."""
        self._silence.heard(self._now())
        if self._good and self.stream.state is State.STALLED:
            self.stream.set_state(State.LIVE)

    def quirk(self, code: str) -> None:
        """Count an oddity."""
        self.stream.quirks[code] += 1

    def fault(self, cause: str) -> None:
        """Count a loss."""
        self.stream.refused[cause] += 1
        self._silence.refused(self._now(), cause)

    # What the operator says.

    def restart(self) -> None:
        """Drop the connection and connect anew at once, without a pause."""
        self._restart = True
        self._backoff.reset()
        if self._session is not None:
            self._session.cancel()
        self._wake.set()

    @property
    def wanted(self) -> bool:
        """Whether the camera is to be read now."""
        return self._policy == "always" or self.stream.wanted

    def _demand(self, wanted: bool) -> None:
        self._unwanted_since = None if wanted else self._now()
        self._wake.set()

    # The life of the reader.

    async def run(self) -> None:
        """Read the camera until cancelled. May be called again after a failure."""
        log.info("%s: Background streaming thread started", self.stream.camera_id)
        self.stream.on_demand = self._demand
        state, reason = State.OFFLINE, "The reader failed and begins anew; the log says why"
        try:
            while True:
                while not self.wanted:
                    self.stream.set_state(State.IDLE)
                    await self._woken(None)
                pause_s = await self._attempt()
                if pause_s is None or self._restart:
                    continue
                if pause_s < float("inf"):
                    self.retry_at = asyncio.get_running_loop().time() + pause_s
                await self._woken(pause_s)
                self.retry_at = None
        except asyncio.CancelledError:
            state, reason = State.IDLE, ""
            raise
        finally:
            self.stream.set_state(state, reason)
            self.stream.on_demand = None
            if self._publisher is not None:
                self._publisher.close()
                self._publisher = None

    async def _attempt(self) -> float | None:
        """One session; returns the pause before the next one in seconds, None for no pause."""
        stream = self.stream
        self._good = 0
        if self._restart or stream.state is not State.OFFLINE:
            stream.set_state(State.CONNECTING)
        self._restart = False
        try:
            if not await self._run_session():
                self.last_error = ""
                return None
            reason = "The camera ended the stream"
        except Misuse as error:
            stream.set_state(State.FAILED, str(error))
            self.last_error = str(error)
            log.error("%s: %s", stream.camera_id, error)
            return float("inf")
        except BadStatus as error:
            reason = str(error)
            stream.refused[error.cause] += 1
            if error.status in DENIED:
                self._end(State.FAILED, reason)
                return DENIED_RETRY_S
        except DeviceError as error:
            reason = str(error)
            stream.refused[error.cause] += 1
        if not self.wanted:
            self.last_error = ""
            return None
        if self._restart:
            return None
        if self._good:
            self._backoff.reset()
        self._end(State.OFFLINE, reason)
        return self._backoff.next_s()

    def _end(self, state: State, reason: str) -> None:
        if reason != self.last_error or self._good:
            log.warning("%s: %s", self.stream.camera_id, reason)
        self.last_error = reason
        self.stream.set_state(state, reason)

    async def _run_session(self) -> bool:
        """One run of the source; whether it ended by itself, or for want of viewers."""
        self.sessions += 1
        if self._publisher is None or self._publisher.closed:
            self._publisher = self.stream.open_publisher(self._label)
        self._resumed = self.sessions > 1
        self._silence.begin(self._now())
        self._answered = False
        session = asyncio.get_running_loop().create_task(
            self._source.run(self), name=f"session:{self.stream.camera_id}"
        )
        self._session = session
        try:
            while True:
                done, _ = await asyncio.wait({session}, timeout=LOOK_S)
                if done:
                    if not session.cancelled():
                        session.result()
                    return True
                if self._look(self._now()):
                    return False
        finally:
            self._session = None
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)
            self.microphone.leave(self)

    def _look(self, now: float) -> bool:
        """Whether the session has to end for want of viewers; raises when it is dead."""
        if self._publisher is not None and self._publisher.closed:
            raise Replaced("Another publisher took this camera over")
        silent_s = self._silence.at(now)
        if silent_s > self._stall_timeout_s:
            if why := self._silence.why(now):
                raise Stalled(f"No picture for {silent_s:.0f} s that could be shown: {why}", silent_s)
            if not self._answered:
                raise Unreachable(f"The camera did not answer within {silent_s:.0f} s")
            raise Stalled(f"Nothing came for {silent_s:.0f} s although the connection is open", silent_s)
        if self._good and silent_s > self._silence.normal_s and self.stream.state is State.LIVE:
            self.stream.refused["stall"] += 1
            self.stream.set_state(State.STALLED, "The camera pauses")
        if self.wanted:
            self._unwanted_since = None
            return False
        if self._unwanted_since is None:
            self._unwanted_since = now
        return now - self._unwanted_since >= self._grace_s

    def _now(self) -> float:
        """Seconds of the stream's clock."""
        return self.clock.now_ns() / 1e9

    async def _woken(self, timeout_s: float | None) -> None:
        """Wait for demand or a restart, at most ``timeout_s``."""
        self._wake.clear()
        try:
            async with asyncio.timeout(None if timeout_s in (None, float("inf")) else timeout_s):
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    if timeout_s is None or self._restart:
                        return
        except TimeoutError:
            pass
