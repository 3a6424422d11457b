"""ngrok's tunnel, by their SDK, in this process.

The SDK keeps its connection by itself: it tells when it is about to connect again, and of each answer to its heartbeat,
which is how it shows that it has. The first may be answered before the session is refused; that it was let in shows the
second. Its pauses grow fifty-fold, from 50 ms to two minutes to hours, so it is given only some seconds before a new
session is opened in its place. Its callbacks come from threads of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from framecast import __version__
from framecast.service.tunnel.provider import Report, TunnelError

logging.getLogger("ngrok").setLevel(logging.WARNING)  # it tells of every step

CONNECT_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.5
HEARTBEAT_S = 5
RECONNECT_S = 10.0
"""Time for the SDK to connect again by itself: two tries, and two heartbeats."""
_OF_THE_ACCOUNT = {
    "ERR_NGROK_105": "ngrok doesn't know this token: see https://dashboard.ngrok.com/get-started/your-authtoken",
    "ERR_NGROK_107": "ngrok has withdrawn this token: see https://dashboard.ngrok.com/get-started/your-authtoken",
    "ERR_NGROK_4018": "ngrok needs the token of an account: set NGROK_AUTHTOKEN",
}
"""Errors that no further try would mend, in words."""
_FINAL = ("ERR_NGROK_1", "ERR_NGROK_3", "ERR_NGROK_4", "ERR_NGROK_9")
"""Codes of the account (1…), of names and endpoints (3…), and of what the plan allows. The rest is trouble at ngrok."""
_PASSING = frozenset({"ERR_NGROK_108", "ERR_NGROK_334"})
"""Too many agents, and a name that is online elsewhere: what is left of our own session is gone after a minute."""


class Ngrok:
    """A tunnel of ngrok's.

    Args:
        authtoken: The account's.
        domain: Name reserved there; empty takes what ngrok gives.
        server: Where their service is, as HOST:PORT; empty for the usual place.
        authority: Certificate to trust for it, PEM; None for the usual.
        connect_timeout_s: What opening it may take.
        reconnect_s: What the SDK may take to open it again.
        heartbeat_s: How often it asks whether the service is there, in whole seconds.
    """

    def __init__(
        self,
        authtoken: str,
        *,
        domain: str = "",
        server: str = "",
        authority: bytes | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        reconnect_s: float = RECONNECT_S,
        heartbeat_s: int = HEARTBEAT_S,
    ) -> None:
        self._authtoken = authtoken
        self._domain = domain
        self._server = server
        self._authority = authority
        self._connect_timeout_s = connect_timeout_s
        self._reconnect_s = reconnect_s
        self._heartbeat_s = heartbeat_s

    async def run(self, port: int, report: Report) -> None:
        """See `Provider.run`."""
        if not self._authtoken:
            raise TunnelError(_OF_THE_ACCOUNT["ERR_NGROK_4018"], final=True)
        loop = asyncio.get_running_loop()
        sdk = await loop.run_in_executor(None, _sdk)
        state = _State(report, loop, self._reconnect_s)
        open_now: list[Any] = []
        try:
            listener = await self._open(sdk, state, port, open_now)
            state.online(str(listener.url()))
            async with state.until_ended:
                await listener.join()
        except ValueError as error:
            raise _explained(error, self._authtoken) from None
        except TimeoutError:
            raise TunnelError(state.ended, final=state.is_final) from None
        finally:
            state.is_closing = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    for each in reversed(open_now):
                        with contextlib.suppress(ValueError):
                            await each.close()
        raise TunnelError("ngrok has closed the tunnel")

    async def _open(self, sdk: Any, state: _State, port: int, open_now: list[Any]) -> Any:
        """Open a session and a listener; both are put into ``open_now``."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                session = await self._builder(sdk, state).connect()
                open_now.append(session)
                endpoint = session.http_endpoint()
                if self._domain:
                    endpoint = endpoint.domain(self._domain)
                listener = await endpoint.listen_and_forward(f"http://127.0.0.1:{port}")
                open_now.append(listener)
                return listener
        except TimeoutError:
            raise TunnelError(f"ngrok did not answer within {self._connect_timeout_s:g} s") from None

    def _builder(self, sdk: Any, state: _State) -> Any:
        builder = sdk.SessionBuilder().authtoken(self._authtoken).client_info("framecast", __version__)
        builder = builder.heartbeat_interval(self._heartbeat_s).heartbeat_tolerance(3 * self._heartbeat_s)
        builder = builder.handle_disconnection(state.disconnected).handle_heartbeat(state.answered)
        builder = builder.handle_stop_command(state.told_to_stop)
        if self._server:
            builder = builder.server_addr(self._server)
        if self._authority is not None:
            builder = builder.ca_cert(bytearray(self._authority))
        return builder


