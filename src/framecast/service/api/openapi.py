"""The table of routes as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from framecast import __version__
from framecast.service.access.rights import Right
from framecast.service.api import schemas
from framecast.service.api.answers import ANSWERS
from framecast.service.api.sound import BODY as SOUND
from framecast.service.config import CameraConfig
from framecast.service.front.routing import Route

JSON = "application/json"
_KIND = re.compile(r"[\w-]+/[\w.+-]+")
"""A media type, without its parameters."""
_ERROR = {"$ref": "#/components/schemas/Error"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.path.replace(":path}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Framecast",
            "version": __version__,
            "description": "Reads a small camera once and gives every frame to everyone, live.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["code", "message"],
                            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                        }
                    },
                },
                "CameraConfig": CameraConfig.model_json_schema(),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "basic": {"type": "http", "scheme": "basic", "description": "The password is the token."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "framecast_session"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schemas.part(name)}
        for name in re.findall(r"{(\w+)", route.path)
    ]
    parameters.extend(
        {"name": name, "in": "query", "required": False, "description": text, "schema": schemas.parameter(name)}
        for name, text in route.query.items()
    )
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.tag],
        "x-right": route.right.value,
        "responses": {
            _success(route): {"description": route.answer, **_content(route)},
            "4XX": {"description": "What is wrong", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        operation["requestBody"] = {"description": route.body, "content": _body(route)}
    if route.right is not Right.PUBLIC:
        operation["security"] = [{"bearer": []}, {"apiKey": []}, {"basic": []}, {"cookie": []}]
    return operation


def _success(route: Route) -> str:
    if route.websocket:
        return "101"
    if route.answer[:3].isdigit():
        return route.answer[:3]
    return "201" if (route.method, route.path) in schemas.MAKING else "200"


def _content(route: Route) -> dict[str, Any]:
    if route.websocket:
        return {}
    if route.answer == "file":
        return {"content": {"*/*": {"schema": {}}}}
    schema = ANSWERS.get((route.method, route.path), {})
    kinds = _KIND.findall(route.answer)
    content = {kind: {"schema": schema if kind == JSON else {}} for kind in kinds}
    return {"content": content} if content else {}


def _body(route: Route) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    if route.body == SOUND:
        return {"application/octet-stream": {"schema": binary}}
    if route.tag in ("publish", "compatibility"):
        form = {"type": "object", "properties": {"frame": binary}}
        return {"image/jpeg": {"schema": binary}, "multipart/form-data": {"schema": form}}
    if route.body.startswith("application/"):
        return {route.body: {"schema": binary}}
    return {"application/json": {"schema": schemas.body(route.method, route.path)}}
