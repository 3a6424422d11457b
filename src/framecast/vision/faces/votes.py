"""Whose face a track's is: decided by votes over pictures, so that one bad look changes no name."""

from __future__ import annotations

from collections import Counter, deque

WINDOW = 12
"""Votes that count, the latest."""
NAMED_BY = 2
"""Votes for a name, and half of all, until it is given."""
UNKNOWN_BY = 3
"""Votes for nobody until it is said that somebody is unknown."""
OUSTED_BY = 2
"""Votes by which another name has to lead."""
KNOWN_BY = 3
"""Votes for a name that make somebody known who was said to be unknown: faces are first seen from afar, or half."""
STRANGER_BY = 8
"""Votes in a row for nobody until a name is taken back."""
NOBODY = 0


class Votes:
    """The votes about one track. A vote is somebody's number, or `NOBODY`.

    Attributes:
        decided: Whose face it is; `NOBODY` of a stranger; None while it is open.
    """

    def __init__(self) -> None:
        self.decided: int | None = None
        self._cast: deque[int] = deque(maxlen=WINDOW)
        self._unnamed: set[int] = {NOBODY}

    @property
    def doubtful(self) -> bool:
        """Whether it is open, or the last vote was another one."""
        return self.decided is None or not self._cast or self._cast[-1] != self.decided

    def cast(self, who: int, *, named: bool = True) -> None:
        """Count a vote.

        Args:
            who: For whom.
            named: Whether that one has a name.
        """
        self._cast.append(who)
        if not named:
            self._unnamed.add(who)
        tally = Counter(each for each in self._cast if each != NOBODY)
        leader, votes = tally.most_common(1)[0] if tally else (NOBODY, 0)
        name, for_name = self._leading_name()
        if self.decided in self._unnamed and for_name >= KNOWN_BY:
            self.decided = name
        elif self.decided:
            if list(self._cast)[-STRANGER_BY:] == [NOBODY] * STRANGER_BY:
                self.decided = NOBODY
            elif leader != self.decided and votes >= tally[self.decided] + OUSTED_BY:
                self.decided = leader
        elif votes >= NAMED_BY and votes * 2 >= len(self._cast):
            self.decided = leader
        elif self._cast.count(NOBODY) >= UNKNOWN_BY:
            self.decided = NOBODY

    def _leading_name(self) -> tuple[int, int]:
        named = Counter(each for each in self._cast if each not in self._unnamed)
        return named.most_common(1)[0] if named else (NOBODY, 0)

    def adopt(self, who: int) -> None:
        """A stranger got a number: what was cast for nobody was for this one."""
        self._unnamed.add(who)
        self._cast = deque((each or who for each in self._cast), maxlen=WINDOW)
        self.decided = who

    def forget(self, who: int) -> None:
        """Nobody is called so any more."""
        self._cast = deque((each for each in self._cast if each != who), maxlen=WINDOW)
        if self.decided == who:
            self.decided = None

    @property
    def strength(self) -> int:
        """Votes for who is decided."""
        return self._cast.count(self.decided) if self.decided is not None else 0

    @property
    def voted_for(self) -> frozenset[int]:
        """All who have a vote."""
        return frozenset(self._cast) - {NOBODY}
