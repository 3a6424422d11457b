"""Browsers that want to be told of events though no page is open."""

from __future__ import annotations

import time

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.errors import ApiError
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

SUBSCRIPTIONS = "/api/v1/push/subscriptions"
_LASTING = frozenset({"open", "user", "token"})
"""Kinds of grants that somebody keeps: a link ends, and who shows nothing is nobody."""


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    browsers = service.deliveries.browsers
    timeout_s = service.settings.limits.body_timeout_s

    def holder(call: Call) -> str:
        if call.grant.kind not in _LASTING or call.grant.in_address:
            raise ApiError(403, "no_account", "Notifications are sent to somebody: log in first")
        return "" if call.grant.kind == "open" else call.grant.name

    async def key(call: Call) -> web.StreamResponse:
        return json_response({"key": await browsers.key()})

    async def subscribe(call: Call) -> web.StreamResponse:
        whose = holder(call)
        stamp = service.keyring.stamp_of_secret(whose) if whose else ""

        def see_that_they_are_in() -> None:
            if whose and service.keyring.grant_of_holder(whose, call.grant.session) is None:
                raise ApiError(401, "unauthorised", "This session was ended meanwhile")

        fields = await read_json(call.request, timeout_s=timeout_s)
        made = await browsers.subscribe(
            fields,
            holder=whose,
            stamp=stamp,
            agent=call.request.headers.get("User-Agent", ""),
            now_s=time.time(),
            check=see_that_they_are_in,
        )
        return json_response({"sink": made}, status=201)

    async def unsubscribe(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        is_owner = call.grant.has(Right.OWN)
        await browsers.unsubscribe(fields.get("endpoint"), holder=holder(call), is_owner=is_owner)
        return web.Response(status=204)

    watch = Right.WATCH
    return [
        Route("GET", "/api/v1/push/key", watch, key, "The key by which push services know this server.", tag="events"),
        Route(
            "POST",
            SUBSCRIPTIONS,
            watch,
            subscribe,
            "Notify this browser of events at cameras that may be watched.",
            body="PushSubscription.toJSON(): endpoint, keys: {p256dh, auth}",
            tag="events",
        ),
        Route(
            "DELETE",
            SUBSCRIPTIONS,
            watch,
            unsubscribe,
            "Notify this browser no more.",
            body="endpoint",
            answer="204",
            tag="events",
        ),
    ]
