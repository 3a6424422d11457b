"""One camera: its tracks, its state, its viewers. It outlives every connection to the device.

    publisher -> [inlet] -> (transform) -> video -> (workers) -> video/320, h264, …
              -> native --------------------------------------> h264
              -> audio ------------------------> (workers) ---> aac, opus
                 video ------------------------> (worker) ----> detections

Without a transform the inlet is the video track itself. A source that sends H.264 itself publishes its access units to
`native`; they are handed on untouched, unless a transform has to see the pictures first. Viewers attach to tracks, so a
device that reboots, changes its firmware or is replaced comes back under the same viewers, as a new epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from framecast.core.clock import SYSTEM, Clock
from framecast.core.derived import CODED_BYTES, CODED_PACKETS, SOUND_CHUNKS, access_units, mailbox_of, track_of
from framecast.core.errors import LimitReached
from framecast.core.frameids import FrameIds
from framecast.core.mailbox import Mailbox
from framecast.core.meter import Meter, Percentiles
from framecast.core.packet import Format, Packet
from framecast.core.publisher import Publisher
from framecast.core.rendition import H264, Rendition
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.core.worker import Passthrough, WorkedTrack, Worker

MOST_RENDITIONS = 8
"""Of a camera's pictures, beside the source's own and its plain H.264."""
STALE_S = 10.0
"""A camera that was asleep shows newcomers its last picture only when it is younger than this."""
STALL_TIMEOUT_S = 60.0
"""How long a viewer that is behind may go without taking a byte."""
TRANSFORM_GRACE_S = 2.0
UNSHOWN_S = 2.0
"""Longest time without a picture that can be turned and masked before the camera counts as stalled."""
UNSHOWN = "Its pictures are damaged: they can't be turned or masked, so none is shown"


class State(StrEnum):
    """What a camera is doing."""

    IDLE = "idle"
    """Nobody watches, so it is left alone."""
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    """Connected, and no picture for longer than is normal."""
    OFFLINE = "offline"
    """Not reachable, or not pushing; it is tried again."""
    FAILED = "failed"
    """Can't work as configured; trying again is no use before something is changed."""


