"""From a device's own stamps to capture times in the server's clock.

Theory of operation. A frame captured at device time ``s`` arrives at ``r = s + offset + latency``, in the server's
clock. Neither offset nor latency is known, but latency is one-sided: never below what an idle network takes. So the
smallest ``delay = r - s`` of the last minute is the best guess at the offset, and what a frame is above it is how long
it was under way. The device's crystal is off by up to some 200 ppm, hence delays lie above a slowly tilted line rather
than a level one. The smallest delay of every two seconds is kept; of these points the lower convex hull is taken, and
its edge below the mean is the line (the fit of Moon, Skelly and Towsley, INFOCOM 1999). A frame below the line lowers
it at once, so a capture time is never later than the arrival.

Stamps that make no sense are not trusted at once: a frame gets its arrival time until three stamps in a row agree with
each other; then the line starts anew there. One case is plain at first sight: an uptime that went back, and is no
longer than the time since the last frame, is a device that has started again: a new epoch.

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

US_NS = 1_000
S_NS = 1_000_000_000

UNIX_FROM_S = 946_684_800.0
"""Stamps from here on (the year 2000) are Unix time, below it uptime: no camera runs for thirty years."""

BUCKET_NS = 2 * S_NS
"""One smallest delay is kept for each of these spans of device time."""

BUCKETS = 30
"""So the line rests on the last minute: 200 ppm are 12 ms in that time, and a change of route is forgotten after it."""

FIT_FROM_NS = 10 * S_NS
"""A drift is fitted once the points lie this far apart; before that it does too little to matter (2 ms at 200 ppm)."""

MAX_DRIFT = 500e-6
"""Crystals and resonators of such devices stay below; a steeper line comes from a changing latency."""

EARLY_NS = S_NS
"""A stamp this much ahead of a settled line is a leap of the device's clock."""

LATE_NS = 10 * S_NS
"""A frame is never this long under way (the longest stall measured that recovers was 4.4 s): the stamp is wrong."""

AGREE_NS = S_NS
"""Odd stamps whose delays differ by less come from one and the same clock."""

CONFIRM = 3
"""Odd stamps in a row that must agree before they are believed."""

BOOT_SLACK_NS = 5 * S_NS
"""An uptime may exceed the time since the last frame by this much and still mean that the device started again."""

AWAKE_NS = 15 * S_NS
"""An uptime that is shorter, so long after the last frame: the device has slept since, though it may have been awake
for as long or longer than it was at the last one."""

GAP_NS = BUCKET_NS * BUCKETS
"""After a pause this long the old points say nothing about today's latency."""

SETTLED_FRAMES = 10
"""A line counts as settled after so many frames; before, an early frame only shows that the ones before were late."""

OLD_BUFFER_NS = 5 * S_NS
"""A picture captured this soon after the last one, and read much later, waited in the device's buffer meanwhile."""

DULL = 6
"""Where repeated stamps outweigh rising ones (two points against one), up to this many points, stamps are ignored."""

WRAPS_NS = ((1 << 32) * 1_000_000, (1 << 32) * US_NS)
"""32-bit counters of milliseconds (49.7 days) and of microseconds (71.6 minutes) start again at 0."""

_NO_QUIRKS: tuple[str, ...] = ()


class Capture(NamedTuple):
    """When a frame was captured.

    Attributes:
        pts_ns: Unix ns of the server's clock, at least 1 µs after the frame before, and not after the arrival
            (but for that microsecond, where several frames share one arrival time).
        new_epoch: The device has started again since the last frame.
        quirks: Codes to count (docs/devices.md): ``no_timestamp`` and ``uptime_timestamp`` once an epoch,
            ``timestamp_jumped`` once for each leap.
    """

    pts_ns: int
    new_epoch: bool = False
    quirks: tuple[str, ...] = _NO_QUIRKS


