"""What is said of failures."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from framecast.core.errors import reason_of


def refusing() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def stream(port: int) -> None:
    await asyncio.open_connection("127.0.0.1", port)


async def bare(port: int) -> None:
    with socket.socket() as made:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))


@pytest.mark.parametrize("connect", [stream, bare])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_refused_connection_is_said_to_be_that(connect: Any, loop: Any) -> None:
    async def reason() -> str:
        attempt: Coroutine[Any, Any, None] = connect(refusing())
        with pytest.raises(OSError) as raised:
            await attempt
        return reason_of(raised.value)

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(reason()) == "Connection refused"


def test_other_failures_keep_their_words() -> None:
    several = OSError(
        f"Multiple exceptions: [Errno {errno.EHOSTUNREACH}] Connect call failed ('::1', 9), [Errno 111] Connect …"
    )
    assert reason_of(several) == os.strerror(errno.EHOSTUNREACH)
    assert reason_of(OSError("name lookup failed")) == "name lookup failed"
    assert reason_of(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    assert reason_of(TimeoutError()) == "TimeoutError"
