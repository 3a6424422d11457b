"""Whose turn it is with what knows faces: one at a time, and no camera waits for a photo.

Theory of operation. To look for a face in all of a photo takes dlib up to seconds. A camera that waited for that would
keep every other one waiting, too, for they share the threads that look. So the look at a picture that comes meanwhile
does without faces; that is noted, and before the photo's next step there is a pause as long as the step took, for the
looks to come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

LONGEST_PAUSE_S = 1.0
"""Between the steps of a photo."""


class Turns:
    """For any thread.

    Args:
        clock: In s.
        pause: Waits for so many s.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._changed = threading.Condition()
        self._whose: Literal["", "look", "photo"] = ""
        self._took_s = 0.0
        self._was_refused = False
        self._is_over = False

    @contextmanager
    def look(self) -> Iterator[bool]:
        """A turn for a camera's picture, after those of other cameras; False, at once, while a photo has its own."""
        with self._changed:
            self._changed.wait_for(lambda: self._whose != "look")
            is_given = not self._whose and not self._is_over
            if is_given:
                self._whose = "look"
            else:
                self._was_refused = True
        try:
            yield is_given
        finally:
            if is_given:
                self._end()

    @contextmanager
    def photo(self) -> Iterator[None]:
        """A turn for one step of a photo, or for what else may take its time, after all who have one.

        Raises:
            FacesUnavailable: There are no more turns.
        """
        with self._changed:
            pause_s = min(self._took_s, LONGEST_PAUSE_S) if self._was_refused else 0.0
            self._was_refused = False
        if pause_s:
            self._pause(pause_s)
        with self._changed:
            self._changed.wait_for(lambda: not self._whose)
            if self._is_over:
                from framecast.vision.faces.face import FacesUnavailable

                raise FacesUnavailable("the server is about to stop")
            self._whose = "photo"
        began_s = self._clock()
        try:
            yield
        finally:
            self._took_s = self._clock() - began_s
            self._end()

    def close(self) -> None:
        """Give none any more; the last one's end is waited for."""
        with self._changed:
            self._is_over = True
            self._changed.wait_for(lambda: not self._whose)

    def _end(self) -> None:
        with self._changed:
            self._whose = ""
            self._changed.notify_all()
