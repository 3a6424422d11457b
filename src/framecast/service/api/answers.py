"""What JSON answers hold, as JSON Schema, for the reference: the fields of each, which may become more.

The fuzzer holds every answer against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES = {
    "text": "string",
    "whole": "integer",
    "number": "number",
    "flag": "boolean",
    "list": "array",
    "object": "object",
    "texts": "array",
}


def _fields(words: str, **inner: Schema) -> Schema:
    """An object by its fields' kinds: ``text: name state; whole?: size`` (``?``: or null); ``inner`` are others."""
    properties: dict[str, Schema] = dict(inner)
    for group in filter(str.strip, words.split(";")):
        kind, _, names = group.strip().partition(":")
        plain = _TYPES[kind.rstrip("?")]
        schema: dict[str, Any] = {"type": [plain, "null"] if kind.endswith("?") else plain}
        if kind.startswith("texts"):
            schema["items"] = {"type": "string"}
        properties |= dict.fromkeys(names.split(), schema)
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_CAMERA_FIELDS = (
    "text: id name url kind origin policy state reason; whole: number viewers; number: since; flag: talk;"
    "object?: video audio; object: connection counters latency_ms transform; list: renditions"
)
_CAMERA = _fields(_CAMERA_FIELDS)
_SETTING = _fields("text: origin accepted meaning; flag: changeable", value={}, default={})
_SETTINGS: Schema = {
    "type": "object",
    "required": ["settings"],
    "properties": {"settings": {"type": "object", "additionalProperties": _SETTING}},
}
_SESSION = _fields("flag: open accounts setup; texts: rights; texts?: cameras; text: name kind; text?: role public_url")
_USER = "text: name role; texts?: cameras; number: created; number?: last_used disabled invited"
_KEY = "text: name; texts: rights; texts?: cameras; number: created; number?: last_used revoked"
_TUNNEL = _fields(
    "text: state error; text?: provider url status_page; number?: since; whole: reconnects; object?: selftest;"
    "list: ports; texts: public"
)
_WEBHOOK = "text: id sink url origin; flag: signed"
_EVENT = _fields(
    "text: event_id camera camera_name rule rule_name kind label zone direction; texts: names; list: groups;"
    "number: score start; number?: end; list?: box; text?: picture; flag: quiet"
)
_EVENTS = _fields("text?: next", events=_list(_EVENT))
_RULE = _fields(
    "text: id name kind zone line direction reason; texts: cameras labels names notify; list: quiet;"
    "number: min_score for_s cooldown_s; flag: enabled"
)
_ZONES = _fields("", zones=_list(_fields("text: name kind; list: points")))
_PERSON = _fields(
    "whole: id; text: name; number: created; number?: last_seen", photos=_list(_fields("whole: n; text: url"))
)
_PICTURE = _fields("flag: success; whole: size clients", frame_id={"type": ["integer", "string"]})
_SOUND = _fields("flag: success; whole: chunk_id sequence size clients")

