"""Cloudflare's tunnel: their program `cloudflared` as a child of this process, watched as long as it lives.

It is the user's own program; none comes with Framecast. Without a token it makes a *quick tunnel*, under a name of
chance that is another one after each start, and says the name in its log only. With a token it serves a tunnel that was
made at Cloudflare, whose name and target are set there.

A child that crashes is started again by `Tunnel`, after a pause. One that has not connected in time, or whose metrics
server no longer answers, hangs: it is ended and counts as crashed. As long as that answers, a lost connection is its
own affair, since a new start would cost a quick tunnel its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import sys
from collections.abc import Mapping

from framecast.service.tunnel import cloudlog
from framecast.service.tunnel.provider import Report, TunnelError

log = logging.getLogger("framecast.service.tunnel.cloudflared")

CONNECT_TIMEOUT_S = 60.0
LOOK_PERIOD_S = 10.0
"""How often it is asked whether it is connected, and what it may take to answer."""
SILENT_LOOKS = 3
"""Questions in a row without an answer, after which it hangs."""
STOP_TIMEOUT_S = 1.5
FINAL = ("flag provided but not defined",)
FINAL_WITH_TOKEN = (*FINAL, "token is not valid", "unauthorized")
"""A quick tunnel is unauthorised, too, once Cloudflare has forgotten it: then the next one is made."""
GRACE = "1s"
"""Its own patience with open requests; a camera's stream never ends by itself."""
_PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})
"""Why the system starts no program at one moment and does at the next."""
_KEPT = ("TUNNEL_TRANSPORT_PROTOCOL", "TUNNEL_EDGE_IP_VERSION", "TUNNEL_EDGE_BIND_ADDRESS", "TUNNEL_REGION")
_OURS = ("FRAMECAST_", "NGROK_", "TUNNEL_")


class Cloudflared:
    """A tunnel of Cloudflare's.

    Args:
        program: Path of `cloudflared`, or its name in PATH.
        token: Of a tunnel made at Cloudflare; empty makes a quick tunnel.
        domain: That tunnel's name.
        connect_timeout_s: Time from its start until it has to be connected.
        look_period_s: See `LOOK_PERIOD_S`.
    """

    def __init__(
        self,
        program: str = "cloudflared",
        *,
        token: str = "",
        domain: str = "",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        look_period_s: float = LOOK_PERIOD_S,
    ) -> None:
        self._program = program
        self._token = token
        self._domain = domain
        self._connect_timeout_s = connect_timeout_s
        self._look_period_s = look_period_s

    async def run(self, port: int, report: Report) -> None:
        """See `Provider.run`."""
        found = shutil.which(self._program)
        if found is None:
            raise TunnelError(
                f"there is no program {self._program!r}: install cloudflared from Cloudflare, or name it in "
                "tunnel.cloudflared",
                final=True,
            )
        process = await self._start(found, port)
        url = f"https://{self._domain}" if self._token else ""
        child = _Child(process, report, url, self._connect_timeout_s, self._look_period_s)
        final = FINAL_WITH_TOKEN if self._token else FINAL
        try:
            await child.watch(final)
        finally:
            await _end(process)

    async def _start(self, program: str, port: int) -> asyncio.subprocess.Process:
        command = [program, "tunnel", "--no-autoupdate", "--grace-period", GRACE, "--metrics", "127.0.0.1:0"]
        # A configuration that lies about would turn a quick tunnel into something else.
        command += ["--config", os.devnull]
        # The token goes by the environment: arguments can be read by everybody on this machine.
        command += ["run"] if self._token else ["--url", f"http://127.0.0.1:{port}"]
        try:
            return await asyncio.create_subprocess_exec(
                *await _dying_with_us(),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environment(os.environ, self._token),
                start_new_session=True,  # Ctrl-C is for us; we end it in our own time
            )
        except OSError as error:
            passes = error.errno in _PASSING
            raise TunnelError(f"{program} can't be started: {error.strerror or error}", final=not passes) from None