class _State:
    """What the SDK tells, brought to the loop's thread.

    Attributes:
        until_ended: Around what lasts as long as the tunnel.
        ended: Why it ended, once it has.
        is_final: Whether it is to stay so.
        is_closing: Whether the SDK is to give up now.
    """

    def __init__(self, report: Report, loop: asyncio.AbstractEventLoop, reconnect_s: float) -> None:
        self.until_ended = asyncio.timeout(None)
        self.ended = ""
        self.is_final = False
        self.is_closing = False
        self._report = report
        self._loop = loop
        self._reconnect_s = reconnect_s
        self._url = ""
        self._answers = 0
        """To heartbeats, since it was about to connect."""

    def online(self, url: str) -> None:
        """The tunnel is open."""
        self._url = url
        self._report.online(url)

    def disconnected(self, address: str, error: str) -> None:
        """It is about to connect again; what is raised here keeps it from that."""
        if self.is_closing:
            # It takes the end of a session that it closes itself for a loss, when that comes quickly.
            raise ConnectionAbortedError("the tunnel is closed")
        self._call(self._lost, error)

    def answered(self, latency_ms: int | None = None) -> None:
        """A heartbeat was answered; without a number it was not."""
        if latency_ms is not None:
            self._call(self._back)

    def told_to_stop(self) -> None:
        """Somebody stops it in ngrok's dashboard."""
        self._call(self._stop)

    def _lost(self, error: str) -> None:
        self._answers = 0
        if not self.ended and self._url:
            self.ended = f"the connection to ngrok is lost ({error[:200]})"
            self.until_ended.reschedule(self._loop.time() + self._reconnect_s)
            self._report.waiting(self.ended)

    def _back(self) -> None:
        self._answers += 1
        if self.ended and not self.is_final and self._answers > 1:
            self.ended = ""
            self.until_ended.reschedule(None)
            self._report.online(self._url)

    def _stop(self) -> None:
        self.ended, self.is_final = "it was stopped in ngrok's dashboard", True
        self.until_ended.reschedule(self._loop.time())

    def _call(self, function: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody listens
            self._loop.call_soon_threadsafe(self._guarded, function, *args)

    def _guarded(self, function: Callable[..., None], *args: object) -> None:
        # Rescheduling is refused before it has begun and after it has ended: it makes no difference then.
        with contextlib.suppress(RuntimeError):
            function(*args)


def _sdk() -> Any:
    try:
        import ngrok
    except ImportError:
        raise TunnelError(
            "ngrok's SDK is not installed: pip install 'framecast[tunnel]', or use Cloudflare (--provider cloudflare)",
            final=True,
        ) from None
    return ngrok


def _explained(error: ValueError, authtoken: str) -> TunnelError:
    """An error of the SDK's: ``('what it did', 'why it failed')``, and a code where it came from ngrok's service.

    That repeats the token it was given ("Your authtoken: …"), which is not for logs and the status page.
    """
    parts = [str(part).replace(authtoken, "…") for part in error.args]
    code = parts[2] if len(parts) > 2 else ""
    words = _OF_THE_ACCOUNT.get(code, "")
    if not words:
        why = " ".join((parts[1] if len(parts) > 1 else " ".join(parts)).split())[:300]
        words = f"ngrok: {why}{f' ({code})' if code and code not in why else ''}"
        if "failed to establish tcp connection" in why:
            words = "ngrok can't be reached: no connection to its service (is this machine on the internet?)"
    return TunnelError(words, final=code.startswith(_FINAL) and code not in _PASSING)
