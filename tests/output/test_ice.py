"""Where WebRTC peers can reach us: ports of the range that the operator has opened, and what a STUN server sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair
from aioice.stun import Class, Message, Method, parse_message

from framecast.output.webrtc import outside
from framecast.output.webrtc.ice import ANSWER_S, MOST_PATHS, PORT_TRIES, Ice, IceOptions, ports_to_try
from tests.core.fakes import until

pytestmark = pytest.mark.anyio

FIRST = 50_000
THEIRS = "t" * 22


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 12, PORT_TRIES])
def test_all_of_a_small_range_are_tried(count: int) -> None:
    for begin in range(count + 2):
        ports = ports_to_try(FIRST, FIRST + count - 1, begin)
        assert sorted(ports) == list(range(FIRST, FIRST + count))
        assert ports[0] == FIRST + begin % count


@pytest.mark.parametrize("count", [100, 200, 256, 1000, 15_536])
def test_a_free_one_is_found_beside_many_viewers_who_stay(count: int) -> None:
    taken = range(FIRST, FIRST + count * 9 // 10)
    for begin in range(0, count, 7):
        ports = ports_to_try(FIRST, FIRST + count - 1, begin)
        assert len(set(ports)) == PORT_TRIES
        assert any(FIRST <= port < FIRST + count and port not in taken for port in ports)


class HalfDeaf(asyncio.DatagramProtocol):
    """A STUN server that can't be reached from some of the networks of those who ask."""

    def __init__(self, unheard: Collection[str]) -> None:
        self.asked: set[str] = set()
        self.unheard = unheard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.add(addr[0])
        if addr[0] not in self.unheard:
            asked = parse_message(data)
            seen = {"XOR-MAPPED-ADDRESS": ("203.0.113.7", 4242)}
            self._transport.sendto(bytes(Message(Method.BINDING, Class.RESPONSE, asked.transaction_id, seen)), addr)


NETWORKS = ("127.0.0.2", "127.0.0.3")
HOSTS = [("host", each) for each in NETWORKS]
SEEN = ("srflx", "203.0.113.7")


@asynccontextmanager
async def stun_server(unheard: Collection[str]) -> AsyncIterator[tuple[HalfDeaf, IceOptions]]:
    """A STUN server, and options by which it is asked from two networks."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: HalfDeaf(unheard), ("127.0.0.1", 0))
    try:
        yield server, IceOptions(stun=transport.get_extra_info("sockname")[:2], addresses=NETWORKS)
    finally:
        transport.close()


async def gathered(options: IceOptions) -> list[tuple[str, str]]:
    """The candidates that a peer would be told, far sooner than all of the patience there is."""
    made = Ice(options)
    try:
        async with asyncio.timeout(10):
            await made.gather_candidates()
        return [(each.type, each.host) for each in made.local_candidates]
    finally:
        await made.close()


async def test_a_network_without_a_way_out_hides_no_other_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outside, "PATIENCE_S", 60)
    async with stun_server(NETWORKS[:1]) as (server, options):
        assert await gathered(options) == [*HOSTS, SEEN]
        assert server.asked == set(NETWORKS)
        server.asked.clear()
        monkeypatch.setattr(outside, "BESIDE_S", 60)
        assert await gathered(options) == [*HOSTS, SEEN], "that it leads nowhere is known by now"
        assert server.asked == set(NETWORKS), "it may have come back"


async def test_a_server_that_is_gone_keeps_only_one_peer_waiting_and_is_heard_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outside, "PATIENCE_S", 0.3)
    async with stun_server(NETWORKS) as (server, options):
        assert await gathered(options) == HOSTS
        monkeypatch.setattr(outside, "PATIENCE_S", 60)
        assert await gathered(options) == HOSTS
        server.unheard = ()
        monkeypatch.setattr(outside, "SILENT_S", 5)
        assert await gathered(options) == [*HOSTS, SEEN, SEEN]
        assert not any(options.silence.of(each, asyncio.get_running_loop().time()) for each in NETWORKS)


async def test_nobody_else_is_there_to_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SILENT_S", 0)
    silence, loop = outside.Silence(), asyncio.get_running_loop()
    silence.note(outside.RELAY, loop.time(), silent=True)

    async def answer() -> Candidate:
        await asyncio.sleep(0.05)
        return Candidate("r", 1, "udp", 1, "203.0.113.7", 9, "relay")

    asked = {asyncio.ensure_future(answer()): outside.RELAY}
    assert [each.type for each in await outside.gather(asked, silence, alone=True)] == ["relay"]


async def test_checks_from_ever_other_addresses_make_no_endless_list() -> None:
    made = Ice(IceOptions(addresses=("127.0.0.1",)))
    made.remote_username, made.remote_password = "them", THEIRS
    await made.gather_candidates()
    connecting = asyncio.ensure_future(made.connect())
    await asyncio.sleep(0)
    try:
        for number in range(2 * MOST_PATHS):
            said = {"USERNAME": f"{made.local_username}:them", "PRIORITY": 1, "ICE-CONTROLLING": 7}
            check = Message(Method.BINDING, Class.REQUEST, attributes=said)
            check.add_message_integrity(made.local_password.encode())
            made.request_received(check, (f"127.1.{number // 256}.{number % 256}", 9), made._protocols[0])
        assert len(made._check_list) == MOST_PATHS
        assert made.dropped == MOST_PATHS
        assert made.knows(("127.1.0.0", 9))
    finally:
        await made.close()
        await asyncio.gather(connecting, return_exceptions=True)


class Slow(asyncio.DatagramProtocol):
    """A peer whose answers take their time, and stop when it is gone."""

    def __init__(self) -> None:
        self.answers = 0
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.is_gone:
            asyncio.get_running_loop().call_later(1.2 * ANSWER_S, self._answer, parse_message(data), addr)

    def _answer(self, asked: Message, addr: tuple[str, int]) -> None:
        said = Message(Method.BINDING, Class.RESPONSE, asked.transaction_id, {"XOR-MAPPED-ADDRESS": addr})
        said.add_message_integrity(THEIRS.encode())
        if not self._transport.is_closing():
            self._transport.sendto(bytes(said), addr)
        self.answers += 1


async def test_a_peer_far_away_is_there_and_one_that_is_gone_is_not() -> None:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(Slow, ("127.0.0.1", 0))
    made = Ice(IceOptions(addresses=("127.0.0.1",), consent_interval_s=0.05, consent_failures=3))
    made.remote_username, made.remote_password = "them", THEIRS
    await made.gather_candidates()
    host, port = transport.get_extra_info("sockname")[:2]
    made._nominated[1] = CandidatePair(made._protocols[0], Candidate("f", 1, "udp", 1, host, port, "host"))
    made._query_consent_task = asyncio.ensure_future(made.query_consent())
    try:
        await until(lambda: peer.answers >= 40 or not made._nominated)
        assert made._nominated
        peer.is_gone = True
        await until(lambda: not made._nominated)
    finally:
        await made.close()
        transport.close()