class CaptureClock:
    """Maps the stamps of one device. Keep it over reconnects: it knows the device's clock by then."""

    def __init__(self) -> None:
        self._pts_ns = 0
        self._last_received_ns = 0
        self._last_stamp_ns: int | None = None
        self._unit = 0.0
        self._wrapped_ns = 0
        self._dull = 0
        self._ignoring = False
        self._told: set[str] = set()
        # The line: delay = _line_ns + _drift * (stamp - _origin_ns).
        self._line_ns = 0.0
        self._drift = 0.0
        self._origin_ns = 0
        self._frames = 0
        self._points: deque[tuple[int, int]] = deque(maxlen=BUCKETS)
        self._bucket_end_ns = 0
        self._lowest: tuple[int, int] = (0, 0)
        # A run of stamps that don't fit.
        self._odd = 0
        self._odd_delay_ns = 0

    @property
    def drift_ppm(self) -> float:
        """How much the device's clock is slow (positive) or fast, in millionths; 0 until it is known."""
        return self._drift * 1e6

    def map(self, received_ns: int, stamp_s: float | None) -> Capture:
        """When the frame was captured.

        Args:
            received_ns: When its last byte came, Unix ns of the server's clock; never falling.
            stamp_s: The device's stamp: seconds of uptime or Unix time. Milliseconds and microseconds are
                recognised where their size or pace gives them away.
        """
        if stamp_s is None or not 0.0 <= stamp_s < 1e18:
            return Capture(self._arrival(received_ns), False, self._once("no_timestamp"))
        last_ns = self._last_stamp_ns
        if last_ns is None:
            return self._first(received_ns, stamp_s)
        stamp_ns = int(stamp_s * self._unit) + self._wrapped_ns
        if received_ns - self._last_received_ns > AWAKE_NS and last_ns <= stamp_ns < AWAKE_NS:
            return self._reboot(received_ns, stamp_ns)
        if stamp_ns == last_ns:
            return self._repeated(received_ns)
        delay_ns = received_ns - stamp_ns
        late_ns = delay_ns - self._line_ns - self._drift * (stamp_ns - self._origin_ns)
        if stamp_ns < last_ns or late_ns > LATE_NS or late_ns < -EARLY_NS:
            return self._misfit(received_ns, stamp_ns, stamp_s, late_ns)
        self._last_stamp_ns = stamp_ns
        self._odd = 0
        if received_ns - self._last_received_ns > GAP_NS:
            self._start_line(stamp_ns, delay_ns)
            late_ns = 0.0
        else:
            self._frames += 1
            if late_ns < 0.0:
                self._line_ns += late_ns
                late_ns = 0.0
            if delay_ns < self._lowest[1]:
                self._lowest = (stamp_ns, delay_ns)
            if stamp_ns >= self._bucket_end_ns:
                self._close_bucket(stamp_ns, delay_ns)
        if self._dull:
            self._dull -= 1
            if self._ignoring:
                self._ignoring = self._dull > 0
                return Capture(self._arrival(received_ns))
        self._last_received_ns = received_ns
        pts_ns = received_ns - int(late_ns)
        if pts_ns < self._pts_ns + US_NS:
            pts_ns = self._pts_ns + US_NS
        self._pts_ns = pts_ns
        return Capture(pts_ns)

    def at(self, stamp_s: float) -> int | None:
        """When something else was captured that the same clock stamped (sound), Unix ns of the server's clock.

        Nothing is learned from it. None while the stamps of the pictures tell nothing.

        Args:
            stamp_s: In the unit of the pictures' stamps.
        """
        if self._last_stamp_ns is None or self._ignoring or not 0.0 <= stamp_s < 1e18:
            return None
        stamp_ns = int(stamp_s * self._unit) + self._wrapped_ns
        return stamp_ns + int(self._line_ns + self._drift * (stamp_ns - self._origin_ns))

    def _arrival(self, received_ns: int) -> int:
        self._last_received_ns = received_ns
        self._pts_ns = max(received_ns, self._pts_ns + US_NS)
        return self._pts_ns

    def _once(self, *codes: str) -> tuple[str, ...]:
        fresh = tuple(code for code in codes if code not in self._told)
        self._told.update(fresh)
        return fresh

    def _first(self, received_ns: int, stamp_s: float) -> Capture:
        self._unit = _unit(stamp_s)
        stamp_ns = int(stamp_s * self._unit)
        self._last_stamp_ns = stamp_ns
        self._drift = 0.0
        self._start_line(stamp_ns, received_ns - stamp_ns)
        return Capture(self._arrival(received_ns), False, self._kind(stamp_ns))

    def _kind(self, stamp_ns: int) -> tuple[str, ...]:
        return _NO_QUIRKS if _is_unix(stamp_ns) else self._once("uptime_timestamp")

    def _repeated(self, received_ns: int) -> Capture:
        """The stamp of the frame before: the same moment, unless that is all this device ever sends."""
        self._dull = min(self._dull + 2, DULL)
        if self._dull < DULL and not self._ignoring:
            self._last_received_ns = received_ns
            self._pts_ns += US_NS
            return Capture(self._pts_ns)
        self._ignoring = True
        return Capture(self._arrival(received_ns), False, self._once("no_timestamp"))

    def _misfit(self, received_ns: int, stamp_ns: int, stamp_s: float, late_ns: float) -> Capture:
        """A stamp that the line doesn't explain: another unit, a wrapped counter, a reboot, a leap, or nonsense."""
        last_ns = self._last_stamp_ns
        assert last_ns is not None
        passed_ns = received_ns - self._last_received_ns
        raw_ns = stamp_ns - self._wrapped_ns
        if stamp_ns < last_ns:
            for wrap_ns in WRAPS_NS:
                if abs(stamp_ns + wrap_ns - last_ns - passed_ns) < AGREE_NS:
                    self._wrapped_ns += wrap_ns
                    wrapped = self.map(received_ns, stamp_s)
                    return wrapped._replace(quirks=("timestamp_jumped", *wrapped.quirks))
            if not _is_unix(raw_ns) and raw_ns <= passed_ns + BOOT_SLACK_NS:
                return self._reboot(received_ns, raw_ns)
        elif late_ns < 0 and self._frames < SETTLED_FRAMES:
            # What came before was late (pictures from an old buffer), or the unit is another.
            if self._frames == 1 and self._is_milliseconds(stamp_ns - last_ns, passed_ns, stamp_s):
                self._unit = 1e6
                stamp_ns = int(stamp_s * self._unit)
            return self._restart(received_ns, stamp_ns)
        elif passed_ns > GAP_NS and abs(late_ns) < EARLY_NS + MAX_DRIFT * passed_ns:
            return self._restart(received_ns, stamp_ns)
        return self._odd_one(received_ns, stamp_ns, late_ns)

    def _is_milliseconds(self, step_ns: int, passed_ns: int, stamp_s: float) -> bool:
        return self._unit == S_NS and stamp_s % 1 == 0 and 0.25 < step_ns / 1000 / max(passed_ns, 1) < 4

    def _odd_one(self, received_ns: int, stamp_ns: int, late_ns: float) -> Capture:
        """Not believed yet: the frame gets its arrival time, unless it just lay in the device since the last one."""
        last_ns = self._last_stamp_ns
        assert last_ns is not None
        # The time of the last good frame stays as it is, so that an uptime can be held against it.
        good_ns = self._last_received_ns
        delay_ns = received_ns - stamp_ns
        quirks = _NO_QUIRKS
        if self._odd and abs(delay_ns - self._odd_delay_ns) < AGREE_NS:
            self._odd += 1
            if self._odd >= CONFIRM:
                return self._believe(received_ns, stamp_ns)
        elif self._odd:
            # Random stamps are one long run, counted where it began.
            self._odd = 1
        else:
            self._odd = 1
            if 0 < stamp_ns - last_ns < OLD_BUFFER_NS and late_ns > LATE_NS:
                self._pts_ns = max(received_ns - int(late_ns), self._pts_ns + US_NS)
                self._odd_delay_ns = delay_ns
                return Capture(self._pts_ns)
            quirks = ("timestamp_jumped",)
        self._odd_delay_ns = delay_ns
        pts_ns = self._arrival(received_ns)
        self._last_received_ns = good_ns
        return Capture(pts_ns, False, quirks)

    def _believe(self, received_ns: int, stamp_ns: int) -> Capture:
        """Enough odd stamps agree. An uptime that went back is a reboot, and so is one that fits into the pause."""
        last_ns = self._last_stamp_ns
        assert last_ns is not None
        raw_ns = stamp_ns - self._wrapped_ns
        if not _is_unix(raw_ns):
            passed_ns = received_ns - self._last_received_ns
            behind = received_ns - stamp_ns > self._line_ns + LATE_NS
            if stamp_ns < last_ns or (behind and raw_ns <= passed_ns + BOOT_SLACK_NS):
                return self._reboot(received_ns, raw_ns)
        return self._restart(received_ns, stamp_ns)

    def _restart(self, received_ns: int, stamp_ns: int) -> Capture:
        """The same device, another line."""
        self._last_stamp_ns = stamp_ns
        self._odd = 0
        self._start_line(stamp_ns, received_ns - stamp_ns)
        return Capture(self._arrival(received_ns))

    def _reboot(self, received_ns: int, stamp_ns: int) -> Capture:
        self._last_stamp_ns = stamp_ns
        self._wrapped_ns = 0
        self._odd = 0
        self._dull = 0
        self._ignoring = False
        self._told.clear()
        # The crystal is the same one: its drift is kept.
        self._start_line(stamp_ns, received_ns - stamp_ns)
        return Capture(self._arrival(received_ns), True, self._kind(stamp_ns))

    def _start_line(self, stamp_ns: int, delay_ns: int) -> None:
        self._points.clear()
        self._lowest = (stamp_ns, delay_ns)
        self._bucket_end_ns = stamp_ns + BUCKET_NS
        self._line_ns = float(delay_ns)
        self._origin_ns = stamp_ns
        self._frames = 1

    def _close_bucket(self, stamp_ns: int, delay_ns: int) -> None:
        points = self._points
        points.append(self._lowest)
        while points[0][0] < stamp_ns - GAP_NS:
            points.popleft()
        if points[-1][0] - points[0][0] >= FIT_FROM_NS:
            self._drift = min(max(_slope(list(points)), -MAX_DRIFT), MAX_DRIFT)
        self._origin_ns = stamp_ns
        drift = self._drift
        lowest_ns = min(delay - drift * (stamp - stamp_ns) for stamp, delay in points)
        self._line_ns = min(lowest_ns, float(delay_ns))
        self._lowest = (stamp_ns, delay_ns)
        self._bucket_end_ns = stamp_ns + BUCKET_NS


def _is_unix(stamp_ns: int) -> bool:
    return stamp_ns >= UNIX_FROM_S * S_NS


def _unit(stamp: float) -> float:
    """Nanoseconds in one unit of a stamp, by its size: Unix time in seconds, ms or µs; else seconds."""
    if stamp >= UNIX_FROM_S * 1e6:
        return 1e3
    if stamp >= UNIX_FROM_S * 1e3:
        return 1e6
    return 1e9


def _slope(points: list[tuple[int, int]]) -> float:
    """Slope of the lower hull's edge below the points' mean; points sorted by their first number."""
    hull: list[tuple[int, int]] = []
    for x, y in points:
        while len(hull) >= 2:
            (x0, y0), (x1, y1) = hull[-2], hull[-1]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append((x, y))
    mean = sum(x for x, _ in points) / len(points)
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x1 >= mean:
            return (y1 - y0) / (x1 - x0)
    return 0.0
