"""How much one address, and one holder of a credential, may ask for and send in a time.

Two things are measured, each for the address and for the holder:

    requests    all but those by which a device that may hands in something: one by one, before anything of them is done
    bytes       everything that comes in over a connection: once a second, so that nothing is done for each piece of it

Who sends too many bytes is told so at the next request, and a WebSocket that brings them is cut. Pictures are not
counted one by one: how many of them a camera takes is its own limit (``limits.max_fps_per_camera``).
"""

from __future__ import annotations

import logging
from functools import lru_cache

from framecast.core.limits import Quietly
from framecast.service.access.attempts import Buckets, Pace, network_of

log = logging.getLogger("framecast.service.front.rates")

BYTES_BURST_S = 5.0
"""So many seconds' worth of bytes may come at once."""
SWEEP_S = 1.0

_network_of = lru_cache(maxsize=4096)(network_of)


class Rates:
    """Counts requests and bytes.

    Args:
        requests_per_s: Of one address, and of one holder, in the long run; 0 for any number.
        requests_burst: So many may come at once.
        bytes_per_s: From one address, and from one holder, in the long run; 0 for any number.

    Attributes:
        refused: Requests that were turned away so far.
    """

    def __init__(self, requests_per_s: float = 0.0, requests_burst: int = 1, bytes_per_s: int = 0) -> None:
        self.refused = 0
        self._requests = Buckets(Pace(requests_burst, 1 / requests_per_s)) if requests_per_s else None
        self._bytes_per_s = bytes_per_s
        self._sent = Buckets(Pace(1, BYTES_BURST_S))
        self._over: dict[str, None] = {}
        self._quietly = Quietly(10.0)

    def wait_s(self, address: str, holder: str, now_s: float) -> float:
        """Count a request; how long to wait, in s, when there were too many, and 0 when it may go on.

        Args:
            address: Of whoever asks.
            holder: `Grant.name`; empty as long as it isn't known, and for those without a credential.
            now_s: Any clock that rises, in s.
        """
        if self._requests is None:
            return 0.0
        name = "holder " + holder if holder else _network_of(address)
        wait_s = self._requests.wait_s(name, now_s)
        if wait_s > 0:
            self._refuse("asks for more than limits.requests_per_s allows", name)
            return wait_s
        self._requests.take(name, now_s)
        return 0.0

    @property
    def any_over(self) -> bool:
        """Whether more bytes came from anywhere than may."""
        return bool(self._over)

    def is_over(self, address: str, holder: str) -> bool:
        """Whether more bytes came from there than may."""
        if not self._over:
            return False
        return ("holder " + holder if holder else "") in self._over or _network_of(address) in self._over

    def refuse_bytes(self, address: str) -> None:
        """Count a request that is turned away since too many bytes came."""
        self._refuse("sends more than limits.received_bytes_per_s allows", _network_of(address))

    def sweep(self, received: dict[tuple[str, str], int], now_s: float) -> None:
        """Take in what came since the last time, and find out who sent too much.

        Args:
            received: (address, holder) -> bytes.
        """
        if not self._bytes_per_s:
            return
        sums: dict[str, int] = {}
        for (address, holder), size in received.items():
            for name in (_network_of(address), *(("holder " + holder,) if holder else ())):
                sums[name] = sums.get(name, 0) + size
        for name, size in sums.items():
            self._sent.add(name, size / self._bytes_per_s, now_s)
        looked_at = {*sums, *self._over}
        self._over = {name: None for name in looked_at if self._sent.used_s(name, now_s) > BYTES_BURST_S}

    def _refuse(self, words: str, name: str) -> None:
        self.refused += 1
        if self._quietly.due():
            log.warning("%s %s (%d refused so far)", name, words, self.refused)
