"""The page about the tunnel at http://localhost:4040/: for this machine only, to be looked at, with nothing to press.

Where the agents of tunnels have theirs, too. Whoever sits here may read it without logging in: it tells the public
address, which protects nothing, and how the tunnel is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from html import escape

from aiohttp import web

from framecast.service.access.rights import Access, Credential, Grant, Right
from framecast.service.config.sections import TunnelSettings
from framecast.service.errors import not_found
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route, Table
from framecast.service.tunnel import qr
from framecast.service.tunnel.door import Door
from framecast.service.tunnel.tunnel import Phase, Status, Tunnel

log = logging.getLogger("framecast.service.tunnel.statuspage")

REFRESH_S = 5
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_WORDS = {
    Phase.OFF: "There is no tunnel",
    Phase.STARTING: "The tunnel is being opened",
    Phase.ONLINE: "Online",
    Phase.WAITING: "Interrupted",
    Phase.FAILED: "The tunnel could not be opened",
}
_NAMES = {"ngrok": "ngrok", "cloudflare": "Cloudflare"}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh}">
<title>{state} – Framecast tunnel</title>
<link rel="stylesheet" href="status.css">
</head>
<body>
<main>
<h1>Framecast tunnel</h1>
<p class="state {css}">{state}</p>
{address}
<dl>
{rows}
</dl>
</main>
</body>
</html>
"""
_ADDRESS = """\
<p class="url"><a href="{url}" rel="noreferrer">{url}</a></p>
{code}"""
_CODE = '<p><img class="code" src="qr.svg" alt="QR code of the address" width="240" height="240"></p>'
_STYLE = """\
:root { color-scheme: light dark; --text: #1b1d1f; --quiet: #5a6067; --ground: #fff; --line: #dcdfe3; --good: #176b35;
  --bad: #a11d1d; --link: #0b57a4 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7e9eb; --quiet: #a2a9b0; --ground: #141618; --line: #33383d; --good: #6cc98a; --bad: #ff9a8f;
    --link: #8ec1ff }
}
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 40rem; margin: 0 auto; padding: 24px 16px }
h1 { margin: 0 0 16px; font-size: 20px; font-weight: 600 }
p { margin: 0 0 16px }
a { color: var(--link) }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.state { font-weight: 600 }
.online { color: var(--good) }
.waiting, .failed { color: var(--bad) }
.url { font-size: 18px; overflow-wrap: anywhere }
.code { display: block; max-width: 100%; height: auto }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 8px 16px; margin: 0; border-top: 1px solid var(--line);
  padding-top: 16px; font-variant-numeric: tabular-nums }
dt { color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 30rem) {
  dl { grid-template-columns: 1fr; gap: 0 }
  dd { margin-bottom: 8px }
}
"""


class _Nobody:
    """No accounts and no tokens."""

    def grant_of(self, credential: Credential, now_s: float) -> Grant | None:
        return None

    def __len__(self) -> int:
        return 0


OPEN = Access(_Nobody(), {}, loopback_only=True)
"""The page's rules: whoever connects may look, as on an open server, which answers to localhost's names only."""


def table(tunnel: Tunnel) -> Table:
    """The page's routes; all of them are for everybody who can connect."""

    async def page(call: Call) -> web.StreamResponse:
        body = render(tunnel.status, time.time()).encode()
        return web.Response(body=body, headers=_HTML)

    async def state(call: Call) -> web.StreamResponse:
        return json_response(tunnel.status.as_json())

    async def style(call: Call) -> web.StreamResponse:
        return web.Response(body=_STYLE.encode(), headers={"Content-Type": "text/css; charset=utf-8", **_FRESH})

    async def code(call: Call) -> web.StreamResponse:
        return code_of(tunnel.status)

    public = Right.PUBLIC
    return Table(
        [
            Route("GET", "/", public, page, "How the tunnel is.", answer="page"),
            Route("GET", "/status.json", public, state, "The same for programs."),
            Route("GET", "/status.css", public, style, "How the page looks.", answer="text/css"),
            Route("GET", "/qr.svg", public, code, "The public address as a QR code.", answer="image/svg+xml"),
        ]
    )


_FRESH = {"Cache-Control": "no-store"}
_HTML = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY, **_FRESH}


def code_of(status: Status) -> web.Response:
    """The public address as a QR code.

    Raises:
        ApiError: There is none, or nothing that draws it.
    """
    picture = qr.svg(status.url) if status.url else b""
    if not picture:
        raise not_found("There is no code: no public address, or segno is not installed")
    return web.Response(body=picture, headers={"Content-Type": "image/svg+xml", **_FRESH})


def doors(
    settings: TunnelSettings, door: Door
) -> tuple[Callable[[], Awaitable[str | None]], Callable[[], Awaitable[None]]]:
    """What opens the page, giving its address, and what closes it."""

    async def open_page() -> str | None:
        if not settings.status_page:
            return None
        try:
            port = await door.open(settings.status_port)
        except OSError as error:
            log.warning(
                "the tunnel's status page can't be opened on port %d (%s): choose another one, tunnel.status_port",
                settings.status_port,
                error.strerror,
            )
            return None
        return f"http://localhost:{port}/"

    return open_page, door.close


def render(status: Status, now_s: float) -> str:
    """The page as it is now."""
    rows = [("By", _NAMES.get(status.provider or "", "nobody"))]
    if status.since is not None:
        rows.append(("In this state since", f"{_time(status.since)} ({_ago(now_s - status.since)})"))
    rows.append(("Came back", f"{status.reconnects} time{'' if status.reconnects == 1 else 's'}"))
    if status.error:
        rows.append(("Why", status.error))
    result = status.selftest
    if result is not None:
        took = "" if result.first_ms is None else f", first line after {result.first_ms} ms"
        rows.append(("Self-test", f"{result.words} ({_time(result.time)}{took})"))
    elif status.url:
        rows.append(("Self-test", "not done yet"))
    address = ""
    if status.url:
        code = _CODE if qr.svg(status.url) else ""
        address = _ADDRESS.format(url=escape(status.url, quote=True), code=code)
    return _PAGE.format(
        refresh=REFRESH_S,
        state=_WORDS[status.state],
        css=status.state.value,
        address=address,
        rows="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows),
    )


def _time(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def _ago(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(0, seconds):.0f} s"
