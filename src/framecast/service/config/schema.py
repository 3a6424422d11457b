"""The settings as a flat table: dotted key, names in the environment, what is accepted.

One description serves the loader's error messages, ``framecast config`` and the tables of
docs/configuration.md, so that they can't contradict each other.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framecast.service.config.models import CameraConfig, Settings
from framecast.service.config.urls import ACCEPTED as CAMERA_URLS

_RUNTIME_SECTIONS = frozenset({"stream", "capture", "compat", "log"})
_AT_START = frozenset({"compat.m5_device_port", "compat.m5_viewer_port", "log.format"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: Dotted name; ``cameras.*.url`` for what every camera has.
        env: Names in the environment and in ``.env``; a later one wins.
        default: As TOML would write it; empty where there is none.
        standard: The default itself; None where there is none.
        accepted: In words.
        is_list: Whether text from the environment is cut at commas.
    """

    key: str
    env: tuple[str, ...]
    default: str
    standard: Any
    accepted: str
    meaning: str
    is_list: bool


@cache
def settings_table() -> dict[str, Setting]:
    """Every setting by its dotted key, in the order of the models."""
    return {setting.key: setting for setting in _walk()}


@cache
def environment_names() -> dict[str, Setting]:
    """Every environment name that stands for one setting."""
    return {name: setting for setting in settings_table().values() for name in setting.env}


def find(key: str) -> Setting | None:
    """The setting with this dotted key; ``cameras.door.url`` is found as ``cameras.*.url``."""
    parts = key.split(".")
    if parts[0] == "cameras" and len(parts) == 3:
        key = f"cameras.*.{parts[2]}"
    return settings_table().get(key)


def is_runtime(key: str) -> bool:
    """Whether the API may change it while the server runs: cameras' settings, and what takes effect at once."""
    section = key.partition(".")[0]
    return section == "cameras" or (section in _RUNTIME_SECTIONS and key not in _AT_START)


