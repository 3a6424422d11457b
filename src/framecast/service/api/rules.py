"""Rules, and the zones and lines they are about."""

from __future__ import annotations

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.errors import bad_request
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    events = service.events
    timeout_s = service.settings.limits.body_timeout_s

    async def zones(call: Call) -> web.StreamResponse:
        return json_response({"zones": events.zones(service.camera(call.parameter))})

    async def draw(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        fields = await read_json(call.request, timeout_s=timeout_s)
        if fields.keys() != {"zones"}:
            raise bad_request('Send {"zones": [{"name", "kind", "points"}]}', "bad_value")
        await events.set_zones(camera, fields["zones"])
        return json_response({"zones": events.zones(service.camera(call.parameter))})

    async def listing(call: Call) -> web.StreamResponse:
        return json_response({"rules": events.rules})

    async def add(call: Call) -> web.StreamResponse:
        made = await events.add_rule(await read_json(call.request, timeout_s=timeout_s))
        location = call.client.path(f"/api/v1/rules/{made['id']}")
        return json_response(made, status=201, headers={"Location": location})

    async def change(call: Call) -> web.StreamResponse:
        events.rule(call.parameter)
        fields = await read_json(call.request, timeout_s=timeout_s)
        return json_response(await events.change_rule(call.parameter, fields))

    async def remove(call: Call) -> web.StreamResponse:
        await events.remove_rule(call.parameter)
        return web.Response(status=204)

    operate = Right.OPERATE
    drawn, rules = "/api/v1/cameras/{id}/zones", "/api/v1/rules"
    body = "name, kind, cameras?, labels?, names?, zone?, line?, direction?, min_score?, for_s?, cooldown_s?, quiet?, …"
    return [
        Route("GET", drawn, Right.WATCH, zones, "Zones and lines drawn on the camera's picture.", tag="events"),
        Route(
            "PUT",
            drawn,
            operate,
            draw,
            "Draw these zones and lines in place of those there are.",
            body="zones: [{name, kind (zone, line), points: [[x, y], …]}]",
            tag="events",
        ),
        Route("GET", rules, operate, listing, "What is to become an event, and who is told.", tag="events"),
        Route("POST", rules, operate, add, "Add a rule.", body=body, tag="events"),
        Route("PATCH", rules + "/{rule}", operate, change, "Change a rule.", body=body, tag="events"),
        Route("DELETE", rules + "/{rule}", operate, remove, "Remove a rule.", answer="204", tag="events"),
    ]
