"""The tunnel of a server: at most one, opened at the start or by a command, watched, and opened again when it breaks.

    off ──start──▶ starting ──▶ online ◀──▶ waiting ──(ended)──▶ starting, after a pause
                      └──(no use in trying again)──▶ failed

No server is shown to the internet that nobody has protected: without an account or token `start` refuses, and when the
last of them goes, so does the tunnel.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from framecast.core.supervise import Backoff, Supervisor
from framecast.service.config.kinds import check_host_name
from framecast.service.config.sections import TunnelSettings
from framecast.service.errors import ApiError, bad_request
from framecast.service.tunnel import ngrok
from framecast.service.tunnel.cloudflared import Cloudflared
from framecast.service.tunnel.entrance import Entrance, ProviderName
from framecast.service.tunnel.provider import Provider, TunnelError
from framecast.service.tunnel.selftest import Result, SelfTest

log = logging.getLogger("framecast.service.tunnel")

STEADY_S = 60.0
"""A tunnel that held this long begins again with the first pause."""
ANSWER_S = 0.5
"""Time for an answer to get through a tunnel that is closed next."""
LOOK_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses in front of each try of the self-test: a new name takes a while until everybody knows it."""


class Phase(StrEnum):
    """How a tunnel is."""

    OFF = "off"
    STARTING = "starting"
    ONLINE = "online"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What tunnel somebody wants; what is left empty is taken from the settings."""

    provider: ProviderName
    domain: str = ""
    authtoken: str = field(default="", repr=False)
    cloudflare_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Status:
    """How the tunnel is.

    Attributes:
        state: See `Phase`.
        provider: Whose; None when off.
        url: The public address, without a path; None until it is known.
        since: Since when it is in this state, in Unix seconds; None when off.
        reconnects: How often it came back after having been interrupted.
        error: Why it waits, or failed; empty when all is well.
        selftest: What the latest look from outside found.
        status_page: Where this machine's status page is; None when there is none.
    """

    state: Phase = Phase.OFF
    provider: ProviderName | None = None
    url: str | None = None
    since: float | None = None
    reconnects: int = 0
    error: str = ""
    selftest: Result | None = None
    status_page: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


Open = Callable[[int], Awaitable[int]]
"""Listens on a port of 127.0.0.1, 0 for any, and gives the one taken."""


class Tunnel:
    """The tunnel of a server.

    Args:
        settings: What is configured.
        supervisor: Owner of its tasks.
        refusal: Why this server may not be shown to the internet; empty when it may.
        entrance: Told whose tunnel it is.
        backoff: Pauses between tries.
        selftest: The look from outside.

    Attributes:
        status: How it is; another object after each change.
        on_change: Called with the new status after each change.
        open_entrance: Opens the port by which it comes in; given by whoever listens.
        close_entrance: Closes that, and every connection that came by it.
        open_page: Opens the status page, and gives its address.
        close_page: Closes that.
    """

    def __init__(
        self,
        settings: TunnelSettings,
        supervisor: Supervisor,
        refusal: Callable[[], str],
        *,
        entrance: Entrance,
        backoff: Backoff | None = None,
        selftest: SelfTest | None = None,
    ) -> None:
        self.status = Status()
        self.on_change: list[Callable[[Status], None]] = []
        self.open_entrance: Open = _closed
        self.close_entrance: Callable[[], Awaitable[None]] = _nothing
        self.open_page: Callable[[], Awaitable[str | None]] = _nothing
        self.close_page: Callable[[], Awaitable[None]] = _nothing
        self.providers: dict[ProviderName, Callable[[Wish], Provider]] = {
            "ngrok": lambda wish: ngrok.Ngrok(wish.authtoken, domain=wish.domain),
            "cloudflare": lambda wish: Cloudflared(
                settings.cloudflared, token=wish.cloudflare_token, domain=wish.domain
            ),
        }
        self.selftest = selftest or SelfTest()
        self._settings = settings
        self._supervisor = supervisor
        self._refusal = refusal
        self._entrance = entrance
        self._backoff = backoff or Backoff(first_s=1.0, cap_s=60.0)
        self._wish: Wish | None = None
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def public_url(self) -> str | None:
        """Where the server is found from everywhere, without a path; None while that leads nowhere."""
        return self.status.url if self.status.state is Phase.ONLINE else None

    @property
    def runs(self) -> bool:
        """Whether there is a tunnel, or is about to be one."""
        return self.status.state not in (Phase.OFF, Phase.FAILED)

    def is_buffered_for(self, host: str) -> bool:
        """Whether answers to somebody who calls this server ``host`` are held back on the way, as far as is known."""
        result = self.status.selftest
        return self.leads(host) and result is not None and result.verdict == "buffered"

    def configured(self) -> Wish | None:
        """The tunnel that is to be opened at the start; None for none."""
        return self._filled(Wish(self._settings.provider)) if self._settings.provider else None

    def wish(self, body: dict[str, Any]) -> Wish:
        """The tunnel that a request asks for.

        Raises:
            ApiError: It makes no sense.
        """
        texts: dict[str, str] = {}
        for name, value in body.items():
            if name not in ("provider", "domain", "authtoken", "cloudflare_token"):
                raise bad_request(f"{name[:40]!r} is not known; send provider, and domain or a token", "bad_value")
            if value is not None and (not isinstance(value, str) or len(value) > 4096 or not value.isprintable()):
                raise bad_request(f"{name}: a text is needed", "bad_value")
            texts[name] = (value or "").strip()
        try:
            domain = check_host_name(texts.get("domain", ""))
        except ValueError as error:
            raise bad_request(f"domain: {error}", "bad_value") from None
        provider = texts.get("provider") or self._settings.provider or self._likely()
        if provider not in self.providers:
            raise bad_request("provider: one of ngrok, cloudflare", "bad_value")
        wish = Wish(provider, domain, texts.get("authtoken", ""), texts.get("cloudflare_token", ""))
        return self._filled(wish)

    async def start(self, wish: Wish) -> None:
        """Begin to open a tunnel; the same one again changes nothing.

        Raises:
            ApiError: This server may not be shown, another tunnel runs, or the port can't be had.
        """
        async with self._changing:
            refusal = self._refusal() or self._lacks(wish)
            if refusal:
                raise ApiError(409, "not_exposed", refusal)
            if self.runs and wish == self._wish:
                return
            if self.runs:
                raise ApiError(409, "tunnel_runs", f"A tunnel of {self.status.provider} runs already; stop it first")
            await self._stop()
            self._entrance.provider, self._entrance.host = wish.provider, ""
            try:
                port = await self.open_entrance(self._settings.port)
            except OSError as error:
                words = f"Port {self._settings.port} (tunnel.port) can't be opened on 127.0.0.1: {error.strerror}"
                raise ApiError(409, "port_taken", words) from None
            self._wish = wish
            self._backoff.reset()
            self._set(
                Status(Phase.STARTING, wish.provider, since=_now(), status_page=await self.open_page()),
            )
            self._task = self._supervisor.spawn("tunnel", self._keep(wish, port), self._broke)

    async def stop(self) -> None:
        """Close the tunnel, and every connection that came through it."""
        async with self._changing:
            await self._stop()

    def stop_after_answer(self) -> None:
        """Close it when somebody who came through it has had the time to be told so."""
        self._supervisor.spawn("tunnel's end", self._stop_later(self._task))

    async def _stop_later(self, task: asyncio.Task[None] | None) -> None:
        await asyncio.sleep(ANSWER_S)
        if self._task is task:
            await self.stop()

    def leads(self, host: str) -> bool:
        """Whether whoever calls this server ``host`` came through it."""
        return self.status.url == f"https://{host}"

    async def look(self) -> Result:
        """Look at this server from outside, now.

        Raises:
            ApiError: There is no public address.
        """
        url = self.status.url
        if url is None or self.status.state is not Phase.ONLINE:
            raise ApiError(409, "no_tunnel", "There is no tunnel that is online")
        result = await self.selftest.run(url)
        if url == self.status.url:
            self._set(replace(self.status, selftest=result))
        return result

    def check(self) -> None:
        """Close the tunnel when there is nothing left that protects the server."""
        if self.runs and self._refusal():
            log.warning("the tunnel is closed: %s", self._refusal())
            self._supervisor.spawn("tunnel's end", self.stop())

    # What providers report

    def online(self, url: str) -> None:
        """See `Report.online`."""
        before = self.status
        if before.state is Phase.ONLINE and before.url == url:
            return
        self._entrance.host = url.removeprefix("https://").rstrip("/")
        came_back = before.state is not Phase.ONLINE and before.url is not None
        self._set(
            replace(
                before,
                state=Phase.ONLINE,
                url=url,
                since=_now(),
                error="",
                reconnects=before.reconnects + came_back,
                selftest=before.selftest if before.url == url else None,
            )
        )
        if before.url not in (None, url):
            log.warning("the tunnel has another address now: %s", url)
        else:
            log.info("the tunnel is online: %s", url)
        if self._looking is None or self._looking.done() or before.url != url:
            if self._looking is not None:
                self._looking.cancel()
            self._looking = self._supervisor.spawn("tunnel's self-test", self._look_until_reached(url))

    def waiting(self, reason: str) -> None:
        """See `Report.waiting`."""
        log.warning("the tunnel is interrupted: %s", reason)
        before = self.status
        since = before.since if before.state is Phase.WAITING else _now()
        self._set(replace(before, state=Phase.WAITING, since=since, error=reason))

    async def _keep(self, wish: Wish, port: int) -> None:
        """Open the tunnel, and open it again."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                await self.providers[wish.provider](wish).run(port, self)
            except TunnelError as error:
                if error.final:
                    self._fail(str(error))
                    await self.close_entrance()
                    return
                reason = str(error)
            else:
                reason = "it ended"
            if loop.time() - began_s > STEADY_S:
                self._backoff.reset()
            pause_s = self._backoff.next_s()
            log.warning("the tunnel is opened again in %.0f s: %s", pause_s, reason)
            state = Phase.WAITING if self.status.url else Phase.STARTING
            self._set(replace(self.status, state=state, since=_now(), error=reason))
            await asyncio.sleep(pause_s)

    async def _look_until_reached(self, url: str) -> None:
        """The self-test, until it reaches something."""
        for pause_s in LOOK_AGAIN_S:
            await asyncio.sleep(pause_s)
            if self.status.url != url or self.status.state is not Phase.ONLINE:
                return
            result = await self.look()
            if result.verdict in ("good", "buffered"):
                break
        severity = logging.INFO if result.verdict == "good" else logging.WARNING
        log.log(severity, "the tunnel's self-test: %s", result.words)

    def _broke(self, error: Exception) -> None:
        self._fail(f"something went wrong here ({type(error).__name__}); the log says what")
        self._supervisor.spawn("tunnel's way in", _awaited(self.close_entrance))

    def _fail(self, reason: str) -> None:
        log.error("there is no tunnel: %s", reason)
        self._set(replace(self.status, state=Phase.FAILED, url=None, since=_now(), error=reason, selftest=None))

    async def _stop(self) -> None:
        for task in (self._looking, self._task):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        self._looking = self._task = self._wish = None
        await self.close_entrance()
        await self.close_page()
        if self.status.state is not Phase.OFF:
            self._set(Status())

    def _set(self, status: Status) -> None:
        self.status = status
        for listener in self.on_change:
            listener(status)

    def _filled(self, wish: Wish) -> Wish:
        settings, by_ngrok = self._settings, wish.provider == "ngrok"
        return replace(
            wish,
            domain=wish.domain or settings.domain,
            authtoken=wish.authtoken or settings.authtoken if by_ngrok else "",
            cloudflare_token="" if by_ngrok else wish.cloudflare_token or settings.cloudflare_token,
        )

    def _lacks(self, wish: Wish) -> str:
        """What else would have to be given."""
        if wish.cloudflare_token and not (wish.domain and self._settings.port):
            return "A tunnel made at Cloudflare needs its name (tunnel.domain) and the port it leads to (tunnel.port)"
        if wish.provider == "cloudflare" and wish.domain and not wish.cloudflare_token:
            return "A name at Cloudflare needs the tunnel's token (tunnel.cloudflare_token, or TUNNEL_TOKEN)"
        return ""

    def _likely(self) -> ProviderName:
        """Whose tunnel somebody means who names none."""
        return "ngrok" if self._settings.authtoken else "cloudflare"


def _now() -> float:
    return round(time.time(), 1)


async def _awaited(close: Callable[[], Awaitable[None]]) -> None:
    await close()


async def _nothing() -> None:
    return None


async def _closed(port: int) -> int:
    raise OSError(errno.ENOTCONN, "the server doesn't listen yet")