class Stream:
    """A camera.

    Args:
        camera_id: Its slug.
        number: Server-wide number that stands for it in binary messages, 1-65535.
        supervisor: Owner of the tasks of derived tracks.
        make_worker: Makes what turns the video into a rendition.
        clock: This stream's clock; ages are taken from it.
        frame_ids: Where ids come from.
        viewer_limit: Most viewers at a time, 0 for no limit.

    Attributes:
        video: What everybody sees.
        inlet: Where the publisher's pictures go in; not for viewers, it is before the privacy masks.
        native: Access units of a source that sends H.264 itself; not for viewers either, for the same reason.
        audio: The device's sound, PCM as it was sent.
        state: What the camera is doing; `reason` says why, in words.
        refused: Pictures refused or lost, by cause.
        quirks: What the firmware does oddly, by code.
        latencies: From a picture's arrival to the last viewer's write, in ms, of each fan-out that is no `Fanout`.
        viewers_cut: Viewers that took nothing for `viewer_stall_timeout_s`.
    """

    def __init__(
        self,
        camera_id: str,
        number: int,
        supervisor: Supervisor,
        *,
        make_worker: Callable[[Rendition], Worker] | None = None,
        clock: Clock = SYSTEM,
        frame_ids: FrameIds | None = None,
        viewer_limit: int = 0,
        rendition_grace_s: float = 5.0,
    ) -> None:
        self.camera_id = camera_id
        self.number = number
        self.clock = clock
        self.frame_ids = frame_ids or FrameIds()
        self.viewer_limit = viewer_limit
        self.video = Track("video")
        self.inlet = self.video
        self.native = Track(
            "native", ring_packets=CODED_PACKETS, ring_bytes=CODED_BYTES, on_demand=self._demand, since_key=True
        )
        self.audio = Track("audio", ring_packets=SOUND_CHUNKS, on_demand=self._demand)
        self.state = State.IDLE
        self.reason = ""
        self.state_since_ns = clock.now_ns()
        self.epoch = 0
        self.published = 0
        self.meter = Meter()
        self.refused: Counter[str] = Counter()
        self.quirks: Counter[str] = Counter()
        self.drops = 0
        self.sent_bytes = 0
        self.viewer_stall_timeout_s = STALL_TIMEOUT_S
        self.viewers_cut = 0
        self.latencies: list[Percentiles] = []
        self.viewers: dict[int, Viewer] = {}
        self.on_state: list[Callable[[Stream], None]] = []
        self.on_demand: Callable[[bool], None] | None = None
        self._supervisor = supervisor
        self._make_worker = make_worker
        self._grace_s = rendition_grace_s
        self._derived: dict[Rendition, WorkedTrack] = {}
        self._transform: WorkedTrack | None = None
        self._publisher: Publisher | None = None
        self._codes_itself = False
        self._was_wanted = False
        self._sounds = 0
        self._obstacle = ""
        self._obstructed: Packet | None = None
        self.video.on_demand = self._demand

    # The device's side.

    def open_publisher(self, name: str, on_replaced: Callable[[], None] | None = None) -> Publisher:
        """Take the camera over: whoever published before is told and shut out, the next picture begins an epoch."""
        previous = self._publisher
        self._publisher = None
        if previous is not None:
            previous.replace()
        self._publisher = Publisher(self, name, on_replaced)
        return self._publisher

    @property
    def publisher(self) -> Publisher | None:
        """Who publishes now."""
        return self._publisher

    def publisher_closed(self, publisher: Publisher) -> None:
        """Called by a publisher that gives up."""
        if self._publisher is publisher:
            self._publisher = None

    def begin_epoch(self) -> int:
        """The number of a new epoch."""
        self.epoch += 1
        return self.epoch

    def publish_sound(self, payload: bytes, form: Format, pts_ns: int, received_ns: int) -> Packet:
        """Give one block of sound to everyone.

        Args:
            payload: Interleaved s16le, whole samples.
            form: ``pcm_s16le``, with rate and channels.
            pts_ns: Capture time of its first sample, Unix ns of our clock.
            received_ns: When its last byte was here.
        """
        packet = Packet(payload, form, self._sounds, self._sounds, max(self.epoch, 1), pts_ns, received_ns)
        self._sounds += 1
        self.audio.publish(packet)
        return packet

    def set_native(self, codes_itself: bool) -> None:
        """Say whether the source sends H.264 itself from now on; plain H.264 is then its own, if nothing is masked."""
        if codes_itself == self._codes_itself:
            return
        self._codes_itself = codes_itself
        if not codes_itself:
            self.native.clear()
        self._remake_plain_h264()

    @property
    def passes_native(self) -> bool:
        """Whether plain H.264 is the source's own, untouched."""
        return self._codes_itself and self._transform is None

    def set_state(self, state: State, reason: str = "") -> None:
        """Enter a state; listeners are told when it, or the reason, is another one.

        A camera whose pictures the transform can't use is not live but stalled, until one comes out again.
        """
        if self._obstacle and state is State.LIVE:
            if self.video.latest is self._obstructed:
                state, reason = State.STALLED, self._obstacle
            else:
                self._obstacle = ""
        if state is self.state and reason == self.reason:
            return
        if state is not self.state:
            self.state_since_ns = self.clock.now_ns()
        self.state = state
        self.reason = reason
        for listener in tuple(self.on_state):
            listener(self)

    def count_fault(self, cause: str) -> None:
        """Count a picture that a worker could make nothing of."""
        self.refused[cause] += 1

    def count_transform_fault(self, cause: str) -> None:
        """Count a picture that can't be shown, since it can't be turned or masked; when none can, say so."""
        self.refused[cause] += 1
        newest, shown = self.inlet.latest, self.video.latest
        if newest is None or (shown is not None and newest.pts_ns - shown.pts_ns < UNSHOWN_S * 1e9):
            return
        self._obstacle, self._obstructed = UNSHOWN, shown
        if self.state is State.LIVE:
            self.set_state(State.LIVE)

    # The viewers' side.

    @property
    def wanted(self) -> bool:
        """Whether anybody is attached to anything of this camera."""
        return self.video.wanted or self.native.wanted or self.audio.wanted

    def worth_showing(self, packet: Packet) -> bool:
        """Whether ``packet``, which came before, may be shown to a newcomer while the next one is on its way."""
        age_s = (self.clock.now_ns() - packet.pts_ns) / 1e9
        return age_s < STALE_S or self.state not in (State.IDLE, State.CONNECTING)

    def admit(self, viewer: Viewer) -> None:
        """Count a viewer in.

        Raises:
            LimitReached: The camera has as many viewers as the operator allows.
        """
        if self.viewer_limit and len(self.viewers) >= self.viewer_limit:
            raise LimitReached(f"this camera has its {self.viewer_limit} viewers already", self.viewer_limit)
        self.viewers[viewer.number] = viewer

    def dismiss(self, viewer: Viewer) -> None:
        """Count a viewer out; its drops and bytes stay in the sums. Safe to call twice."""
        if self.viewers.pop(viewer.number, None) is not None:
            self.drops += viewer.drops
            self.sent_bytes += viewer.bytes

    def check(self, rendition: Rendition) -> None:
        """See whether ``rendition`` can be had now; nothing is made for it.

        Raises:
            LimitReached: Eight different renditions of this camera are being watched already.
        """
        if rendition.is_source or rendition in self._derived:
            return
        if rendition.is_free and self._make_worker is not None:
            return
        if self._make_worker is None:
            raise LimitReached("this camera's pictures can't be changed here", 0)
        watched = [each.name for each, worked in self._derived.items() if worked.out.wanted and not each.is_free]
        if len(watched) >= MOST_RENDITIONS:
            raise LimitReached(
                f"{MOST_RENDITIONS} different sizes and qualities of this camera are being watched already; "
                f"ask for one of: {', '.join(watched)}",
                MOST_RENDITIONS,
            )

    def track(self, rendition: Rendition) -> Track:
        """The track that carries ``rendition``, made when somebody attaches to it, once for all who ask.

        Raises:
            LimitReached: Eight different renditions of this camera are being watched already.
        """
        if rendition.is_source:
            return self.video
        worked = self._derived.get(rendition)
        if worked is None:
            self.check(rendition)
            self._evict_idle()
            worked = self._derived[rendition] = self._work(rendition, track_of(rendition))
        return worked.out

    def remake(self, rendition: Rendition) -> None:
        """Have a rendition made by a fresh worker, since what is wanted of it has changed; its readers stay.

        What was made before is forgotten, so that it begins with the picture that is shown now.
        """
        worked = self._derived.get(rendition)
        if worked is not None:
            worked.restart()
            worked.out.clear()

    def _work(self, rendition: Rendition, out: Track) -> WorkedTrack:
        make_worker = self._make_worker
        assert make_worker is not None
        source = self.audio if rendition.is_sound else self.video
        mailbox: Callable[[], Mailbox] = partial(mailbox_of, rendition)
        make: Callable[[], Worker] = partial(make_worker, rendition)
        if rendition == H264 and self.passes_native:
            source, mailbox, make = self.native, access_units, Passthrough
        return WorkedTrack(
            source,
            out,
            make,
            self._supervisor,
            grace_s=self._grace_s,
            make_mailbox=mailbox,
            worth_making=self.worth_showing,
            clock=self.clock,
            on_idle=lambda: self._drop_rendition(rendition),
        )

    def _remake_plain_h264(self) -> None:
        """Its source is another one now."""
        worked = self._derived.get(H264)
        if worked is not None:
            worked.close()
            worked.out.clear()
            self._derived[H264] = self._work(H264, worked.out)

    @property
    def renditions(self) -> list[str]:
        """Names of the renditions that exist now."""
        return [each.name for each in self._derived]

    def set_transform(self, make_worker: Callable[[], Worker] | None, *, again: bool = False) -> None:
        """Put a transform (turning, masks) before what everybody sees, or take it away.

        Pictures from before the change are forgotten: a mask must not leave the unmasked one on anybody's screen. With
        ``again`` the newest one is published anew, to be seen as the change makes it: the next may take a minute.
        """
        newest = self.inlet.latest if again and self.wanted and not self._codes_itself else None
        if self._transform is not None:
            self._transform.close()
            self._transform = None
        self._obstacle = ""
        self.video.clear()
        for rendition in self._derived:
            if not rendition.is_sound:
                self.remake(rendition)
        if make_worker is None:
            self.inlet = self.video
            self.video.on_demand = self._demand
        else:
            self.inlet = Track("inlet", ring_packets=2, on_demand=self._demand)
            self._transform = WorkedTrack(
                self.inlet,
                self.video,
                make_worker,
                self._supervisor,
                grace_s=TRANSFORM_GRACE_S,
                worth_making=self.worth_showing,
            )
        self._remake_plain_h264()
        if newest is not None and self._publisher is not None:
            self._publisher.publish(newest.payload, newest.format, newest.pts_ns, newest.received_ns)

    def close(self) -> None:
        """End all derived tracks; whoever publishes is shut out."""
        if self._publisher is not None:
            self._publisher.replace()
            self._publisher = None
        for worked in self._derived.values():
            worked.close()
        self._derived.clear()
        if self._transform is not None:
            self._transform.close()
        # Nothing may keep pictures of a camera that is gone, whoever still holds the stream.
        for track in (self.inlet, self.video, self.native, self.audio):
            track.clear()
        self.on_state.clear()
        self.on_demand = None

    def _demand(self, _: bool) -> None:
        wanted = self.wanted
        if wanted != self._was_wanted:
            self._was_wanted = wanted
            if self.on_demand is not None:
                self.on_demand(wanted)

    def _evict_idle(self) -> None:
        for rendition, worked in tuple(self._derived.items()):
            if len(self._derived) < MOST_RENDITIONS:
                return
            if not worked.out.wanted:
                self._drop_rendition(rendition)

    def _drop_rendition(self, rendition: Rendition) -> None:
        worked = self._derived.pop(rendition, None)
        if worked is not None:
            worked.close()
