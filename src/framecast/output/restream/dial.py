"""Connecting to where a restream goes: each address is looked at before it is called."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable

from framecast.core import names

CheckAddress = Callable[[str, str], None]
"""Called with a host's name and an address of it; raises `Misuse` where that may not be called."""

WRITE_BUFFER_BYTES = 256 * 1024
PATIENCE_S = 2.5
"""How long an address may take to answer while there is another: where IPv6 leads nowhere, IPv4 has its turn."""


async def addresses(host: str, check: CheckAddress | None) -> list[str]:
    """The addresses of ``host``, all of them allowed.

    Raises:
        OSError: It has none.
        Misuse: One is where nobody may be called.
    """
    try:
        found = await names.SHARED.addresses(host)
    except UnicodeError:  # such a name can't even be asked for
        raise OSError(f"nobody knows a host called {host}") from None
    for address in found:
        if check is not None:
            check(host, address)
    return found


async def dial(
    host: str, port: int, *, tls: bool, check: CheckAddress | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection.

    Raises:
        OSError: There is none to be had.
        Misuse: It leads where nobody may be called.
    """
    context = await asyncio.to_thread(ssl.create_default_context) if tls else None
    failure: OSError | None = None
    found = _in_turn(await addresses(host, check))
    for number, address in enumerate(found, 1):
        try:
            async with asyncio.timeout(PATIENCE_S if number < len(found) else None):
                reader, writer = await asyncio.open_connection(
                    address, port, ssl=context, server_hostname=host if tls else None
                )
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = error
            continue
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        return reader, writer
    raise failure or OSError("it has no address")


def _in_turn(found: list[str]) -> list[str]:
    """IPv6 and IPv4 by turns, beginning as they come (RFC 8305, 4)."""
    first = [each for each in found if (":" in each) is (":" in found[0])]
    others = [each for each in found if each not in first]
    return [each for pair in itertools.zip_longest(first, others) for each in pair if each is not None]


def write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send ``data``, soon.

    Raises:
        OSError: The connection is closed, which uvloop says in a way of its own.
    """
    if writer.transport.is_closing():
        raise ConnectionResetError("the connection is closed")
    writer.write(data)


async def hang_up(writer: asyncio.StreamWriter, farewell: bytes = b"") -> None:
    """Say the last words and disconnect. Never raises for what the other end does."""
    try:
        if farewell and not writer.is_closing():
            writer.write(farewell)
        writer.close()
        async with asyncio.timeout(1):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
