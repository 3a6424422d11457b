"""Where settings come from: a TOML file, ``.env``, the environment, the command line.

Each becomes a layer, a flat table from dotted keys (``server.port``, ``cameras.door.url``) to the value given
and the place where it was given. Nothing is validated here but that such a key exists.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from framecast.core.errors import ConfigError
from framecast.service.config import schema
from framecast.service.config.kinds import CAMERA_ID
from framecast.service.config.presets import PRESETS

MAX_FILE_BYTES = 1024 * 1024
CACHE_WARNING = (
    "ENABLE_FRAME_CACHE=false has no effect: a camera is read once and its frames are shared, "
    "that is what this server is for"
)


_FILES = frozenset({"server.tls_cert", "server.tls_key", "vision.model_dir"})
"""Paths, which in a configuration file are relative to it."""


class Origin(StrEnum):
    """Kinds of layers, the weakest first."""

    DEFAULT = "default"
    PRESET = "preset"
    FILE = "file"
    API = "api"
    OPERATOR = "operator"
    DOTENV = ".env"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


PINS = frozenset({Origin.DOTENV, Origin.ENVIRONMENT, Origin.COMMAND_LINE})
"""Where a setting is given that wins over changes by the API."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where somebody gave it (in words: a file, a variable, an option)."""

    value: Any
    where: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, by dotted key, and what its reader should be told."""

    values: Mapping[str, Given]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What the API changed and the state keeps.

    Attributes:
        settings: Dotted key to value, of those that ``schema.is_runtime`` only.
        cameras: Camera id to the fields that were given: all of a new camera, some of a configured one.
        removed: Ids of configured cameras that were deleted.
        trusted: Ids of cameras whose URL the operator gave, by a command on this machine.
        views: Camera id to how its picture was turned and mirrored when its masks among ``cameras`` were drawn; without
            one they hold for the picture as it is.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    cameras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    trusted: frozenset[str] = frozenset()
    views: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def with_settings(self, values: Mapping[str, Any]) -> Changes:
        """The same with these settings, as ``State.save_settings`` keeps them."""
        merged = {**self.settings, **values}
        return replace(self, settings={key: value for key, value in merged.items() if value is not None})

    def with_camera(self, camera_id: str, fields: Mapping[str, Any], *, trusted: bool) -> Changes:
        """The same with these fields of a camera besides those before, as ``State.save_camera`` keeps them."""
        merged = {**self.cameras.get(camera_id, {}), **fields}
        cameras = {**self.cameras, camera_id: {name: value for name, value in merged.items() if value is not None}}
        views, whose = self.views, self.trusted
        if "masks" in fields:  # they are as one sees them now
            views = {each: view for each, view in views.items() if each != camera_id}
        if "url" in fields:
            whose = whose | {camera_id} if trusted else whose - {camera_id}
        return replace(self, cameras=cameras, trusted=whose, views=views)


def read_toml(path: Path) -> Layer:
    """The file's settings; raises ConfigError when it can't be read, isn't TOML or holds an unknown key."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), "file", str(path), f"it can't be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(str(path), "file", str(path), "a configuration file has at most 1 MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "file", str(path), f"TOML is UTF-8, but byte {error.start} is not") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, error) from None
    lines = _lines_of_keys(text)
    values = {}
    for key, value in _flatten(document):
        line = lines.get(key) or lines.get(key.rpartition(".")[0])
        where = f"{path}, line {line}" if line else str(path)
        _check_key(key, value, where)
        if key.endswith(".url") and isinstance(value, str):
            value = absolute_file(value, path.parent)
        elif key in _FILES and isinstance(value, str):
            value = str(path.parent.absolute() / os.path.expanduser(value))
        values[key] = Given(value, where, Origin.FILE)
    return Layer(values)


def read_dotenv(path: Path) -> dict[str, str]:
    """Names and values of a ``.env`` file; empty when there is none.

    Understands ``NAME=value``, ``export NAME=value``, quotes, comments, and ``\\n`` within double quotes. There is
    no interpolation. Raises ConfigError for a setting of ours that stands in a line it can't understand.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "file", str(path), f"it can't be read ({error})") from None
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _DOTENV_LINE.fullmatch(line)
        if match:
            single, double, bare = match["single"], match["double"], match["bare"]
            if double is not None:
                double = double.replace("\\n", "\n").replace('\\"', '"')
            found[match["name"]] = next(item for item in (single, double, bare, "") if item is not None)
        elif match := _DOTENV_NAME.match(line):
            name = match["name"]
            if name.startswith("FRAMECAST_") or name in schema.environment_names():
                # The value may be a secret.
                began = f"{line[match.end() :].strip()[:1]}…"
                accepted = "NAME=value, with a quote at both ends or none"
                raise ConfigError(f"{path}, line {number}", name, began, accepted)
    return found


_DOTENV_NAME = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=")
_DOTENV_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
        (?:'(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>[^'"\s\#].*?)? )
        \s*(?:(?<=[\s='"])\#.*)?""",
    re.VERBOSE,
)


