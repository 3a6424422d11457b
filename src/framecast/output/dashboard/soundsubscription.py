"""One page's interest in one camera's sound, beside its pictures.

Sound is not acknowledged; but when pictures sent a while ago have not been shown, the sound that was sent since
has not been heard either, and the next waits, 0.4 s of it at most: then the oldest goes. So where a link can't carry
both, it is the sound that has gaps: PCM takes as much as several of the lower levels of pictures. MP4 has it smaller.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from framecast.core.packet import Packet
from framecast.core.seat import GONE
from framecast.core.track import Track
from framecast.output.dashboard.channel import Channel
from framecast.output.dashboard.page import Page
from framecast.output.dashboard.subscription import Subscription

MOST_SOUND_S = 0.4
LATE_S = 0.25
"""So much later than the quickest picture another one may be before the sound waits."""
MOST_DELAY_S = 1.0


class SoundSubscription:
    """One page's interest in a camera's sound, beside its pictures.

    Args:
        page: The socket.
        pictures: The page's interest in the pictures of the same camera.

    Attributes:
        sent: Blocks written.
        drops: Blocks lost because more than `MOST_SOUND_S` of them waited.
    """

    def __init__(self, page: Page, pictures: Subscription, *, now: Callable[[], float] = time.monotonic) -> None:
        self.channel: Channel | None = None
        self.sent = 0
        self.drops = 0
        self._page = page
        self._pictures = pictures
        self._now = now
        self._waiting: deque[Packet] = deque()
        self._waiting_s = 0.0

    def begin(self, track: Track) -> None:
        """Sound begins with the next block: what was said before is not heard now."""

    def offer(self, packet: Packet) -> None:
        """Send ``packet`` after those that wait; beyond `MOST_SOUND_S` of them the oldest go."""
        self._waiting.append(packet)
        self._waiting_s += duration_s(packet)
        self.pump()
        while self._waiting_s > MOST_SOUND_S and len(self._waiting) > 1:
            self._waiting_s -= duration_s(self._waiting.popleft())
            self.drops += 1

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._waiting_s = 0.0

    def leave(self) -> None:
        """Give it up. Safe to call twice."""
        self._page.forget(self)
        if self.channel is not None:
            self.channel.remove(self)

    def pump(self) -> None:
        """Send what waits, while there is room."""
        while self._waiting and self.channel is not None:
            late_s = self._pictures.late_s(self._now())
            if late_s > LATE_S and late_s > LATE_S + min(self._pictures.least_delay_s, MOST_DELAY_S):
                return
            if self._page.full:
                self._page.hold(self)
                return
            packet = self._waiting.popleft()
            self._waiting_s = self._waiting_s - duration_s(packet) if self._waiting else 0.0
            message = self.channel.message(packet)
            try:
                self._page.write(message)
            except GONE:
                self.leave()
                return
            self.sent += 1
            self._pictures.beside(len(message))
            self._pictures.viewer.count(size_bytes=len(message))


def duration_s(packet: Packet) -> float:
    """How long a block of s16le sounds."""
    form = packet.format
    return len(packet.payload) / (2 * max(form.channels, 1) * max(form.sample_rate_hz, 1))