def runtime_settings() -> dict[str, dict[str, Any]]:
    """JSON Schema of each setting of the server that the API may change, by its dotted key."""
    return {
        f"{section}.{name}": schema
        for section in sorted(_RUNTIME_SECTIONS)
        for name, schema in _model(section).model_json_schema()["properties"].items()
        if is_runtime(f"{section}.{name}")
    }


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` when something known looks like ``word``, else nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def unknown(key: str) -> str:
    """What to tell somebody who wrote a key that doesn't exist."""
    table = settings_table()
    parts = key.split(".")
    if parts[0] == "cameras" and len(parts) >= 3:
        names = [name.removeprefix("cameras.*.") for name in table if name.startswith("cameras.*.")]
        return f"a camera has no such setting{did_you_mean(parts[2], names)}"
    if len(parts) == 2 and difflib.get_close_matches(parts[0].lower(), ["cameras"], cutoff=0.8):
        if f"cameras.*.{parts[1]}" in table:
            return 'there is no such setting; a camera is a table: [cameras.door] with url = "…"'
        return f"there is no such setting; did you mean cameras.{parts[1]}?"
    names = [name for name in table if "*" not in name]
    by_last = {name.rpartition(".")[2]: name for name in reversed(names)}  # the first of each word
    hint = f"; did you mean {by_last[key]}?" if key in by_last else did_you_mean(key, names)
    if not hint:
        close = difflib.get_close_matches(parts[-1], list(by_last), n=1, cutoff=0.75)
        hint = f"; did you mean {by_last[close[0]]}?" if close else ""
    return f"there is no such setting{hint}"


def _walk() -> Iterator[Setting]:
    for section in Settings.model_fields:
        for name, inner in _model(section).model_fields.items():
            yield _setting(section, name, inner)


def _model(section: str) -> type[BaseModel]:
    model = CameraConfig if section == "cameras" else Settings.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, BaseModel)
    return model


def _setting(section: str, name: str, field: FieldInfo) -> Setting:
    env: tuple[str, ...] = ()
    if section == "cameras":
        key = f"cameras.*.{name}"
    else:
        key = f"{section}.{name}"
        extra = field.json_schema_extra
        aliases = extra.get("env", []) if isinstance(extra, dict) else []
        assert isinstance(aliases, list)
        full = f"FRAMECAST_{section}_{name}".upper()
        # The full name comes last and wins.
        env = (*(str(alias) for alias in aliases if alias != full), full)
    standard = None if field.is_required() else field.get_default(call_default_factory=True)
    return Setting(
        key=key,
        env=env,
        default=toml_value(standard),
        standard=standard,
        accepted=_accepted(field),
        meaning=field.description or "",
        is_list=get_origin(_bare(field.annotation)) is list,
    )


def _bare(annotation: Any) -> Any:
    """The type itself, without ``| None`` and ``Annotated``."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        else:
            return annotation


def _accepted(field: FieldInfo) -> str:
    bare = _bare(field.annotation)
    words = ""
    if field.description and field.is_required():
        words = CAMERA_URLS
    elif get_origin(bare) is Literal:
        words = "one of " + ", ".join(toml_value(arg) for arg in get_args(bare))
    elif get_origin(bare) is list:
        words = _accepted_list(get_args(bare)[0])
    elif get_origin(bare) is dict:
        words = "a table of names and texts"
    elif bare is bool:
        words = "true or false"
    elif bare is int:
        words = f"a whole number{_range(field)}"
    elif bare is float:
        words = f"a number{_range(field)}"
    elif bare is Path:
        words = "a folder" if field.default_factory is not None else "a file"
    elif bare is str:
        words = _accepted_text(field)
    return words


def _accepted_list(item: Any) -> str:
    inner = _bare(item)
    if get_origin(inner) is Literal:
        return "a list of " + ", ".join(toml_value(arg) for arg in get_args(inner))
    if get_origin(inner) is tuple:
        return "a list of [x, y, width, height], each a fraction from 0 to 1"
    validator = _validator_name(item)
    kinds = {
        "_address_text": 'addresses such as "127.0.0.1:5000" or "[::1]:5000"',
        "_network": 'networks such as "192.168.1.0/24"',
        "_proxy": 'addresses or networks such as "127.0.0.1" or "10.0.0.0/8"',
        "_origin": 'origins such as "https://example.org"',
        "_ip_address": 'IP addresses such as "192.168.1.10"',
        "_label": 'what a model finds, such as "person"',
        "check_restream_url": 'URLs such as "rtmp://192.168.1.5/live/door"',
        "check_webhook_url": 'URLs such as "https://:SECRET@example.org/hook"',
        "check_ice_server": 'servers such as "stun:stun.example.org:3478"',
    }
    return f"a list of {kinds.get(validator, 'texts')}"


def _accepted_text(field: FieldInfo) -> str:
    names = {getattr(getattr(item, "func", None), "__name__", "") for item in field.metadata}
    if "_camera_id" in names:
        return "a camera id, or empty"
    if "_model_name" in names:
        return 'the name of a model such as "yolox_nano", or empty'
    if "_port_range" in names:
        return 'ports such as "50000-50199", or empty'
    if "check_host_name" in names:
        return 'a name such as "cams.example.net", or empty'
    if "check_mqtt_url" in names:
        return 'a URL such as "mqtt://192.168.1.5:1883", or empty'
    if "check_contact" in names:
        return 'an address such as "mailto:me@example.org", or empty'
    if "check_topic" in names:
        return 'a topic such as "home/framecast"'
    if "parse_base_path" in names:
        return 'a path such as "/cams", or empty'
    if "parse_host" in names:
        return "an IP address or a host name"
    longest = next((item.max_length for item in field.metadata if hasattr(item, "max_length")), None)
    return f"text of at most {longest} characters" if longest else "text"


def _validator_name(annotation: Any) -> str:
    if get_origin(annotation) is not Annotated:
        return ""
    return next((item.func.__name__ for item in get_args(annotation)[1:] if hasattr(item, "func")), "")


def _range(field: FieldInfo) -> str:
    least = next((item.ge for item in field.metadata if hasattr(item, "ge")), None)
    most = next((item.le for item in field.metadata if hasattr(item, "le")), None)
    return "" if least is None else f" from {least} to {most}"


def toml_value(value: Any) -> str:
    """``value`` as TOML writes it; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
