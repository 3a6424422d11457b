"""The audit log as it is written: every request that changes something goes through here.

A change is kept before its answer goes out. What can't be kept is said in the log, and the change holds nevertheless:
somebody has to be able to make room on a full disk. Of what a request brings, names of fields are kept, and values only
of those that are no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from framecast.core.errors import StateError
from framecast.core.limits import Quietly
from framecast.service.access.rights import Grant, Right
from framecast.service.config import mask_url
from framecast.service.errors import ApiError
from framecast.service.front.bodies import FIELDS
from framecast.service.front.routing import Call, Route
from framecast.service.store.audit import AuditLog, Kind

log = logging.getLogger("framecast.service.operations.trail")

WHO = web.RequestKey("who", str)
"""Key of a request under which a handler leaves the holder that it let in."""
ACTIONS = {
    "POST /api/v1/cameras": "added a camera",
    "PATCH /api/v1/cameras/{id}": "changed a camera",
    "DELETE /api/v1/cameras/{id}": "removed a camera",
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
    return route.right in _CHANGING or route.tag == "access"


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
            await self._keep(call, _detail(call.request.get(FIELDS, {}), call.query), kind)
        return response

    async def _keep(self, call: Call, detail: str, kind: Kind) -> None:
        route, fields = call.route, call.request.get(FIELDS, {})
        key = f"{route.method} {route.path}"
        action = ("tried: " if kind is Kind.FAILED else "") + ACTIONS.get(key, key)
        target = call.parameter or next((_text(name, fields[name]) for name in _TARGETS if fields.get(name)), "")
        who = call.request.get(WHO) or _who(call.grant)
        try:
            await self._blocking(lambda: self.kept.add(who, call.client.address, action, target, detail, kind=kind))
        except StateError as error:
            if self._quietly.due():
                log.error("the audit log can't be written (%s): %s %s %s", error, who, action, target)


def _who(grant: Grant) -> str:
    """Words for who asks."""
    return grant.name or ("anybody at this machine" if grant.kind == "open" else "somebody")


def _detail(fields: Mapping[str, Any], query: Mapping[str, str]) -> str:
    """What a request set, without secrets: ``name=Door, password``."""
    words = [_field(name, value) for name, value in fields.items()]
    words += [f"{name}={value}" for name, value in query.items() if name in ("forget", "everywhere")]
    return ", ".join(words)


def _field(name: str, value: Any) -> str:
    return f"{name}={_text(name, value)}" if name in SHOWN | URLS else name


def _text(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(each) for each in value)[:200] or "none"
    text = str(value)
    return mask_url(text) if name in URLS else text.partition("?")[0] if name == "path" else text