class _Child:
    """A running `cloudflared`, and what is known of it."""

    def __init__(
        self, process: asyncio.subprocess.Process, report: Report, url: str, connect_timeout_s: float, period_s: float
    ) -> None:
        self._process = process
        self._report = report
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._connect_until_s = self._loop.time() + connect_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._period_s = period_s
        self._connections: set[int] = set()
        self._online = False
        self._was_online = False
        self._metrics: tuple[str, int] | None = None
        self._silent = 0
        self._trouble = ""
        self._explained = False
        """Whether it was told with a reason that the connection is lost."""

    async def watch(self, final: tuple[str, ...]) -> None:
        """Follow it until it ends or hangs; raises TunnelError.

        Args:
            final: Words, in small letters, after which it would end like this each time.
        """
        assert self._process.stderr is not None
        rest = b""
        look_s = self._loop.time() + self._period_s
        while True:
            data: bytes | None = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(look_s, self._deadline_s())):
                    data = await self._process.stderr.read(4096)
            if data == b"":
                break
            if data:
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-cloudlog.MAX_LINE :]
                for line in lines:
                    self._take(line.decode(errors="replace"))
            if self._loop.time() >= self._deadline_s():
                raise TunnelError(self._because(f"cloudflared has not connected within {self._connect_timeout_s:g} s"))
            if self._loop.time() >= look_s:
                await self._look()
                look_s = self._loop.time() + self._period_s
        if rest:
            self._take(rest.decode(errors="replace"))
        status = await self._process.wait()
        how = f"with status {status}" if status >= 0 else f"by signal {-status}"
        words = self._trouble.lower()
        raise TunnelError(self._because(f"cloudflared ended {how}"), final=any(hint in words for hint in final))

    def _deadline_s(self) -> float:
        return float("inf") if self._was_online else self._connect_until_s

    def _take(self, line: str) -> None:
        log.debug("%s", line)
        said = cloudlog.read(line)
        if said is None:
            return
        if said.kind == "url":
            self._url = said.text
        elif said.kind == "metrics":
            host, _, port = said.text.partition(" ")
            self._metrics = host, int(port)
        elif said.kind == "connected":
            self._connections.add(said.index)
        elif said.kind == "lost":
            self._connections.discard(said.index)
        if said.kind in ("lost", "trouble") and said.text:
            self._trouble = said.text
        self._tell(bool(self._connections))

    def _tell(self, connected: bool) -> None:
        """Report what has changed."""
        online = connected and bool(self._url)
        if online and not self._online:
            self._trouble = ""
            self._was_online = True
            self._report.online(self._url)
        elif self._was_online and not online and (self._online or (self._trouble and not self._explained)):
            # Asked, it may say that it is not connected before its log says why.
            self._explained = bool(self._trouble)
            self._report.waiting(self._because("cloudflared has lost its connection to Cloudflare"))
        self._online = online

    async def _look(self) -> None:
        """Ask it whether it is connected; raises TunnelError when it hasn't answered several times."""
        if self._metrics is None:
            return
        ready = await _is_ready(*self._metrics, timeout_s=self._period_s)
        if ready is None:
            self._silent += 1
            if self._silent >= SILENT_LOOKS:
                raise TunnelError("cloudflared hangs: it answers no more")
            return
        self._silent = 0
        if not ready:
            self._connections.clear()
        self._tell(ready)

    def _because(self, what: str) -> str:
        return f"{what} ({self._trouble})" if self._trouble else what


def environment(given: Mapping[str, str], token: str) -> dict[str, str]:
    """What the child gets to know of our environment: no secrets of ours, and no options that would change its task."""
    kept = {name: value for name, value in given.items() if name in _KEPT or not name.startswith(_OURS)}
    return {**kept, "TUNNEL_TOKEN": token} if token else kept


async def _is_ready(host: str, port: int, *, timeout_s: float) -> bool | None:
    """Whether it is connected, as its metrics server says; None when that doesn't answer."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /ready HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                status = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, ValueError):  # TimeoutError is an OSError
        return None
    return status[1] == b"200" if len(status) > 1 else None


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the child, gently first."""
    for stop in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()


async def _dying_with_us() -> list[str]:
    """What stands in front of a command that is not to outlive this process, where the system can do that.

    Killed, we could not end it, and it would go on leading strangers to a port that others may take.
    """
    setpriv = shutil.which("setpriv") if sys.platform.startswith("linux") else None
    if setpriv is None:
        return []
    prefix = [setpriv, "--pdeathsig", "TERM"]
    probe = await asyncio.create_subprocess_exec(
        *prefix, "true", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return prefix if await probe.wait() == 0 else []
