"""Frame ids that are never given twice."""

from __future__ import annotations

from collections.abc import Callable

ASK_AGAIN = 256
"""Fewest ids given before a reservation that was not answered is asked for again."""


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
