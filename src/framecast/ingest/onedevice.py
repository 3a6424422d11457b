"""Which device's sound is taken: one at a time, and who was replaced learns it.

Another one takes over, and the first is refused for a few seconds while the other goes on sending, so that two devices
configured alike show up as what they are.

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from framecast.core.errors import Replaced

S_NS = 1_000_000_000
REFUSE_REPLACED_NS = 5 * S_NS
ACTIVE_NS = 2 * S_NS
"""A microphone that sent nothing for so long is off."""


class OneDevice:
    """The device whose turn it is.

    Attributes:
        identity: Whatever tells one device from another; None while there is none.
        address: Where it is, for people.
        replaced: Times that one took over from another that was sending.
    """

    def __init__(self) -> None:
        self.identity: object = None
        self.address = ""
        self.replaced = 0
        self._replaced: tuple[object, int] = (None, 0)

    def take(self, identity: object, address: str, now_ns: int, heard_ns: int) -> bool:
        """Make it the turn of ``identity``, which is another one; whether it takes over from one that was sending.

        Args:
            identity: Whatever tells one device from another.
            address: Where it is, for people.
            now_ns: The time.
            heard_ns: When sound came last.

        Raises:
            Replaced: It was replaced a moment ago and the other one is still sending.
        """
        known, replaced_ns = self._replaced
        if identity == known and max(now_ns - replaced_ns, now_ns - heard_ns) < REFUSE_REPLACED_NS:
            raise Replaced("Another device sends this camera's sound now; give each device a camera of its own")
        over = self.identity is not None and now_ns - heard_ns < ACTIVE_NS
        if over:
            self._replaced = (self.identity, now_ns)
            self.replaced += 1
        self.identity = identity
        self.address = address
        return over

    def leave(self) -> None:
        """It is nobody's turn."""
        self.identity = None
