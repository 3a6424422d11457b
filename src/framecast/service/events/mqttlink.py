"""One connection to an MQTT server. What is on its way when it ends fails at once, and not when its time is over."""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit

from framecast.core.errors import FramecastError
from framecast.service.config.sections import MqttSettings

_library_log = logging.getLogger("framecast.service.events.mqtt.library")
_library_log.setLevel(logging.CRITICAL)  # what it says is said by who uses this, with the words of an operator

QOS = 1
TAKES_S = 10.0
"""How long the server may take for a message."""
PORTS = {"mqtt": 1883, "mqtts": 8883}
MOST_INCOMING = 1000
"""Messages that may wait until they are asked for; others are dropped."""

_T = TypeVar("_T")


class LinkError(FramecastError):
    """There is no connection, or it has ended, or the server did not take something in time."""


class Link:
    """A connection that stands; use ``connected``. Its methods raise LinkError.

    Args:
        client: That of the library, connected.
        library: aiomqtt.
    """

    def __init__(self, client: Any, library: Any) -> None:
        self._client = client
        self._library = library
        self._came: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._listening = asyncio.ensure_future(self._listen())

    @property
    def is_lost(self) -> bool:
        """Whether it has ended."""
        return self._listening.done()

    async def close(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def subscribe(self, topic: str) -> None:
        """Ask for messages of these topics."""
        await self._while_it_stands(self._client.subscribe(topic, QOS))

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Have the server take this."""
        await self._while_it_stands(self._client.publish(topic, payload, qos=QOS, retain=retain))

    async def next(self, timeout_s: float) -> Any:
        """The next message of the topics asked for; None when there is none within this time."""
        if not self._came:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._while_it_stands(self._wake.wait())
            except TimeoutError:
                pass
        return self._came.popleft() if self._came else None

    async def _listen(self) -> None:
        async for message in self._client.messages:  # raises once the connection has ended, whoever ended it
            if len(self._came) < MOST_INCOMING:
                self._came.append(message)
                self._wake.set()

    async def _while_it_stands(self, doing: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.ensure_future(doing)
        try:
            await asyncio.wait((task, self._listening), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # Cancelled where it is closed from here: that is no reason to cancel who waits for something.
                why = None if self._listening.cancelled() else self._listening.exception()
                raise LinkError("the connection has ended" if why is None else words(why))
            return task.result()
        except self._library.MqttError as error:
            raise LinkError(words(error)) from None
        finally:
            if not task.cancel() and not task.cancelled():
                task.exception()  # seen, where nobody waits for it any more


@asynccontextmanager
async def connected(settings: MqttSettings, node: str, will: tuple[str, bytes]) -> AsyncIterator[Link]:
    """Connect, until the block ends.

    Args:
        settings: Where to.
        node: What this one is called there, unlike any other.
        will: Topic and what the server is to keep there when this one is gone without a word.

    Raises:
        LinkError: It can't be connected to.
        OSError: Nor can its certificates be read.
    """
    library = await asyncio.to_thread(importlib.import_module, "aiomqtt")
    parts = urlsplit(settings.url)
    client = library.Client(
        parts.hostname,
        parts.port or PORTS[parts.scheme],
        username=settings.username or None,
        password=settings.password or None,
        identifier=node,
        logger=_library_log,
        timeout=TAKES_S,
        max_queued_incoming_messages=MOST_INCOMING,
        will=library.Will(*will, QOS, True),
        tls_context=await asyncio.to_thread(_context, settings),
    )
    try:
        async with client:
            link = Link(client, library)
            try:
                yield link
            finally:
                await link.close()
    except library.MqttError as error:
        raise LinkError(words(error)) from None


def missing() -> str:
    """What is not installed that this needs, in words; empty when all is."""
    return "" if find_spec("aiomqtt") else "MQTT needs further packages here: pip install 'framecast[events]'"


def words(error: BaseException) -> str:
    """What went wrong, not too long."""
    return str(error).strip()[:200] or type(error).__name__


class _Socket(ssl.SSLSocket):
    """One that is closed when nothing comes of it: the library leaves it to whoever cleans up."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _context(settings: MqttSettings) -> ssl.SSLContext | None:
    if not settings.url.startswith("mqtts:"):
        return None
    context = ssl.create_default_context()
    context.sslsocket_class = _Socket
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
