"""What there is to set, and what is set: for ``framecast config`` and the documentation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from framecast.service.config import schema
from framecast.service.config.eventurls import mask_webhook_url
from framecast.service.config.iceurls import mask_ice_server
from framecast.service.config.models import Settings
from framecast.service.config.resolve import Configuration
from framecast.service.config.restreamurls import mask_restream_url
from framecast.service.config.sources import Origin
from framecast.service.config.urls import mask_url

_SECRETS = frozenset({"password", "authtoken", "cloudflare_token"})


class Effective(NamedTuple):
    """One setting that holds.

    Attributes:
        key: Dotted name.
        toml: The value as TOML writes it, secrets masked.
        origin: Where it was given.
    """

    key: str
    toml: str
    origin: str


def effective(configuration: Configuration) -> list[Effective]:
    """Every setting of the sections, and what is given of each camera."""
    return [
        Effective(key, schema.toml_value(_masked(key, value)), configuration.origin(key))
        for key, value in _values(configuration.settings)
        if not key.startswith("cameras.") or key in configuration.given
    ]


def described(configuration: Configuration, camera_id: str = "") -> dict[str, dict[str, Any]]:
    """Every setting of the sections by its dotted key, or of a camera by its name, as the API tells it.

    ``value`` (secrets masked), ``default``, ``origin`` (in words), ``changeable`` (over the API), ``accepted`` and
    ``meaning``.
    """
    prefix = f"cameras.{camera_id}." if camera_id else ""
    rows = {}
    for key, value in _values(configuration.settings):
        if not key.startswith(prefix) or (not prefix and key.startswith("cameras.")):
            continue
        setting = schema.find(key)
        assert setting is not None
        rows[key.removeprefix(prefix)] = {
            "value": _json(_masked(key, value)),
            "default": _json(setting.standard),
            "origin": configuration.origin(key),
            "changeable": schema.is_runtime(key) and not configuration.pinned(key),
            "accepted": setting.accepted,
            "meaning": setting.meaning,
        }
    return rows


def _masked(key: str, value: Any) -> Any:
    """The value of a setting without what nobody is to read."""
    name = key.rpartition(".")[2]
    if name in _SECRETS:
        return "***" if value else value
    if name in ("url", "audio_url"):
        return mask_url(value)
    hide = _MASKS.get(name)
    return value if hide is None else [hide(text) for text in value]


_MASKS: dict[str, Callable[[str], str]] = {
    "restream": mask_restream_url,
    "ice_servers": mask_ice_server,
    "webhooks": mask_webhook_url,
}


def _json(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def exposed(configuration: Configuration) -> str:
    """A line about secrets in a configuration file that others on this machine may read; empty when there are none."""
    file = configuration.file
    if file is None or os.name == "nt":
        return ""
    found = [
        row.key
        for row in effective(configuration)
        if "***" in row.toml and (given := configuration.given.get(row.key)) and given.origin is Origin.FILE
    ]
    try:
        mode = file.stat().st_mode
    except OSError:
        return ""
    if not found or not mode & 0o044:
        return ""
    return f"{file} holds secrets ({found[0]}), and others on this machine may read it: chmod 600 {file}"


def reference() -> str:
    """The settings as Markdown tables, one for each section."""
    lines: list[str] = []
    section = ""
    for key, setting in schema.settings_table().items():
        table, _, _ = key.rpartition(".")
        if table != section:
            section = table
            lines += ["", f"### `[{section.replace('*', 'ID')}]`", "", *_heading(section), ""]
            names = "" if section == "cameras.*" else " environment |"
            lines += [f"| setting |{names} default | accepted | meaning |", "|---" * (4 + bool(names)) + "|"]
        names = "" if section == "cameras.*" else " " + "<br>".join(f"`{name}`" for name in setting.env) + " |"
        accepted = setting.accepted.replace("|", "\\|")
        lines.append(f"| `{key.rpartition('.')[2]}` |{names} {_default(setting)} | {accepted} | {setting.meaning} |")
    return "\n".join(lines).strip()


def _values(settings: Settings) -> Iterator[tuple[str, Any]]:
    for section in Settings.model_fields:
        if section == "cameras":
            continue
        table = getattr(settings, section)
        yield from ((f"{section}.{name}", getattr(table, name)) for name in type(table).model_fields)
    for camera_id, camera in settings.cameras.items():
        yield from ((f"cameras.{camera_id}.{name}", getattr(camera, name)) for name in type(camera).model_fields)


def _heading(section: str) -> list[str]:
    from framecast.service.config.models import CameraConfig

    model = CameraConfig if section == "cameras.*" else Settings.model_fields[section].annotation
    return [(model.__doc__ or "").strip().replace("``", "`")]


_DEFAULTS_IN_WORDS = {
    "cameras.*.url": "required",
    # Differs from user to user, which a document can't.
    "server.data": "the user's data folder",
}


def _default(setting: schema.Setting) -> str:
    if words := _DEFAULTS_IN_WORDS.get(setting.key):
        return words
    return f"`{setting.default}`" if setting.default else "none"
