"""Where the stages of all cameras look up who is known, and leave word of whom they saw.

Standard library only: what works with vectors is made where a picture is looked at.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from framecast.vision.faces.people import Circle, Likeness, News, Sample, Stranger

if TYPE_CHECKING:
    from framecast.vision.faces.face import Embedder
    from framecast.vision.faces.known import Known

MOST_NEWS = 200
"""New strangers that wait to be kept; more are forgotten."""


class Register:
    """For any thread.

    Attributes:
        circle: Who is known, as kept; replaced as a whole.
    """

    def __init__(self) -> None:
        self.circle = Circle()
        self._lock = threading.Lock()
        self._fresh: dict[int, Stranger] = {}
        self._news = News()
        self._taken = News()
        self._spells: Counter[str] = Counter()
        self._next = 1
        self._known: dict[str, tuple[int, Known]] = {}
        self._changes = 0

    def hold(self, circle: Circle, next_number: int) -> None:
        """Know these from now on, and the strangers of whom the gallery has not heard yet.

        Args:
            next_number: The first that nobody has, as far as the gallery knows.
        """
        with self._lock:
            self.circle = circle
            self._next = max(self._next, next_number)
            waiting = {each.number for each in self._news.strangers}
            self._fresh = {number: each for number, each in self._fresh.items() if number in waiting}
            self._changes += 1

    def take_number(self) -> int:
        """A number that nobody has."""
        with self._lock:
            return self._take_number()

    def _take_number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def name_of(self, number: int) -> str:
        """The name of somebody; empty of an unknown face, or of nobody."""
        return self.circle.names.get(number, "")

    @property
    def unknown(self) -> frozenset[int]:
        """Numbers of all unknown faces."""
        with self._lock:
            return self.circle.unknown | self._fresh.keys()

    def holds(self, number: int) -> bool:
        """Whether there is somebody of this number, named or not."""
        return number in self.circle.names or number in self.unknown

    def known(self, embedder: Embedder) -> Known:
        """All that can be compared with what this embedder makes."""
        from framecast.vision.faces.known import Known

        with self._lock:
            kept = self._known.get(embedder.name)
            if kept is None or kept[0] != self._changes:
                fresh = [
                    Likeness(stranger.number, sample.model, sample.vector)
                    for stranger in self._fresh.values()
                    for sample in stranger.samples
                ]
                known = Known(embedder.name, [*self.circle.likenesses, *fresh])
                kept = self._known[embedder.name] = self._changes, known
            return kept[1]

    # What the stages saw

    def spell_of(self, camera: str) -> int:
        """Which spell of a camera's pictures this is; `forget_pictures` ends one."""
        with self._lock:
            return self._spells[camera]

    def forget_pictures(self, camera: str) -> None:
        """Keep nothing of what this camera has shown so far, and of looks that are under way, beyond what is kept."""
        with self._lock:
            self._spells[camera] += 1
            # Those that were taken may just be on their way to the disk: they are dropped there by the next news.
            taken = {each.number for each in self._taken.strangers if each.camera == camera}
            gone = taken | {each.number for each in self._news.strangers if each.camera == camera}
            self._news.strangers = [each for each in self._news.strangers if each.number not in gone]
            self._news.dropped |= taken
            for number in gone:
                self._fresh.pop(number, None)
                self._news.seen.pop(number, None)
            self._changes += 1

    def add_stranger(self, samples: tuple[Sample, ...], camera: str, spell: int = 0) -> int:
        """The number of a face that was never seen before.

        Args:
            spell: Of the camera's pictures, from which the samples are.

        Returns:
            0 when too many wait to be kept, or nothing of this spell may be.
        """
        with self._lock:
            if len(self._news.strangers) >= MOST_NEWS or spell != self._spells[camera]:
                return 0
            stranger = Stranger(self._take_number(), camera, samples)
            self._fresh[stranger.number] = stranger
            self._news.strangers.append(stranger)
            self._changes += 1
            return stranger.number

    def drop_stranger(self, number: int) -> None:
        """It was somebody known after all."""
        with self._lock:
            self._fresh.pop(number, None)
            before = len(self._news.strangers)
            self._news.strangers = [each for each in self._news.strangers if each.number != number]
            if len(self._news.strangers) == before:
                self._news.dropped.add(number)
            self._news.seen.pop(number, None)
            self._changes += 1

    def saw(self, number: int, camera: str) -> None:
        """Somebody was seen."""
        with self._lock:
            times, _ = self._news.seen.get(number, (0, ""))
            self._news.seen[number] = (times + 1, camera)

    def take_news(self) -> News:
        """What was seen since the last time."""
        with self._lock:
            news, self._news = self._news, News()
            self._taken = news
            return news

    def give_back(self, news: News) -> None:
        """It could not be kept: what `take_news` gave is to be had again, with what came since."""
        with self._lock:
            later = self._news
            gone = news.dropped | later.dropped
            strangers = [each for each in (*news.strangers, *later.strangers) if each.number not in gone]
            for each in strangers[MOST_NEWS:]:
                self._fresh.pop(each.number, None)
            seen = dict(news.seen)
            for number, (times, camera) in later.seen.items():
                seen[number] = (seen.get(number, (0, ""))[0] + times, camera)
            self._news = News(strangers[:MOST_NEWS], gone, {who: how for who, how in seen.items() if who not in gone})
            self._changes += 1
