"""Names of receivers: found in threads of their own, or said not to be."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from framecast.core.names import Names
from framecast.service.events.courier import Undelivered
from framecast.service.events.poster import Poster
from tests.service.events.telling import Receiver

pytestmark = pytest.mark.anyio


async def test_a_machine_without_a_thread_to_spare_finds_names_again_once_it_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    poster = Poster()
    async with Receiver.running() as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", start)
            for _ in range(5):
                with pytest.raises(Undelivered, match="no connection: no thread to look up localhost"):
                    await poster.post(url, b"", {})
        async with asyncio.timeout(10):
            await poster.post(url, b"", {})
        await poster.close()
    assert len(receiver.told) == 1


async def test_a_name_with_more_addresses_than_one_that_answers_is_reached() -> None:
    def look_up(host: str, port: int, *, type: int) -> Any:
        ends = {socket.AF_INET6: ("::1", port, 0, 0), socket.AF_INET: ("127.0.0.1", port)}
        return [(family, type, 6, "", end) for family, end in ends.items()]

    async with Receiver.running() as receiver:
        poster = Poster(names=Names(look_up))
        await poster.post(receiver.url.replace("127.0.0.1", "two.example"), b"once", {})
        await poster.close()
    assert [told.body for told in receiver.told] == [b"once"]
    assert receiver.told[0].headers["Host"].startswith("two.example:")
