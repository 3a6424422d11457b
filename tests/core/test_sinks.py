"""The contract of sinks, kept by those of the core."""

from __future__ import annotations

import pytest

from framecast.core.fanout import Fanout
from framecast.core.mailbox import Mailbox, Policy

from .fakes import Connection, Labels, ManualLoop
from .sinks import check_sink


class MailboxReading:
    """A task that reads a mailbox whenever it is not stalled."""

    def __init__(self, policy: Policy, bound: int) -> None:
        self.sink = self.mailbox = Mailbox(bound, policy)
        self._seen: list[int] = []
        self._stalled = False

    def stall(self) -> None:
        self.seen()
        self._stalled = True

    def go_on(self) -> None:
        self._stalled = False
        self.seen()

    def seen(self) -> list[int]:
        while len(self.mailbox) and not self._stalled:
            reading = self.mailbox.get().__await__()
            try:
                next(reading)
            except StopIteration as got:
                self._seen.append(got.value.frame_id)
        return list(self._seen)

    def drops(self) -> int:
        return self.mailbox.drops

    def leave(self) -> None:
        self.mailbox.close()


class FanoutReading:
    """A viewer whose transport holds bytes while it is stalled."""

    def __init__(self) -> None:
        loop = ManualLoop()
        self.sink = self.fanout = Fanout(Labels(), loop=loop.real, clock=loop.clock)
        self.connection = Connection()
        self.fanout.add(self.connection.seat)

    def stall(self) -> None:
        self.connection.held = True
        self.connection.seat.pause()

    def go_on(self) -> None:
        self.connection.drain()

    def seen(self) -> list[int]:
        return [int(each.strip(b"F")) for each in self.connection.written]

    def drops(self) -> int:
        return self.connection.viewer.drops

    def leave(self) -> None:
        self.connection.seat.leave()


@pytest.mark.parametrize(
    ("policy", "bound"), [(Policy.LATEST, 1), (Policy.LATEST, 3), (Policy.SKIP_TO_KEY, 3), (Policy.DROP_OLDEST, 3)]
)
def test_mailbox(policy: Policy, bound: int) -> None:
    check_sink(lambda: MailboxReading(policy, bound))


def test_fanout() -> None:
    check_sink(FanoutReading)
