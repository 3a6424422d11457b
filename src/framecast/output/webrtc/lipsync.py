"""How long pictures wait for the sound that belongs to them, before both go to a WebRTC peer.

Sound comes later than pictures do: devices send it in blocks, and only a whole one says what it began with. A browser
puts the two in step by and by, some twenty milliseconds a second, so whoever joins hears everything late for a while.
Here both leave in the order of capture, each as long after it as sound needs: in step from the beginning, and sound at
an even pace, for which browsers keep less in store.
"""

from __future__ import annotations

MOST_NS = 300_000_000
"""Sound that is later than this is not waited for."""
STORE_NS = 50_000_000
"""What a browser keeps of sound in store, and not of pictures: these wait as much longer."""
EASE = 100
"""The wait is eased by one part in so many of the time that passes: too little to hear."""
SILENCE_NS = 2_000_000_000
"""After so long without sound there is nothing to wait for."""


class Hold:
    """The wait of one camera's pictures and sound. All times in Unix ns of the stream's clock."""

    def __init__(self) -> None:
        self._wait_ns = 0
        self._heard_ns = 0

    def note(self, pts_ns: int, now_ns: int) -> None:
        """Sound of this capture time came now."""
        eased = self._wait_ns - max(0, now_ns - self._heard_ns) // EASE
        late_ns = now_ns - pts_ns
        self._wait_ns = max(0, eased, late_ns if late_ns <= MOST_NS else 0)
        self._heard_ns = now_ns

    def wait_ns(self, now_ns: int, *, is_sound: bool) -> int:
        """How long after its capture a picture or a sound is to leave; 0 where there is no sound."""
        if now_ns - self._heard_ns >= SILENCE_NS:
            return 0
        return self._wait_ns if is_sound else self._wait_ns + STORE_NS
