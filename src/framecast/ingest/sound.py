"""A camera's microphone: chunks of PCM in, blocks with a capture time out, their samples untouched.

Theory of operation. Chunks are put in order by their numbers (`sequence`); then the samples are counted, and the count
is mapped to the server's clock (`sampleclock`). What that mapping is held against is the arrival of each chunk, or,
where the device stamps chunks by the clock that stamps its pictures, the capture time that a picture with that stamp
would get: then the flash and the bang of a clap meet however late either comes.

One device at a time: another one takes over, and the first is refused for a few seconds, so that two microphones on one
camera show up as what they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

from framecast.core.errors import Replaced
from framecast.core.limits import Quietly
from framecast.core.meter import Meter
from framecast.core.packet import Format, Packet
from framecast.core.stream import Stream
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.gate import Rate
from framecast.ingest.sampleclock import PAUSE_NS, SampleClock
from framecast.ingest.sequence import Placed, Sequencer
from framecast.wire import pcm
from framecast.wire.pcm import PcmError

log = logging.getLogger("framecast.ingest.sound")

S_NS = 1_000_000_000
REFUSE_REPLACED_S = 5.0
PLAUSIBLE_NS = 10 * S_NS
"""A stamp that makes a chunk older than this, or younger than its arrival by a second, tells nothing."""
STAMPED_PAUSE_NS = 60_000_000
"""Stamps know nothing of the network: what is late by more was recorded after a pause."""
ACTIVE_NS = 2 * S_NS
"""A microphone that sent nothing for so long is off."""
MOST_CHUNKS = 250
"""Chunks a second, with a second's worth at once after a stutter: more is no microphone."""
WINDOW = 2
"""Chunks that wait for a missing one: on connections of their own they may overtake each other."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    payload: bytes
    form: Format
    samples: int
    stamp_s: float | None
    received_ns: int


class Microphone:
    """Takes the sound of one camera.

    Args:
        stream: The camera.

    Attributes:
        muted: What is published is silence of the same length: somebody talks to the device.
        address: Who sends, for people.
        refused: Chunks refused, by cause.
        meter: What was published.
        published: Chunks published.
        replaced: Times that another device took over.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.muted = False
        self.address = ""
        self.refused: Counter[str] = Counter()
        self.meter = Meter()
        self.published = 0
        self.replaced = 0
        self._pictures: CaptureClock | None = None
        self._counts: Counter[str] = Counter()
        self._identity: object = None
        self._replaced: tuple[object, int] = (None, 0)
        self._heard_ns = 0
        self._sequencer: Sequencer[_Chunk] = Sequencer(WINDOW)
        self._clock: SampleClock | None = None
        self._form: Format | None = None
        self._stamped = False
        self._pauses = 0
        self._last_pts_ns = 0
        self._overdue: asyncio.TimerHandle | None = None
        self._rate = Rate(MOST_CHUNKS)
        self._quietly = Quietly()

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
        return self._pauses + (self._clock.pauses if self._clock is not None else 0)

    @property
    def drift_ppm(self) -> float:
        """How much the device's sampling is slow (positive) or fast, in millionths."""
        return self._clock.drift_ppm if self._clock is not None else 0.0

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
        self._pictures = pictures

    def check_in(self, identity: object, *, address: str = "") -> None:
        """Make ``identity`` the one whose sound is taken, if it isn't already.

        Args:
            identity: Whatever tells one device from another.
            address: Where it is, for people.

        Raises:
            Replaced: It was replaced a moment ago and the other one is still sending.
        """
        if identity == self._identity:
            return
        now_ns = self.stream.clock.now_ns()
        known, replaced_ns = self._replaced
        window_ns = REFUSE_REPLACED_S * S_NS
        if identity == known and now_ns - replaced_ns < window_ns and now_ns - self._heard_ns < window_ns:
            self.refused["replaced"] += 1
            raise Replaced("Another device sends this camera's sound now; give each device a camera of its own")
        if self._identity is not None and now_ns - self._heard_ns < ACTIVE_NS:
            self._replaced = (self._identity, now_ns)
            self.replaced += 1
            log.warning("%s: the sound of %s takes over from %s", self.stream.camera_id, address, self.address)
        else:
            log.info("%s: sound comes from %s", self.stream.camera_id, address)
        self._leave()
        self._identity = identity
        self.address = address

    def leave(self, identity: object) -> None:
        """The connection of ``identity`` is gone."""
        if identity == self._identity:
            self._leave()
            self._identity = None

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
            form = Format("pcm_s16le", sample_rate_hz=sample_rate_hz, channels=channels)
        self._heard_ns = received_ns
        chunk = _Chunk(payload, form, samples, stamp_s, received_ns)
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

    def _publish(self, placed: Placed[_Chunk]) -> Packet:
        chunk = placed.item
        mapped_ns = self._mapped(chunk)
        stamped = mapped_ns is not None
        clock = self._clock
        if clock is None or placed.restarted or chunk.form != self._form or stamped is not self._stamped:
            self._end_clock()
            pause_ns = STAMPED_PAUSE_NS if stamped else PAUSE_NS
            clock = self._clock = SampleClock(chunk.form.sample_rate_hz, pause_ns)
            self._form, self._stamped = chunk.form, stamped
        if placed.lost:
            clock.skip(placed.lost * chunk.samples)
        pts_ns = clock.map(chunk.received_ns if mapped_ns is None else mapped_ns, chunk.samples)
        self._last_pts_ns = pts_ns = max(pts_ns, self._last_pts_ns + 1_000)
        self.published += 1
        self.meter.add(len(chunk.payload), chunk.received_ns)
        payload = bytes(len(chunk.payload)) if self.muted else chunk.payload
        return self.stream.publish_sound(payload, chunk.form, pts_ns, chunk.received_ns)

    def _mapped(self, chunk: _Chunk) -> int | None:
        """When its last sample was recorded, by the pictures' clock; None when that knows nothing."""
        if chunk.stamp_s is None:
            return None
        first_ns = self._pictures.at(chunk.stamp_s) if self._pictures is not None else None
        if first_ns is None:
            return None
        end_ns = first_ns + chunk.samples * S_NS // chunk.form.sample_rate_hz
        return end_ns if -S_NS < chunk.received_ns - end_ns < PLAUSIBLE_NS else None

    def _leave(self) -> None:
        for placed in self._sequencer.rest():
            self._publish(placed)
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        self._counts += self._sequencer.counts
        self._sequencer = Sequencer(WINDOW)
        self._end_clock()

    def _end_clock(self) -> None:
        if self._clock is not None:
            self._pauses += self._clock.pauses
            self._clock = None

    def _total(self, name: str) -> int:
        return self._counts[name] + self._sequencer.counts[name]
