"""The audit log as it is written: every request that changes something goes through here.

A change is kept before its answer goes out. What can't be kept is said in the log, and the change holds nevertheless:
somebody has to be able to make room on a full disk. Of what a request brings, names of fields are kept, and values only
of those that are no secret.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from framecast.core.errors import StateError
from framecast.core.limits import Quietly
from framecast.service.access.rights import Grant, Right
from framecast.service.config import mask_url
from framecast.service.config.eventurls import mask_webhook_url
from framecast.service.errors import ApiError
from framecast.service.front.bodies import FIELDS
from framecast.service.front.routing import Call, Route
from framecast.service.store.audit import AuditLog, Kind

log = logging.getLogger("framecast.service.operations.trail")

LINKS = "/api/v1/links"
WEBHOOKS = "/api/v1/webhooks"
SETTINGS = "/api/v1/settings"
WINDOW_S = 60.0
MOST_THINGS = 20
MOST_HOLDERS = 1000
WHO = web.RequestKey("who", str)
"""Key of a request under which a handler leaves the holder that it let in."""
ACTIONS = {
    "POST /api/v1/cameras": "added a camera",
    "PATCH /api/v1/cameras/{id}": "changed a camera",
    "DELETE /api/v1/cameras/{id}": "removed a camera",
    "PATCH /api/v1/cameras/{id}/settings": "changed a camera",
    "PATCH /api/v1/settings": "changed settings",
    "POST /api/v1/cameras/{id}/restart": "restarted a camera",
    "POST /api/v1/probe": "probed a camera",
    "POST /api/v1/session": "logged in",
    "DELETE /api/v1/session": "logged out",
    "POST /api/v1/setup": "set a first password",
    "POST /api/v1/setup/code": "opened a link for a password",
    "POST /api/v1/password": "changed the own password",
    "DELETE /api/v1/sessions/{session}": "ended a session",
    "POST /api/v1/users": "added a person",
    "PATCH /api/v1/users/{name}": "changed a person",
    "DELETE /api/v1/users/{name}": "removed a person",
    "POST /api/v1/tokens": "made a token",
    "DELETE /api/v1/tokens/{name}": "revoked a token",
    "POST /api/v1/links": "made a link",
    "PUT /api/v1/cameras/{id}/zones": "drew zones",
    "POST /api/v1/rules": "added a rule",
    "PATCH /api/v1/rules/{rule}": "changed a rule",
    "DELETE /api/v1/rules/{rule}": "removed a rule",
    "DELETE /api/v1/events/{event}": "deleted an event",
    "POST /api/v1/people": "made a face's person",
    "PATCH /api/v1/people/{person}": "renamed a face's person",
    "DELETE /api/v1/people/{person}": "forgot a face",
    "POST /api/v1/people/{person}/photos": "added a photo of a face",
    "DELETE /api/v1/people/{person}/photos/{name:path}": "removed a photo of a face",
    "POST /api/v1/people/unknown/{group}": "named an unknown face",
    "DELETE /api/v1/people/unknown/{group}": "forgot an unknown face",
    "POST /api/v1/webhooks": "added a webhook",
    "DELETE /api/v1/webhooks/{webhook}": "removed a webhook",
    "POST /api/v1/events/sinks/{sink}/test": "tested a receiver of events",
    "POST /api/v1/push/subscriptions": "had a browser notified",
    "DELETE /api/v1/push/subscriptions": "had a browser notified no more",
    "POST /api/v1/tunnel": "opened the tunnel",
    "DELETE /api/v1/tunnel": "closed the tunnel",
    "POST /api/v1/tunnel/selftest": "tested the tunnel",
}
"""What a route does, as the log says it; others are named as they are."""
SHOWN = frozenset(
    {
        "name",
        "role",
        "rights",
        "cameras",
        "disabled",
        "invite",
        "path",
        "ttl_s",
        "provider",
        "domain",
        "policy",
        "preset",
    }
    | {"rotate", "mirror", "public", "publish_from", "allow_query_key", "talk", "grace_s", "stall_timeout_s", "camera"}
)
"""Fields of requests whose values are kept."""
URLS = frozenset({"url", "audio_url"})
_TARGETS = ("id", "name", "camera", "path", "url")
_CHANGING = frozenset({Right.OPERATE, Right.OWN})
_PASSING = frozenset({"talk", "watch"})


def is_kept(route: Route) -> bool:
    """Whether calls of this route belong into the log: those that change something, and those that let somebody in."""
    if route.method == "GET" or route.tag in _PASSING:
        return False
    return route.right is not Right.PUBLISH


class Trail:
    """Writes the log.

    Args:
        kept: Where.
        blocking: Runs a call on the state's thread.
    """

    def __init__(self, kept: AuditLog, blocking: Callable[..., Awaitable[Any]]) -> None:
        self.kept = kept
        self._blocking = blocking
        self._quietly = Quietly(60.0)
        self._links = Repeats()

    async def answer(self, call: Call) -> web.StreamResponse:
        """Have a call answered, and keep what it did.

        Raises:
            ApiError: Of the handler; a log-in that failed is kept, too.
        """
        if not is_kept(call.route):
            return await call.route.handler(call)
        try:
            response = await call.route.handler(call)
        except ApiError as error:
            if error.status in (401, 403) and call.route.right is Right.PUBLIC:
                await self._keep(call, error.code, Kind.FAILED)
            raise
        if response.status < 400 and (call.request.get(WHO) or call.grant.name or call.grant.kind == "open"):
            # Who is nobody and logs out, with a cookie of old or of no worth, has done nothing.
            kind = Kind.CHANGE if call.route.right in _CHANGING else Kind.COMMON
            detail = _detail(call)
            if call.route.path == LINKS:
                more = self._links.more(_who(call.grant), _folder(call), time.monotonic())
                if more is None:
                    return response
                detail += f", and {more} more before" if more else ""
            await self._keep(call, detail, kind)
        return response

    async def _keep(self, call: Call, detail: str, kind: Kind) -> None:
        route, fields = call.route, call.request.get(FIELDS, {})
        key = f"{route.method} {route.path}"
        action = ("tried: " if kind is Kind.FAILED else "") + ACTIONS.get(key, key)
        target = call.parameter or next((_text(route, name, fields[name]) for name in _TARGETS if fields.get(name)), "")
        who = call.request.get(WHO) or _who(call.grant)
        try:
            await self._blocking(lambda: self.kept.add(who, call.client.address, action, target, detail, kind=kind))
        except StateError as error:
            if self._quietly.due():
                log.error("the audit log can't be written (%s): %s %s %s", error, who, action, target)


class Repeats:
    """What may be done many times a second, and costs nothing but its rows: who may write how many.

    Within `WINDOW_S` a holder gets one row for each thing, and `MOST_THINGS` in all; the rest is counted.
    """

    def __init__(self) -> None:
        self._holders: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        """Holders that are remembered."""
        return len(self._holders)

    def more(self, who: str, what: str, now_s: float) -> int | None:
        """How many times no row was written since the last one; None when none is to be written now either."""
        window = self._holders.get(who)
        if window is None or now_s - window.began_s >= WINDOW_S:
            window = self._holders[who] = _Window(now_s, 0 if window is None else window.left_out)
            self._holders.move_to_end(who)
            while len(self._holders) > MOST_HOLDERS:
                self._holders.popitem(last=False)
        if what in window.things or len(window.things) >= MOST_THINGS:
            window.left_out += 1
            return None
        window.things.add(what)
        left_out, window.left_out = window.left_out, 0
        return left_out


@dataclass(slots=True)
class _Window:
    began_s: float
    left_out: int
    things: set[str] = field(default_factory=set)


def _folder(call: Call) -> str:
    """The path of a link, or the folder that one of HLS opens as a whole."""
    path = str(call.request.get(FIELDS, {}).get("path", "")).partition("?")[0]
    return path.partition("/hls/")[0]


def _who(grant: Grant) -> str:
    """Words for who asks."""
    return grant.name or ("anybody at this machine" if grant.kind == "open" else "somebody")


def _detail(call: Call) -> str:
    """What a request set, without secrets: ``name=Door, password``."""
    fields: Mapping[str, Any] = call.request.get(FIELDS, {})
    words = [_field(call.route, name, value) for name, value in fields.items()]
    words += [f"{name}={value}" for name, value in call.query.items() if name in ("forget", "everywhere")]
    return ", ".join(words)


def _field(route: Route, name: str, value: Any) -> str:
    is_shown = name in SHOWN | URLS or route.path == SETTINGS  # of which none is a secret
    return f"{name}={_text(route, name, value)}" if is_shown else name


def _text(route: Route, name: str, value: Any) -> str:
    if name == "cameras" and not value:
        return "all"
    if value is None:
        return "as configured"
    if isinstance(value, list):
        return " ".join(str(each) for each in value)[:200] or "none"
    text = str(value)
    if name in URLS:
        return mask_webhook_url(text) if route.path == WEBHOOKS else mask_url(text)
    return text.partition("?")[0] if name == "path" else text
