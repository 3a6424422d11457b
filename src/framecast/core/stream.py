"""One camera: its tracks, its state, its viewers. It outlives every connection to the device.

    publisher -> [inlet] -> (transform) -> video -> (workers) -> video/320, …

Without a transform the inlet is the video track itself. Viewers attach to tracks, so a device that reboots, changes
its firmware or is replaced comes back under the same viewers, as a new epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from framecast.core.clock import SYSTEM, Clock
from framecast.core.errors import LimitReached
from framecast.core.meter import Meter
from framecast.core.packet import Format, Packet
from framecast.core.rendition import Rendition
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.core.worker import WorkedTrack, Worker

MOST_RENDITIONS = 8
STALE_S = 10.0
"""A camera that was asleep shows newcomers its last picture only when it is younger than this."""
TRANSFORM_GRACE_S = 2.0
ASK_AGAIN = 256
"""Fewest ids given before a reservation that was not answered is asked for again."""


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


class FrameIds:
    """Frame ids that rise by one and go on rising when the server restarts.

    Ids are reserved in blocks on disk before they are used, so that a power cut skips ids and never repeats one.

    Args:
        first: The first id to give.
        reserved: The first id that is not reserved.
        reserve: Called when half of what was reserved is used; answers by calling `extend`, soon. Called again, as
            what is left shrinks, for as long as it does not answer (the disk is full).
    """

    def __init__(
        self, first: int = 1, reserved: int = 1 << 62, reserve: Callable[[FrameIds], None] | None = None
    ) -> None:
        self.next = first
        self._reserve = reserve
        self._reserved = reserved
        self.extend(reserved)

    def extend(self, reserved: int) -> None:
        """Everything below ``reserved`` may now be given."""
        self._reserved = max(reserved, self._reserved)
        self._ask_at = self.next + (self._reserved - self.next) // 2

    def take(self) -> int:
        """The next id."""
        frame_id = self.next
        self.next = frame_id + 1
        if frame_id >= self._ask_at and self._reserve is not None:
            self._ask_at = frame_id + max((self._reserved - frame_id) // 2, ASK_AGAIN)
            self._reserve(self)
        return frame_id


class Publisher:
    """The right to publish one camera's pictures, held by one connection at a time.

    A new epoch begins with its first picture (not before: a camera that is tried in vain has not restarted).

    Attributes:
        closed: Whether another publisher has taken over, or this one was closed.
    """

    def __init__(self, stream: Stream, name: str, on_replaced: Callable[[], None] | None) -> None:
        self.name = name
        self.closed = False
        self._stream = stream
        self._on_replaced = on_replaced
        self._last_pts_ns = 0
        self._epoch = 0

    def new_epoch(self) -> None:
        """The device has restarted: its clock begins anew."""
        self._epoch = self._stream.begin_epoch()
        self._last_pts_ns = 0

    def publish(
        self, payload: bytes, form: Format, pts_ns: int, received_ns: int, *, key: bool = True
    ) -> Packet | None:
        """Give one picture to everyone; None when this publisher was replaced.

        Stamps that do not rise within the epoch are pushed on by a microsecond.
        """
        if self.closed:
            return None
        if pts_ns <= self._last_pts_ns:
            pts_ns = self._last_pts_ns + 1_000
        self._last_pts_ns = pts_ns
        stream = self._stream
        if not self._epoch:
            self._epoch = stream.begin_epoch()
        packet = Packet(payload, form, stream.frame_ids.take(), stream.published, self._epoch, pts_ns, received_ns, key)
        stream.published += 1
        stream.meter.add(len(payload), received_ns)
        stream.inlet.publish(packet)
        return packet

    def close(self) -> None:
        """Give the right back. Safe to call twice."""
        self.closed = True
        self._stream.publisher_closed(self)

    def replace(self) -> None:
        """Another one takes over."""
        self.closed = True
        if self._on_replaced is not None:
            self._on_replaced()


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
        state: What the camera is doing; `reason` says why, in words.
        refused: Pictures refused or lost, by cause.
        quirks: What the firmware does oddly, by code.
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
        self.state = State.IDLE
        self.reason = ""
        self.state_since_ns = clock.now_ns()
        self.epoch = 0
        self.published = 0
        self.meter = Meter()
        self.refused: Counter[str] = Counter()
        self.quirks: Counter[str] = Counter()
        self.drops = 0
        self.viewers: dict[int, Viewer] = {}
        self.on_state: list[Callable[[Stream], None]] = []
        self.on_demand: Callable[[bool], None] | None = None
        self._supervisor = supervisor
        self._make_worker = make_worker
        self._grace_s = rendition_grace_s
        self._derived: dict[Rendition, WorkedTrack] = {}
        self._transform: WorkedTrack | None = None
        self._publisher: Publisher | None = None
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

    def set_state(self, state: State, reason: str = "") -> None:
        """Enter a state; listeners are told when it, or the reason, is another one."""
        if state is self.state and reason == self.reason:
            return
        if state is not self.state:
            self.state_since_ns = self.clock.now_ns()
        self.state = state
        self.reason = reason
        for listener in tuple(self.on_state):
            listener(self)

    # The viewers' side.

    @property
    def wanted(self) -> bool:
        """Whether anybody is attached to anything of this camera."""
        return self.video.wanted

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
        """Count a viewer out; its drops stay in the sum. Safe to call twice."""
        if self.viewers.pop(viewer.number, None) is not None:
            self.drops += viewer.drops

    def check(self, rendition: Rendition) -> None:
        """See whether ``rendition`` can be had now; nothing is made for it.

        Raises:
            LimitReached: Eight different renditions of this camera are being watched already.
        """
        if rendition.is_source or rendition in self._derived:
            return
        if self._make_worker is None:
            raise LimitReached("this camera's pictures can't be changed here", 0)
        watched = [each.name for each, worked in self._derived.items() if worked.out.wanted]
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
            make_worker = self._make_worker
            assert make_worker is not None
            worked = WorkedTrack(
                self.video,
                Track(rendition.name, ring_packets=2),
                lambda: make_worker(rendition),
                self._supervisor,
                grace_s=self._grace_s,
                worth_making=self.worth_showing,
                on_idle=lambda: self._drop_rendition(rendition),
            )
            self._derived[rendition] = worked
        return worked.out

    @property
    def renditions(self) -> list[str]:
        """Names of the renditions that exist now."""
        return [each.name for each in self._derived]

    def set_transform(self, make_worker: Callable[[], Worker] | None) -> None:
        """Put a transform (turning, masks) before what everybody sees, or take it away.

        Pictures from before the change are forgotten: a mask must not leave the unmasked one on anybody's screen.
        """
        if self._transform is not None:
            self._transform.close()
            self._transform = None
        self.video.clear()
        for worked in self._derived.values():
            worked.restart()
            worked.out.clear()
        if make_worker is None:
            self.inlet = self.video
            self.video.on_demand = self._demand
            return
        self.inlet = Track("inlet", ring_packets=2, on_demand=self._demand)
        self._transform = WorkedTrack(
            self.inlet,
            self.video,
            make_worker,
            self._supervisor,
            grace_s=TRANSFORM_GRACE_S,
            worth_making=self.worth_showing,
        )

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
        self.inlet.clear()
        self.video.clear()
        self.on_state.clear()
        self.on_demand = None

    def _demand(self, wanted: bool) -> None:
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
