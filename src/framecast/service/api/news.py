"""What a page of the dashboard hasn't heard of events yet: of each the last word, so that nothing piles up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from framecast.service.events.log import EventLog
from framecast.service.store.events import Announcement

MOST = 256
"""Events with news that a page may be behind; the oldest go, and are found in the list."""


class News:
    """One page's.

    Args:
        events: What tells them.
        wake: Called when there is something new.
    """

    def __init__(self, events: EventLog, wake: Callable[[], None]) -> None:
        self._events = events
        self._wake = wake
        self._waiting: OrderedDict[str, Announcement] = OrderedDict()

    def set(self, wanted: bool) -> None:
        """Begin to listen, or end it. Safe to call twice."""
        listeners = self._events.on_announced
        if wanted and self._hear not in listeners:
            listeners.append(self._hear)
        elif not wanted and self._hear in listeners:
            listeners.remove(self._hear)
            self._waiting.clear()

    def take(self) -> list[Announcement]:
        """What is new since the last time, in the order of being told."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def _hear(self, said: Announcement) -> None:
        self._waiting[said.event_id] = said
        self._waiting.move_to_end(said.event_id)
        if len(self._waiting) > MOST:
            self._waiting.popitem(last=False)
        self._wake()
