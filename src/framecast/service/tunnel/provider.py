"""What every kind of tunnel is: something that runs, and tells how it goes."""

from __future__ import annotations

from typing import Protocol


class TunnelError(Exception):
    """A tunnel could not be opened, or has ended; the message says why and what to do.

    Args:
        final: Whether trying again is of no use before somebody has changed something.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Report(Protocol):
    """What a provider tells of its tunnel as long as it runs."""

    def online(self, url: str) -> None:
        """Whoever opens ``url`` reaches this server, for the first time or again."""

    def waiting(self, reason: str) -> None:
        """The way is interrupted; the provider itself is about to open it again. Said once more when it learns why."""


class Provider(Protocol):
    """A kind of tunnel."""

    async def run(self, port: int, report: Report) -> None:
        """Lead the public address to this port of 127.0.0.1, until cancelled.

        Raises:
            TunnelError: It can't be opened, or has ended.
        """
