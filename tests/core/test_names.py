"""Names that nobody answers for, and others that are asked for meanwhile."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from framecast.core.names import Names

pytestmark = pytest.mark.anyio


class NameServer:
    """Knows names; is mute about those that begin with ``slow`` until it is told to `speak`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._speaking = threading.Event()

    def look_up(self, host: str, port: int, *, type: int) -> Any:
        self.asked.append(host)
        if host.startswith("slow") and not self._speaking.wait(20):
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        ends = [("192.0.2.7", port), ("192.0.2.7", port), ("2001:db8::7", port, 0, 0)]
        return [(socket.AF_INET, type, 0, "", end) for end in ends]

    def speak(self) -> None:
        self._speaking.set()


async def test_slow_names_keep_no_other_waiting() -> None:
    server = NameServer()
    names = Names(server.look_up)
    slow = [asyncio.ensure_future(names.addresses(f"slow{number}.local")) for number in range(12)]
    async with asyncio.timeout(10):
        assert await names.addresses("quick") == ["192.0.2.7", "2001:db8::7"]
        assert await names.addresses("127.0.0.1") == ["127.0.0.1"]
        assert not any(each.done() for each in slow)
        server.speak()
        assert await asyncio.gather(*slow) == [["192.0.2.7", "2001:db8::7"]] * 12


async def test_a_name_is_asked_for_once_however_often_it_is_tried() -> None:
    server = NameServer()
    names = Names(server.look_up, at_once=2)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await names.addresses("slow.local")
    again = asyncio.ensure_future(names.addresses("slow.local"))
    async with asyncio.timeout(10):
        assert await names.addresses("quick") == ["192.0.2.7", "2001:db8::7"]
        server.speak()
        await again
        assert server.asked.count("slow.local") == 1
        await names.addresses("slow.local")  # later it is another question
    assert server.asked.count("slow.local") == 2


async def test_names_beyond_the_bound_wait_while_they_are_wanted() -> None:
    server = NameServer()
    names = Names(server.look_up, at_once=1)
    slow = asyncio.ensure_future(names.addresses("slow"))
    later, given_up = (asyncio.ensure_future(names.addresses(name)) for name in ("later", "gone"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert not later.done()
    server.speak()
    async with asyncio.timeout(10):
        await asyncio.gather(slow, later)
        await names.addresses("gone")
    assert server.asked == ["slow", "later", "gone"]


@pytest.mark.parametrize("address", ["192.168.1.20", "::1"])
async def test_an_address_is_not_asked_for(address: str) -> None:
    server = NameServer()
    assert await Names(server.look_up).addresses(address) == [address]
    assert server.asked == []


async def test_an_address_that_holds_on_one_link_keeps_its_zone() -> None:
    def look_up(host: str, port: int, *, type: int) -> Any:
        return [(socket.AF_INET6, type, 0, "", ("fe80::7", port, 0, 3))]

    assert await Names(look_up).addresses("cam.local") == ["fe80::7%3"]
    assert await Names(look_up).addresses("fe80::7%1") == ["fe80::7%1"]


async def test_a_thread_that_can_not_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Names(NameServer().look_up, at_once=1)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        for _ in range(2):
            with pytest.raises(OSError, match="no thread to look up quick: can't start new thread"):
                await names.addresses("quick")
    async with asyncio.timeout(10):
        assert await names.addresses("quick") == ["192.0.2.7", "2001:db8::7"]


async def test_names_that_lead_nowhere() -> None:
    names = Names(NameServer().look_up)
    with pytest.raises(OSError, match="no such name"):
        await names.addresses("nobody")
    with pytest.raises(UnicodeError):
        await names.addresses("a" * 64 + "é")
