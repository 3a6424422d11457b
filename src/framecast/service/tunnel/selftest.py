"""Whether the public address leads here, and whether pictures come through it as they are sent.

A proxy on the way may hold answers back until some kilobytes are together, or until they end. Lists and pages don't
suffer from that; a camera's stream does: MJPEG stutters, or never comes. WebSockets pass untouched. So a few short
lines are fetched through the public address that leave here at known times (``/api/v1/selftest/stream``), and the
times of their coming tell.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver

from framecast import __version__
from framecast.core.descriptors import entrusted
from framecast.core.errors import reason_of

PATH = "/api/v1/selftest/stream"
SENT = b"1\n2\n3\n4\n5\n"
"""What is sent there, a line each 0.2 s."""
BUFFERED_BELOW_S = 0.5
"""The lines leave over 0.8 s. On any link that delivers as it gets, they come over nearly as long."""
TIMEOUT_S = 15.0
Verdict = Literal["good", "buffered", "elsewhere", "unreachable"]


@dataclass(frozen=True, slots=True)
class Result:
    """What was found.

    Attributes:
        verdict: ``good``; ``buffered``, where pictures need the WebSocket; ``elsewhere``, where the address leads to
            something that is not this server; ``unreachable``.
        words: The same for people, with what to do.
        time: Unix seconds.
        first_ms: Until the first line came; None when none did.
        spread_ms: From the first line to the last.
    """

    verdict: Verdict
    words: str
    time: float
    first_ms: int | None = None
    spread_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


class SelfTest:
    """Looks at this server from outside.

    Args:
        resolver: Finds the public name; None asks the system.
        trust: What certificates are good; None takes the system's.
    """

    def __init__(self, *, resolver: AbstractResolver | None = None, trust: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._trust = trust

    async def run(self, url: str) -> Result:
        """Look at ``url``, a public address without a path, and twice before anything is said to hold answers back.

        A link, or a machine, that stands still for a moment looks like that, too.
        """
        result = await self._look(url)
        return await self._look(url) if result.verdict == "buffered" else result

    async def _look(self, url: str) -> Result:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver, ssl=self._trust or True, force_close=True, socket_factory=entrusted
        )
        headers = {
            "User-Agent": f"framecast/{__version__} (self-test)",
            "ngrok-skip-browser-warning": "1",  # else ngrok's free plan shows a page of its own first
            "Cache-Control": "no-cache",
        }
        began_s = time.monotonic()
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                aiohttp.ClientSession(connector=connector) as client,
                client.get(url + PATH, headers=headers, allow_redirects=False, proxy=self._proxy(url)) as response,
            ):
                return await _judge(response, began_s)
        except TimeoutError:
            return _result("unreachable", f"nothing came through the public address within {TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return _result("unreachable", f"the public address can't be reached: {_plain(error)}")

    def _proxy(self, url: str) -> str | None:
        """The proxy by which this machine gets out.

        aiohttp would find it, too (``trust_env``), and with it send along what ~/.netrc has for this name.
        """
        host = urlsplit(url).hostname or ""
        if self._resolver is not None or proxy_bypass(host):
            return None
        return getproxies().get("https")


async def _judge(response: aiohttp.ClientResponse, began_s: float) -> Result:
    if response.status == 503 and await _is_busy(response):
        return _result("unreachable", "too many look at this server in this way just now; try again")
    if response.status != 200:
        reason = "".join(sign for sign in response.reason or "" if sign.isprintable())[:100]
        words = f"the public address is answered by somebody else: {response.status} {reason}"
        return _result("elsewhere", words)
    came_s: list[float] = []
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        came_s += [time.monotonic()] * chunk.count(b"\n")
        if not SENT.startswith(body):
            break
    if body != SENT:
        return _result("elsewhere", "the public address leads to something that is not this server")
    first_ms, spread_ms = round((came_s[0] - began_s) * 1000), round((came_s[-1] - came_s[0]) * 1000)
    if came_s[-1] - came_s[0] < BUFFERED_BELOW_S:
        words = "answers are held back on the way: players use the WebSocket instead, and MJPEG may stand still"
        return _result("buffered", words, first_ms, spread_ms)
    return _result("good", "pictures come through as they are sent", first_ms, spread_ms)


async def _is_busy(response: aiohttp.ClientResponse) -> bool:
    """Whether this server says that it has no place for one more."""
    try:
        answer = json.loads(await response.content.read(1000))
        return bool(answer["error"]["code"] == "busy")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _result(verdict: Verdict, words: str, first_ms: int | None = None, spread_ms: int | None = None) -> Result:
    return Result(verdict, words.strip(), round(time.time(), 1), first_ms, spread_ms)


def _plain(error: Exception) -> str:
    """The reason without aiohttp's technicalities."""
    cause = getattr(error, "os_error", None) or error
    text = reason_of(cause) if isinstance(cause, OSError) else str(cause) or type(error).__name__
    return " ".join(text.split())[:200]
