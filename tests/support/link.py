"""A link and a viewer at its end, in virtual time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

STEP_S = 0.002


class Link:
    """A queue with a rate: what does not pass at once waits for its turn.

    Args:
        rate: Bytes a second at a time.
        burst_bytes: What passes at once after a pause (a token bucket's depth).
        delay_s: One way, whatever the size.
        jitter_s: Most that is added on the way back: a screen's refresh, Wi-Fi.
    """

    def __init__(
        self,
        rate: Callable[[float], float],
        *,
        burst_bytes: float = 0.0,
        delay_s: float = 0.01,
        jitter_s: float = 0.016,
        seed: int = 1,
    ) -> None:
        self._rate = rate
        self._burst = self._tokens = burst_bytes
        self._delay_s = delay_s
        self._jitter_s = jitter_s
        self._random = random.Random(seed)
        self._queue: deque[list[float]] = deque()
        self._back: deque[tuple[float, int]] = deque()
        self._last_back_s = 0.0

    def send(self, number: int, size: int) -> None:
        """Put a message on its way."""
        self._queue.append([number, size])

    def arrived(self, now_s: float) -> list[int]:
        """Let a moment pass; the numbers of messages whose acknowledgements come back in it."""
        self._tokens += self._rate(now_s) * STEP_S
        while self._queue and self._tokens > 0:
            head = self._queue[0]
            passed = min(head[1], self._tokens)
            head[1] -= passed
            self._tokens -= passed
            if head[1] <= 0:
                self._queue.popleft()
                at = now_s + 2 * self._delay_s + self._random.random() * self._jitter_s
                self._last_back_s = max(self._last_back_s, at)
                self._back.append((self._last_back_s, int(head[0])))
        self._tokens = min(self._tokens, self._burst)
        come = []
        while self._back and self._back[0][0] <= now_s:
            come.append(self._back.popleft()[1])
        return come
