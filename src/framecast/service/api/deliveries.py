"""Who is told of events: how they are, a test of each, and webhooks."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.errors import bad_request
from framecast.service.events.webhooks import WebhookSink
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

SINKS = "/api/v1/events/sinks"
WEBHOOKS = "/api/v1/webhooks"


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    deliveries = service.deliveries
    timeout_s = service.settings.limits.body_timeout_s

    async def sinks(call: Call) -> web.StreamResponse:
        return json_response({"sinks": await deliveries.described()})

    async def test(call: Call) -> web.StreamResponse:
        await deliveries.test(call.parameter)
        return json_response({"success": True})

    async def webhooks(call: Call) -> web.StreamResponse:
        return json_response({"webhooks": [_described(each) for each in deliveries.webhooks()]})

    async def add(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        unknown = sorted(fields.keys() - {"url", "secret"})
        if unknown:
            raise bad_request(f"{unknown[0][:40]}: a webhook has url and secret", "bad_value")
        sink, secret = await deliveries.add_webhook(fields.get("url"), fields.get("secret"), trusted=call.grant.local)
        return json_response({**_described(sink), "secret": secret}, status=201)

    async def remove(call: Call) -> web.StreamResponse:
        await deliveries.remove_webhook(call.parameter)
        return web.Response(status=204)

    operate, own = Right.OPERATE, Right.OWN
    return [
        Route("GET", SINKS, operate, sinks, "Who is told of events, and whether they take it.", tag="events"),
        Route(
            "POST",
            SINKS + "/{sink}/test",
            operate,
            test,
            "Tell a receiver of events that this is a test.",
            tag="events",
        ),
        Route("GET", WEBHOOKS, own, webhooks, "The webhooks.", tag="events"),
        Route(
            "POST",
            WEBHOOKS,
            own,
            add,
            "Tell one more webhook; its secret is shown this once.",
            body="url, secret?",
            tag="events",
        ),
        Route("DELETE", WEBHOOKS + "/{webhook}", own, remove, "Tell a webhook no more.", answer="204", tag="events"),
    ]


def _described(sink: WebhookSink) -> dict[str, Any]:
    return {"id": sink.id, "sink": sink.name, "url": sink.label, "origin": sink.origin, "signed": sink.is_signed}