ANSWERS: dict[tuple[str, str], Schema] = {
    ("GET", "/api/v1/cameras"): _fields("", cameras=_list(_CAMERA)),
    ("POST", "/api/v1/cameras"): _CAMERA,
    ("GET", "/api/v1/cameras/{id}"): _CAMERA,
    ("PATCH", "/api/v1/cameras/{id}"): _CAMERA,
    ("GET", "/api/v1/cameras/{id}/settings"): _SETTINGS,
    ("PATCH", "/api/v1/cameras/{id}/settings"): _SETTINGS,
    ("GET", "/api/v1/settings"): _SETTINGS,
    ("PATCH", "/api/v1/settings"): _SETTINGS,
    ("GET", "/api/v1/cameras/{id}/stats"): _fields(f"{_CAMERA_FIELDS}; list: readers restream; object?: webrtc"),
    ("POST", "/api/v1/cameras/{id}/restart"): _fields("flag: success"),
    ("POST", "/api/v1/cameras/{id}/frames"): _PICTURE,
    ("PUT", "/api/v1/cameras/{id}/frames"): _PICTURE,
    ("POST", "/api/v1/cameras/{id}/audio"): _SOUND,
    ("POST", "/api/v1/devices/doorbell/camera-stream"): _PICTURE,
    ("POST", "/api/v1/devices/doorbell/mic-stream"): _SOUND,
    ("GET", "/api/v1/stream/stats"): _fields("flag: success; object: stats"),
    ("GET", "/api/robot/stream/stats"): _fields(
        "whole: active_clients jpeg_quality; flag: frame_cache_enabled; number: stream_fps; text: camera_resolution"
    ),
    ("GET", "/status"): _fields("whole: camera_clients viewer_clients; flag: streaming"),
    ("GET", "/api/v1/history"): _fields(
        "number: hours; whole: kept_hours step_s; texts: columns; object: cameras",
    ),
    ("GET", "/api/v1/system"): _fields(
        "text: version; flag: secure buffered; object?: https; texts: needs_https; text?: m5_camera"
    ),
    ("GET", "/api/v1/session"): _SESSION,
    ("POST", "/api/v1/session"): _SESSION,
    ("POST", "/api/v1/setup"): _SESSION,
    ("GET", "/api/v1/sessions"): _fields(
        "",
        sessions=_list(
            _fields(
                "text: id holder kind address agent; text?: role; number: created expires; number?: last_used;"
                "flag: current"
            )
        ),
    ),
    ("GET", "/api/v1/users"): _fields("", users=_list(_fields(_USER))),
    ("POST", "/api/v1/users"): _fields(_USER),
    ("PATCH", "/api/v1/users/{name}"): _fields(_USER),
    ("GET", "/api/v1/tokens"): _fields("", tokens=_list(_fields(_KEY))),
    ("POST", "/api/v1/tokens"): _fields(f"{_KEY}; text: secret"),
    ("POST", "/api/v1/links"): _fields("text: url; whole: expires"),
    ("GET", "/api/v1/audit"): _fields(
        "", entries=_list(_fields("whole: id; number: time; text: who address action target detail; flag: done"))
    ),
    ("GET", "/api/v1/events/sinks"): _fields(
        "",
        sinks=_list(
            _fields(
                "text: sink kind label state last_error; whole: waiting delivered given_up; number?: last retry_in_s"
            )
        ),
    ),
    ("POST", "/api/v1/events/sinks/{sink}/test"): _fields("flag: success"),
    ("GET", "/api/v1/cameras/{id}/detections"): _fields(
        "whole: frame_id epoch; text: pts_ns state reason; list: things motion; list?: region; number: share;object: ms"
    ),
    ("GET", "/api/v1/push/key"): _fields("text: key"),
    ("POST", "/api/v1/push/subscriptions"): _fields("text: sink"),
    ("GET", "/api/v1/webhooks"): _fields("", webhooks=_list(_fields(_WEBHOOK))),
    ("POST", "/api/v1/webhooks"): _fields(f"{_WEBHOOK}; text: secret"),
    ("GET", "/api/v1/events"): _EVENTS,
    ("GET", "/api/v1/cameras/{id}/events"): _EVENTS,
    ("GET", "/api/v1/events/{event}"): _EVENT,
    ("GET", "/api/v1/rules"): _fields("", rules=_list(_RULE)),
    ("POST", "/api/v1/rules"): _RULE,
    ("PATCH", "/api/v1/rules/{rule}"): _RULE,
    ("GET", "/api/v1/cameras/{id}/zones"): _ZONES,
    ("PUT", "/api/v1/cameras/{id}/zones"): _ZONES,
    ("GET", "/api/v1/models"): _fields(
        "text: wanted reason",
        models=_list(_fields("text: name kind licence about sha256 url; whole: size; flag: installed listed")),
    ),
    ("GET", "/api/v1/people"): _fields("", people=_list(_PERSON), faces=_fields("text: reason")),
    ("POST", "/api/v1/people"): _PERSON,
    ("PATCH", "/api/v1/people/{person}"): _PERSON,
    ("POST", "/api/v1/people/{person}/photos"): _PERSON,
    ("GET", "/api/v1/people/unknown"): _fields(
        "", unknown=_list(_fields("whole: group count; text: picture camera; number: first_seen; number?: last_seen"))
    ),
    ("POST", "/api/v1/people/unknown/{group}"): _PERSON,
    ("GET", "/api/v1/tunnel"): _TUNNEL,
    ("POST", "/api/v1/tunnel"): _TUNNEL,
    ("POST", "/api/v1/tunnel/selftest"): _fields("text: verdict words; number: time; whole?: first_ms spread_ms"),
    ("GET", "/api/v1/stats"): _fields(
        "text: version; number: uptime_s; whole: active_broadcasters clients; whole?: encodes; object?: scans process;"
        "object: cameras"
    ),
    ("GET", "/healthz"): _fields("text: status version"),
    ("GET", "/readyz"): _fields("text: status; whole: cameras"),
    ("GET", "/api/openapi.json"): _fields("text: openapi; object: info paths components"),
}
"""JSON answers by method and path."""
