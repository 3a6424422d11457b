"""Where WebRTC peers can reach us: ports of the range that the operator has opened, and what a STUN server sees."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair
from aioice.stun import Class, Message, Method, parse_message

from framecast.output.webrtc import ice
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
    """A STUN server that can't be reached from one of the networks of those who ask."""

    def __init__(self, unheard: str) -> None:
        self.asked: set[str] = set()
        self._unheard = unheard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.add(addr[0])
        if addr[0] != self._unheard:
            asked = parse_message(data)
            seen = {"XOR-MAPPED-ADDRESS": ("203.0.113.7", 4242)}
            self._transport.sendto(bytes(Message(Method.BINDING, Class.RESPONSE, asked.transaction_id, seen)), addr)


async def test_a_network_without_a_way_out_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "GATHER_TIMEOUT_S", 0.3)
    networks = ("127.0.0.2", "127.0.0.3")
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: HalfDeaf(networks[0]), ("127.0.0.1", 0))
    made = Ice(IceOptions(stun=transport.get_extra_info("sockname")[:2], addresses=networks))
    try:
        await made.gather_candidates()
        found = [(each.type, each.host) for each in made.local_candidates]
    finally:
        await made.close()
        transport.close()
    assert server.asked == set(networks)
    assert found == [*(("host", each) for each in networks), ("srflx", "203.0.113.7")]


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
    made = Ice(IceOptions(addresses=("127.0.0.1",), consent_interval_s=0.05, consent_failures=2))
    made.remote_username, made.remote_password = "them", THEIRS
    await made.gather_candidates()
    host, port = transport.get_extra_info("sockname")[:2]
    made._nominated[1] = CandidatePair(made._protocols[0], Candidate("f", 1, "udp", 1, host, port, "host"))
    made._query_consent_task = asyncio.ensure_future(made.query_consent())
    try:
        await until(lambda: peer.answers >= 20 or not made._nominated)
        assert made._nominated
        peer.is_gone = True
        await until(lambda: not made._nominated)
    finally:
        await made.close()
        transport.close()
