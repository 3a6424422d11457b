"""What requests hold, as JSON Schema: for the reference, and for programs that make requests from it.

They describe what handlers check themselves; nothing is validated by them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framecast.core.ladder import AUTO, NAMED
from framecast.service.access.links import LONGEST_S
from framecast.service.api.query import MAX_BYTES, MOST_FPS, OVERLAYS, WIDTH_PX
from framecast.service.config import CAMERA_ID, CameraConfig
from framecast.service.config.schema import runtime_settings
from framecast.service.events.rules import DIRECTIONS, KINDS, NOBODY, SINKS

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "string", "enum": ["0", "1"]}
ID: Schema = {"type": "string", "pattern": f"^{CAMERA_ID.pattern}$"}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


QUERY: dict[str, Schema] = {
    "fps": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_FPS},
    "width": _whole(*WIDTH_PX),
    "quality": {"anyOf": [_whole(1, 100), {"type": "string", "enum": [*NAMED, AUTO]}]},
    "overlay": {"type": "string", "enum": ["", *OVERLAYS, ",".join(OVERLAYS)]},
    "max_bytes": _whole(*MAX_BYTES),
    "max_age": {"type": "number", "minimum": 0, "maximum": 86_400},
    "advance": FLAG,
    "forget": FLAG,
    "everywhere": FLAG,
    "all": FLAG,
    "once": FLAG,
    "camera": ID,
    "kind": {"type": "string", "enum": [*KINDS]},
    "limit": {"type": "integer", "minimum": 1},
    "_HLS_msn": {"type": "integer", "minimum": 0},
    "_HLS_part": {"type": "integer", "minimum": 0},
}
"""Query parameters by name; what is not among them is text."""


def _object(properties: Schema, *, required: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_CONFIG = CameraConfig.model_json_schema(ref_template="#/components/schemas/{model}")
_FIELDS: dict[str, Schema] = _CONFIG["properties"]
_ROLE: Schema = {"type": "string", "enum": ["owner", "viewer"]}
_SOME_CAMERAS: Schema = {"type": "array", "minItems": 1, "items": ID}
_RIGHTS: Schema = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["watch", "operate", "publish"]}}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_POINT: Schema = {"type": "array", "minItems": 2, "maxItems": 2, "items": _SHARE}
_DRAWN = _object(
    {
        "name": TEXT,
        "kind": {"type": "string", "enum": ["zone", "line"]},
        "points": {"type": "array", "minItems": 2, "maxItems": 64, "items": _POINT},
    },
    required=("name", "kind", "points"),
)
_TEXTS: Schema = {"type": "array", "items": TEXT}
_SECONDS: Schema = {"type": "number", "minimum": 0, "maximum": 86_400}
_CLOCK: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}
_RULE: Schema = {
    "name": TEXT,
    "cameras": {"type": "array", "items": ID},
    "kind": {"type": "string", "enum": [*KINDS]},
    **dict.fromkeys(("labels", "names"), _TEXTS),
    **dict.fromkeys(("zone", "line"), TEXT),
    "direction": {"type": "string", "enum": [*DIRECTIONS]},
    "min_score": _SHARE,
    **dict.fromkeys(("for_s", "cooldown_s"), _SECONDS),
    "quiet": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": _CLOCK}},
    "enabled": {"type": "boolean"},
    "notify": {"type": "array", "items": {"type": "string", "enum": [*SINKS, NOBODY]}},
}

_NAMED = _object({"name": TEXT}, required=("name",))

BODIES: dict[tuple[str, str], Schema] = {
    ("POST", "/api/v1/cameras"): _object({"id": ID, **_FIELDS}, required=("url",)),
    ("PATCH", "/api/v1/cameras/{id}"): _object({name: _or_null(field) for name, field in _FIELDS.items()}),
    ("PATCH", "/api/v1/cameras/{id}/settings"): _object({name: _or_null(field) for name, field in _FIELDS.items()}),
    ("PATCH", "/api/v1/settings"): _object({key: _or_null(field) for key, field in runtime_settings().items()}),
    ("POST", "/api/v1/probe"): _object({"url": TEXT, "camera": ID, "username": TEXT, "password": TEXT}),
    ("POST", "/api/v1/session"): _object({"key": TEXT, "name": TEXT, "password": TEXT}),
    ("POST", "/api/v1/tunnel"): _object(
        {
            "provider": {"type": "string", "enum": ["ngrok", "cloudflare"]},
            **{name: _or_null(TEXT) for name in ("domain", "authtoken", "cloudflare_token")},
        }
    ),
    ("POST", "/api/v1/setup/code"): _object({"code": TEXT}, required=("code",)),
    ("POST", "/api/v1/setup"): _object({"code": TEXT, "name": TEXT, "password": TEXT}, required=("code", "password")),
    ("POST", "/api/v1/password"): _object({"old": TEXT, "new": TEXT}, required=("old", "new")),
    ("POST", "/api/v1/users"): _object(
        {"name": TEXT, "role": _ROLE, "cameras": _or_null(_SOME_CAMERAS), "password": TEXT}, required=("name", "role")
    ),
    ("PATCH", "/api/v1/users/{name}"): _object(
        {
            "role": _ROLE,
            "cameras": _or_null(_SOME_CAMERAS),
            "password": TEXT,
            "disabled": {"type": "boolean"},
            "invite": {"type": "boolean"},
        }
    ),
    ("POST", "/api/v1/tokens"): _object(
        {"name": TEXT, "rights": _RIGHTS, "cameras": _or_null(_SOME_CAMERAS)},
        required=("name", "rights"),
    ),
    ("POST", "/api/v1/push/subscriptions"): {
        "type": "object",
        "required": ["endpoint", "keys"],
        "properties": {"endpoint": TEXT, "keys": _object({"p256dh": TEXT, "auth": TEXT}, required=("p256dh", "auth"))},
    },
    ("DELETE", "/api/v1/push/subscriptions"): _object({"endpoint": TEXT}, required=("endpoint",)),
    ("POST", "/api/v1/webhooks"): _object({"url": TEXT, "secret": _or_null(TEXT)}, required=("url",)),
    ("PUT", "/api/v1/cameras/{id}/zones"): _object({"zones": {"type": "array", "items": _DRAWN}}, required=("zones",)),
    ("POST", "/api/v1/rules"): _object(_RULE, required=("kind",)),
    ("PATCH", "/api/v1/rules/{rule}"): _object(_RULE),
    ("POST", "/api/v1/people"): _NAMED,
    ("PATCH", "/api/v1/people/{person}"): _NAMED,
    ("POST", "/api/v1/people/{person}/photos"): _object({"camera": ID}, required=("camera",)),
    ("POST", "/api/v1/people/unknown/{group}"): _NAMED,
    ("POST", "/api/v1/links"): _object({"path": TEXT, "ttl_s": _whole(1, LONGEST_S)}, required=("path",)),
}
"""JSON bodies by method and path."""

MAKING = frozenset(
    ("POST", f"/api/v1/{what}")
    for what in (
        *("cameras", "users", "tokens", "links", "webhooks", "rules", "push/subscriptions"),
        *("people", "people/{person}/photos"),
    )
)
"""Routes that answer 201."""


def body(method: str, path: str) -> Schema:
    """That of a JSON request to a route: any object where nothing more is known."""
    return BODIES.get((method, path), {"type": "object"})


def parameter(name: str) -> Schema:
    """That of a query parameter."""
    return QUERY.get(name, TEXT)


def part(name: str) -> Schema:
    """That of a part of the path."""
    return ID if name == "id" else TEXT
