"""What helpers outside say about where we can be reached: a STUN server, and a TURN server that relays.

The answer to a peer waits for them, since in WHEP and WHIP it carries all of our candidates, and none can follow
(RFC 9725, 4.3.2). So it says who is worth waiting for: not a network of this machine that leads nowhere, nor a server
that has gone. Imported only when a peer comes.
"""

from __future__ import annotations

import asyncio

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aioice.stun import Class, Message, Method, TransactionError

from framecast.core import names

PATIENCE_S = 3.0
"""What an answer may take."""
BESIDE_S = 0.7
"""The same where the STUN server has answered by another network: a question that got lost is asked anew at 0.5."""
SILENT_S = 0.2
"""The same for who did not answer lately."""
SILENCE_COUNTS_S = 60.0
RELAY = "relay"
"""Stands for the TURN server; the STUN server is named by the local addresses from which it is asked."""


class Silence:
    """Which ways out did not answer lately: the STUN server as asked from a local address, or the relay.

    They are asked again each time, and nobody waits long for them; after `SILENCE_COUNTS_S` one peer does.
    """

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def of(self, way: str, now_s: float) -> bool:
        """Whether this one was silent."""
        return self._until_s.get(way, 0.0) > now_s

    def note(self, way: str, now_s: float, *, silent: bool) -> None:
        """It answered, or did not in time; one that was known to be silent is so no longer for it."""
        self._until_s = {each: until_s for each, until_s in self._until_s.items() if until_s > now_s}
        if not silent:
            self._until_s.pop(way, None)
        elif way not in self._until_s:
            self._until_s[way] = now_s + SILENCE_COUNTS_S


async def gather(asked: dict[asyncio.Task[Candidate], str], silence: Silence, *, alone: bool) -> list[Candidate]:
    """What came while it was worth waiting; the questions without an answer are cancelled, as they are with this.

    Args:
        asked: Each question, and whom it asks.
        alone: Whether there is no candidate but those that are asked for.
    """
    loop = asyncio.get_running_loop()
    begun_s, waited_for = loop.time(), set(asked)

    def worth_s(way: str) -> float:
        if silence.of(way, begun_s) and not alone:
            return SILENT_S
        if way != RELAY and any(_came(task) for task, other in asked.items() if other != RELAY):
            return BESIDE_S
        return PATIENCE_S

    try:
        while waited_for:
            until_s = begun_s + max(worth_s(asked[task]) for task in waited_for)
            done, waited_for = await asyncio.wait(
                waited_for, timeout=until_s - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
        for task, way in asked.items():
            silence.note(way, loop.time(), silent=not task.done())
        return [task.result() for task in asked if _came(task)]
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def reflexive(protocol: StunProtocol, server: tuple[str, int]) -> Candidate:
    """Where a STUN server sees this socket.

    Raises:
        OSError: The server's name leads to no IPv4 address.
        TransactionError: It does not say.
    """
    host = next((each for each in await names.SHARED.addresses(server[0]) if ":" not in each), None)
    if host is None:
        raise OSError(f"{server[0]} has no IPv4 address")
    response, _ = await protocol.request(Message(Method.BINDING, Class.REQUEST), (host, server[1]))
    if "XOR-MAPPED-ADDRESS" not in response.attributes:
        raise TransactionError
    own, seen = protocol.local_candidate, response.attributes["XOR-MAPPED-ADDRESS"]
    return Candidate(
        candidate_foundation("srflx", "udp", own.host),
        own.component,
        "udp",
        candidate_priority(own.component, "srflx"),
        seen[0],
        seen[1],
        "srflx",
        own.host,
        own.port,
    )


def _came(task: asyncio.Task[Candidate]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
