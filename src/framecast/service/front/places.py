"""How many connections there may be, in all and from one address, and who makes room when they are all taken."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from framecast.core.limits import Quietly
from framecast.service.access.attempts import network_of

log = logging.getLogger("framecast.service.front.places")

_network_of = lru_cache(maxsize=4096)(network_of)

LOCAL = "local"
"""Peer of the control socket's connections, which count and are never turned away."""


class Connection(Protocol):
    """What is counted."""

    peer: str

    @property
    def idle(self) -> bool:
        """Whether nothing was asked over it yet."""

    def evict(self) -> None:
        """Close it, since others need the room."""


class Places:
    """Counts connections, and turns those away that are too many.

    Args:
        most: Most connections at a time.
        most_per_address: Most of them from one address, of IPv6 from one /64.
        most_per_holder: Most of them of one token or account.
        shared: Whether many are behind an address, as behind a trusted proxy: it may then have all there are.

    Attributes:
        taken: Connections open now.
        refused: Connections turned away or evicted so far.
    """

    def __init__(
        self,
        most: int,
        most_per_address: int,
        most_per_holder: int = 1 << 30,
        *,
        shared: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self.taken = 0
        self.refused = 0
        self._most = most
        self._most_per_address = most_per_address
        self._most_per_holder = most_per_holder
        self._shared = shared
        self._open: dict[str, dict[Connection, None]] = {}
        self._fresh: dict[str, dict[Connection, None]] = {}
        self._holders: dict[Connection, str] = {}
        self._held: Counter[str] = Counter()
        self._quietly = Quietly()

    def opened(self, connection: Connection) -> bool:
        """Count a connection in; False when there are too many, and none that is idle could make room."""
        peer = _network_of(connection.peer)
        self.taken += 1
        self._open.setdefault(peer, {})[connection] = None
        self._fresh.setdefault(peer, {})[connection] = None
        if self._has_room(connection) or self._make_room(connection):
            return True
        self.refused += 1
        if self._quietly.due():
            log.warning("too many connections (%d, %d from %s)", self.taken, len(self._open[peer]), peer)
        return False

    def closed(self, connection: Connection) -> None:
        """Count a connection out. Safe to call twice."""
        peer = _network_of(connection.peer)
        if connection not in self._open.get(peer, ()):
            return
        self.taken -= 1
        self._let_go(connection)
        for those in (self._open, self._fresh):
            of_peer = those.get(peer, {})
            of_peer.pop(connection, None)
            if not of_peer:
                those.pop(peer, None)

    def held(self, connection: Connection, holder: str) -> bool:
        """Count an open connection as this holder's from now on; False when those are too many.

        Args:
            holder: `Grant.name`; empty for those without a credential, of whom there may be any number.
        """
        self._let_go(connection)
        if not holder or connection not in self._open.get(_network_of(connection.peer), ()):
            return True
        if self._held[holder] >= self._most_per_holder:
            self.refused += 1
            return False
        self._holders[connection] = holder
        self._held[holder] += 1
        return True

    def _let_go(self, connection: Connection) -> None:
        holder = self._holders.pop(connection, None)
        if holder is not None:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]

    def _has_room(self, connection: Connection) -> bool:
        if connection.peer == LOCAL:
            return True
        if self.taken > self._most:
            return False
        count = len(self._open[_network_of(connection.peer)])
        return count <= self._most_per_address or self._shared(connection.peer)

    def _make_room(self, newcomer: Connection) -> bool:
        """Close the oldest connection over which nothing was asked yet: who only holds places keeps nobody out.

        It is one from the same address, or, when the server is full, from the address that has most of them.
        """
        peer = _network_of(newcomer.peer)
        if len(self._open[peer]) <= self._most_per_address:
            peer = max(self._fresh, key=lambda each: len(self._fresh[each]))
        fresh = self._fresh.get(peer, {})
        while fresh:
            oldest = next(iter(fresh))
            if oldest is newcomer:
                break
            del fresh[oldest]  # it is looked at once: whoever asked for something is not fresh any more
            if oldest.idle:
                self.closed(oldest)
                oldest.evict()
                self.refused += 1
                return True
        return False
