"""A camera's microphone: chunks of PCM in, blocks with a capture time out, their samples untouched.

Chunks are put in order by their numbers (`sequence`), and their times found (`soundtimeline`). One device at a time
(`onedevice`): another one takes over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from framecast.core.errors import Replaced
from framecast.core.limits import Quietly
from framecast.core.meter import Meter
from framecast.core.packet import Format, Packet
from framecast.core.stream import Stream
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.gate import Rate
from framecast.ingest.onedevice import ACTIVE_NS, OneDevice
from framecast.ingest.sequence import Placed, Sequencer
from framecast.ingest.soundtimeline import Chunk, SoundTimeline
from framecast.wire import pcm
from framecast.wire.pcm import PcmError

log = logging.getLogger("framecast.ingest.sound")

S_NS = 1_000_000_000
MOST_CHUNKS = 250
"""Chunks a second, with a second's worth at once after a stutter: more is no microphone."""
WINDOW = 2
"""Chunks that wait for a missing one: on connections of their own they may overtake each other."""


class Microphone:
    """Takes the sound of one camera.

    Args:
        stream: The camera.

    Attributes:
        muted: What is published is silence of the same length: somebody talks to the device.
        refused: Chunks refused, by cause.
        meter: What was published.
        published: Chunks published.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.muted = False
        self.refused: Counter[str] = Counter()
        self.meter = Meter()
        self.published = 0
        self._device = OneDevice()
        self._timeline = SoundTimeline()
        self._counts: Counter[str] = Counter()
        self._sequencer: Sequencer[Chunk] = Sequencer(WINDOW)
        self._overdue: asyncio.TimerHandle | None = None
        self._heard_ns = 0
        self._form: Format | None = None
        self._rate = Rate(MOST_CHUNKS)
        self._quietly = Quietly()

    @property
    def address(self) -> str:
        """Who sends, for people."""
        return self._device.address

    @property
    def replaced(self) -> int:
        """Times that another device took over."""
        return self._device.replaced

    @property
    def lost(self) -> int:
        """Chunks that the device numbered and that did not come."""
        return self._total("lost")

    @property
    def late(self) -> int:
        """Chunks that came after their turn and were dropped."""
        return self._total("late")

    @property
    def doubled(self) -> int:
        """Chunks that came again and were dropped."""
        return self._total("doubled")

    @property
    def restarts(self) -> int:
        """Times the device began to count anew."""
        return self._total("restarts")

    @property
    def pauses(self) -> int:
        """Times that sound was missing without the numbers saying so."""
        return self._timeline.pauses

    @property
    def drift_ppm(self) -> float:
        """How much the device's sampling is slow (positive) or fast, in millionths."""
        return self._timeline.drift_ppm

    @property
    def losses(self) -> Counter[str]:
        """Chunks that were not passed on, by cause."""
        return self.refused + Counter(lost=self.lost, late=self.late, doubled=self.doubled)

    @property
    def active(self) -> bool:
        """Whether sound is coming."""
        return self.published > 0 and self.stream.clock.now_ns() - self._heard_ns < ACTIVE_NS

    def follow(self, pictures: CaptureClock) -> None:
        """Map the stamps of chunks as the stamps of the pictures are mapped from now on."""
        self._timeline.follow(pictures)

    def check_in(self, identity: object, *, address: str = "") -> None:
        """Make ``identity`` the one whose sound is taken, if it isn't already.

        Args:
            identity: Whatever tells one device from another.
            address: Where it is, for people.

        Raises:
            Replaced: It was replaced a moment ago and the other one is still sending.
        """
        if identity == self._device.identity:
            return
        before = self.address
        try:
            over = self._device.take(identity, address, self.stream.clock.now_ns(), self._heard_ns)
        except Replaced:
            self.refused["replaced"] += 1
            raise
        if over:
            log.warning("%s: the sound of %s takes over from %s", self.stream.camera_id, address, before)
        else:
            log.info("%s: sound comes from %s", self.stream.camera_id, address)
        self._leave()

    def leave(self, identity: object) -> None:
        """The connection of ``identity`` is gone."""
        if identity == self._device.identity:
            self._leave()
            self._device.leave()

    def chunk(
        self,
        payload: bytes,
        *,
        sample_rate_hz: int = pcm.DEFAULT_RATE_HZ,
        channels: int = 1,
        sequence: int | None = None,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> Packet | None:
        """Publish one chunk.

        Args:
            payload: s16le, channels interleaved.
            sample_rate_hz: What the device calls its rate.
            channels: 1 or 2.
            sequence: The device's number of it, where it counts.
            stamp_s: The device's stamp of its first sample, in seconds of the clock that stamps its pictures.
            received_ns: When its last byte came, Unix ns of the stream's clock; now when left out.

        Returns:
            Its packet; None when it came twice or too late, or waits for one that is missing.

        Raises:
            PcmError: It is no sound that can be passed on; that is counted.
        """
        if received_ns is None:
            received_ns = self.stream.clock.now_ns()
        try:
            samples = pcm.check(payload, sample_rate_hz, channels)
            if not self._rate.take(received_ns):
                raise PcmError("too_many_chunks", f"At most {MOST_CHUNKS} chunks a second are taken: send longer ones")
        except PcmError as error:
            self.refuse(error.cause)
            raise
        form = self._form
        if form is None or form.sample_rate_hz != sample_rate_hz or form.channels != channels:
            form = self._form = Format("pcm_s16le", sample_rate_hz=sample_rate_hz, channels=channels)
        self._heard_ns = received_ns
        chunk = Chunk(payload, form, samples, stamp_s, received_ns)
        if sequence is None:
            return self._publish(Placed(chunk))
        found = None
        for placed in self._sequencer.take(sequence, payload, chunk, received_ns):
            packet = self._publish(placed)
            if placed.item is chunk:
                found = packet
        if self._overdue is None:
            self._wait()
        return found

    @property
    def waiting(self) -> int:
        """Chunks that wait for one before them."""
        return self._sequencer.waiting

    def refuse(self, cause: str) -> None:
        """Count a chunk that could not be taken."""
        self.refused[cause] += 1
        if self._quietly.due():
            log.info("%s: refused sound so far: %s", self.stream.camera_id, dict(self.refused))

    def _wait(self) -> None:
        """See again when what waits is overdue: at the rest of its time, for loops count from when they last looked."""
        if self._sequencer.waiting:
            rest_ns = max(self._sequencer.due_ns - self.stream.clock.now_ns(), 0)
            self._overdue = asyncio.get_running_loop().call_later(rest_ns / S_NS, self._give_up)

    def _give_up(self) -> None:
        """Nothing came: what waits for a missing chunk need not wait for ever."""
        self._overdue = None
        for placed in self._sequencer.overdue(self.stream.clock.now_ns()):
            self._publish(placed)
        self._wait()

    def _publish(self, placed: Placed[Chunk]) -> Packet:
        chunk = placed.item
        pts_ns = self._timeline.pts_ns(chunk, lost=placed.lost, restarted=placed.restarted)
        self.published += 1
        self.meter.add(len(chunk.payload), chunk.received_ns)
        payload = bytes(len(chunk.payload)) if self.muted else chunk.payload
        return self.stream.publish_sound(payload, chunk.form, pts_ns, chunk.received_ns)

    def _leave(self) -> None:
        for placed in self._sequencer.rest():
            self._publish(placed)
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        self._counts += self._sequencer.counts
        self._sequencer = Sequencer(WINDOW)
        self._timeline.end()

    def _total(self, name: str) -> int:
        return self._counts[name] + self._sequencer.counts[name]