def from_environment(environ: Mapping[str, str], origin: Origin, place: str = "") -> Layer:
    """Settings among the variables of the environment, or of a ``.env`` file when ``place`` names it.

    Empty variables count as not set. A name that starts with ``FRAMECAST_`` and means nothing is a warning, no
    error, since others (Kubernetes' service links) invent such names too.
    """
    values: dict[str, Given] = {}
    suffix = f" in {place}" if place else " (environment)"
    for name, setting in schema.environment_names().items():
        text = environ.get(name, "").strip()
        if not text or (name == "FRAMECAST_PORT" and text.startswith("tcp://")):
            continue
        value: Any = [item.strip() for item in text.split(",") if item.strip()] if setting.is_list else text
        values[setting.key] = Given(value, name + suffix, origin)
    for entry in environ.get("FRAMECAST_CAMERAS", "").split():
        camera_id, url = split_camera(entry, "FRAMECAST_CAMERAS" + suffix)
        values[f"cameras.{camera_id}.url"] = Given(url, "FRAMECAST_CAMERAS" + suffix, origin)
    known = [*schema.environment_names(), "FRAMECAST_CAMERAS", "FRAMECAST_CONFIG"]
    warnings = [
        f"{name}{suffix} is no setting{schema.did_you_mean(name, known)}"
        for name in sorted(environ)
        if name.startswith("FRAMECAST_") and name not in known
    ]
    if environ.get("ENABLE_FRAME_CACHE", "").strip().lower() in ("false", "0", "no", "off"):
        warnings.append(CACHE_WARNING)
    return Layer(values, tuple(warnings))


def from_options(options: Mapping[str, Any], cameras: list[str]) -> Layer:
    """Settings given on the command line.

    Args:
        options: Dotted key to value; None is not given. The option is named after the key's last word.
        cameras: ``ID=URL``, as often as ``--camera`` was given.
    """
    values = {
        key: Given(value, f"--{_option(key)}", Origin.COMMAND_LINE)
        for key, value in options.items()
        if value is not None
    }
    for entry in cameras:
        camera_id, url = split_camera(entry, "--camera")
        url = absolute_file(url, Path.cwd())
        values[f"cameras.{camera_id}.url"] = Given(url, f"--camera {camera_id}", Origin.COMMAND_LINE)
    return Layer(values)


def _option(key: str) -> str:
    if key == "tunnel.provider":
        return "tunnel"
    return key.replace(".", "-") if key.startswith("log.") else key.rpartition(".")[2].replace("_", "-")


def from_changes(changes: Changes) -> Layer:
    """Settings that the API changed, as kept in the state."""
    where = "change made by the API"
    values = {key: Given(value, where, Origin.API) for key, value in changes.settings.items()}
    for camera_id, fields in changes.cameras.items():
        by_command = camera_id in changes.trusted
        for name, value in fields.items():
            if by_command and name == "url":
                given = Given(value, "framecast cameras", Origin.OPERATOR)
            else:
                # Of what else such a camera has, it is not kept whether a page changed it later.
                given = Given(value, "framecast cameras, or the API" if by_command else where, Origin.API)
            values[f"cameras.{camera_id}.{name}"] = given
    return Layer(values)


def from_preset(name: str) -> Layer:
    """The values of a preset; nothing for an unknown one, which is reported where it was given."""
    values = PRESETS.get(name, {})
    return Layer({key: Given(value, f"preset {name}", Origin.PRESET) for key, value in values.items()})


def split_camera(entry: str, where: str) -> tuple[str, str]:
    """``ID=URL`` as its two parts; raises ConfigError naming ``where``."""
    camera_id, equals, url = entry.partition("=")
    if not equals or not CAMERA_ID.fullmatch(camera_id):
        raise ConfigError(
            where, "camera", entry, "ID=URL, the id of a-z, 0-9, - and _, such as door=http://192.168.1.20:81/stream"
        )
    return camera_id, url


def absolute_file(url: str, folder: Path) -> str:
    """A ``file:`` URL with its path made absolute as seen from ``folder``; other URLs as they are."""
    scheme, _, path = url.partition(":")
    return f"file:{folder.absolute() / path}" if scheme.lower() == "file" and path else url


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, table in document.items():
        if not isinstance(table, dict):
            yield section, table
        elif section == "cameras":
            for camera_id, fields in table.items():
                if not isinstance(fields, dict):
                    yield f"cameras.{camera_id}", fields
                    continue
                yield from ((f"cameras.{camera_id}.{name}", value) for name, value in fields.items())
        else:
            yield from ((f"{section}.{name}", value) for name, value in table.items())


def _check_key(key: str, value: Any, where: str) -> None:
    parts = key.split(".")
    if parts[0] == "cameras":
        if len(parts) < 3:
            raise ConfigError(where, key, value, 'a camera is a table: [cameras.door] with url = "…"')
        if not CAMERA_ID.fullmatch(parts[1]):
            raise ConfigError(
                where,
                f"cameras.{parts[1]}",
                parts[1],
                "a camera id has 1 to 63 of a-z, 0-9, - and _, and starts with a letter or digit",
            )
    if schema.find(key) is None:
        # A table of unknown things may hold a camera's password.
        raise ConfigError(where, key, "{…}" if isinstance(value, dict) else value, schema.unknown(key))


def _syntax_error(path: Path, text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    reason = str(error).partition(" (at ")[0]
    if not match:
        return ConfigError(str(path), "file", path.name, f"it is not TOML: {reason}")
    number = int(match[1])
    line = text.splitlines()[number - 1].strip()[:80]
    hint = "; texts need quotes" if _UNQUOTED.fullmatch(line) else ""
    return ConfigError(f"{path}, line {number}", "this", line, f"it is not TOML: {reason}, column {match[2]}{hint}")


_UNQUOTED = re.compile(r"""[\w.-]+\s*=\s*(?!\d+$)[^\s"'\[{=#][^"'\[{]*""")
"""A key and something that can only be meant as a text, once it is known that it is no number."""


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line numbers of tables and keys, as far as a look at each line tells; for messages only."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = match[1].replace('"', "").replace("'", "").replace(" ", "")
            lines.setdefault(table, number)
        elif match := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            key = match[1].replace('"', "").replace("'", "")
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return lines
