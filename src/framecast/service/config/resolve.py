"""Layers -> effective settings, knowing where each value came from.

    defaults < preset < TOML file < changes by the API < .env < environment < command line

The later wins, key by key, cameras too. ``Configuration`` keeps the layers, so that a change made by the API is put in
its place by computing everything anew: nothing effective is ever edited.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from framecast.core.errors import ConfigError
from framecast.service.config import schema, sources
from framecast.service.config.models import CameraConfig, Settings
from framecast.service.config.sources import PINS, Changes, Given, Layer, Origin
from framecast.service.config.urls import mask_url
from framecast.service.config.view import View, carried_masks

FILE_NAME = "framecast.toml"
_SECRETS = frozenset({"password", "authtoken", "cloudflare_token"})


@dataclass(frozen=True)
class Configuration:
    """Effective settings, and how they came about.

    Attributes:
        settings: What holds.
        given: Dotted key to the value that won and where it was given; defaults are not in it.
        warnings: One line each, for the log.
        file: The TOML file that was read, if any.
    """

    settings: Settings
    given: Mapping[str, Given]
    warnings: tuple[str, ...]
    file: Path | None = None
    _below: tuple[Layer, ...] = field(default=(), repr=False)
    _above: tuple[Layer, ...] = field(default=(), repr=False)

    def with_changes(self, changes: Changes) -> Configuration:
        """The same with these changes by the API (all of them, in place of earlier ones).

        A kept change that is no longer accepted, after an upgrade say, is left out with a warning; what somebody
        asks for just now should be checked with ``check_camera`` and ``check_settings`` before.
        """
        return _resolve(self.file, self._below, changes, self._above)

    def with_cameras(
        self, cameras: Mapping[str, CameraConfig], where: str, settings: Mapping[str, object] | None = None
    ) -> Configuration:
        """The same with these cameras, as if they stood in a file named ``where``.

        Args:
            settings: What else stands there, by dotted key.
        """
        values = {key: Given(value, where, Origin.FILE) for key, value in (settings or {}).items()} | {
            f"cameras.{camera_id}.{name}": Given(value, where, Origin.FILE)
            for camera_id, camera in cameras.items()
            for name, value in camera.model_dump(exclude_unset=True).items()
        }
        return _resolve(self.file, (*self._below, Layer(values)), Changes(), self._above)

    def camera_origin(self, camera_id: str) -> str:
        """``config``, ``api``, ``operator`` (by a command) or ``command line``: who named this camera's URL.

        Only those named by ``api`` are restricted in where they may point.
        """
        return self._url_origin(f"cameras.{camera_id}.url")

    def sound_origin(self, camera_id: str) -> str:
        """The same of the URL of its sound."""
        return self._url_origin(f"cameras.{camera_id}.audio_url")

    def _url_origin(self, key: str) -> str:
        given = self.given.get(key)
        origin = given.origin if given is not None else None
        return origin.value if origin in (Origin.API, Origin.OPERATOR, Origin.COMMAND_LINE) else "config"

    def pinned(self, key: str) -> str:
        """Where this dotted key is given so that it wins over changes by the API, in words; empty for nowhere."""
        given = self.given.get(key)
        return given.where if given is not None and given.origin in PINS else ""

    def origin(self, key: str) -> str:
        """Where the value of this dotted key came from, in words."""
        given = self.given.get(key)
        return given.where if given else "default"


def load(
    *,
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    cameras: list[str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Configuration:
    """The configuration as it is without changes by the API (see ``Configuration.with_changes``).

    Args:
        file: TOML file; if None, ``FRAMECAST_CONFIG``, else ``framecast.toml`` in ``folder`` or in the user's
            configuration folder, if there is one.
        options: Dotted key to value, from the command line.
        cameras: ``ID=URL``, from the command line.
        environ: The environment, ``os.environ`` if None.
        folder: Where ``.env`` is looked for, the working directory if None.

    Raises:
        ConfigError: Something can't be used; its message is one line for the operator.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    dotenv_path = folder / ".env"
    dotenv = sources.read_dotenv(dotenv_path)
    file = file or _find_file(environ.get("FRAMECAST_CONFIG") or dotenv.get("FRAMECAST_CONFIG"), folder)
    below = (sources.read_toml(file),) if file else ()
    above = (
        sources.from_environment(dotenv, Origin.DOTENV, str(dotenv_path)),
        sources.from_environment(environ, Origin.ENVIRONMENT),
        sources.from_options(options or {}, cameras or []),
    )
    return _resolve(file, below, Changes(), above)


def defaults(options: Mapping[str, Any] | None = None) -> Configuration:
    """The built-in values and these options: nothing is read from anywhere."""
    return _resolve(None, (), Changes(), (sources.from_options(options or {}, []),))


def check_camera(fields: Mapping[str, Any], where: str = "request") -> CameraConfig:
    """A camera from untrusted fields; raises ConfigError naming the first bad one."""
    for name in fields:
        if schema.find(f"cameras.x.{name}") is None:
            raise ConfigError(where, name, fields[name], schema.unknown(f"cameras.x.{name}"))
    try:
        return CameraConfig.model_validate(dict(fields))
    except ValidationError as error:
        key, value, accepted = _explain(error, "cameras.x.")
        raise ConfigError(where, key.removeprefix("cameras.x."), value, accepted) from None


def check_settings(values: Mapping[str, Any], where: str = "request") -> dict[str, Any]:
    """Changes of settings by dotted key, None for one taken back; raises ConfigError naming the first bad one."""
    for key, value in values.items():
        if schema.find(key) is None:
            raise ConfigError(where, key, value, schema.unknown(key))
        if key.startswith("cameras."):
            raise ConfigError(where, key, value, "it is a camera's, and changed with that")
        if not schema.is_runtime(key):
            raise ConfigError(where, key, value, "it can only be set in the file, environment or command line")
    _validate({key: Given(value, where, Origin.API) for key, value in values.items() if value is not None})
    return dict(values)


def _find_file(named: str | None, folder: Path) -> Path | None:
    if named:
        return Path(named)
    for candidate in (folder / FILE_NAME, platformdirs.user_config_path("framecast") / FILE_NAME):
        # os.path's answer is no where a folder can't be looked into, as another user's home after setpriv or sudo.
        if os.path.isfile(candidate):
            return candidate
    return None


def _resolve(file: Path | None, below: tuple[Layer, ...], changes: Changes, above: tuple[Layer, ...]) -> Configuration:
    warnings = [text for layer in (*below, *above) for text in layer.warnings]
    changed = dict(sources.from_changes(changes).values)
    while True:
        given = _merge(below, changed, changes.removed, above)
        try:
            settings = _validate(given)
            holds = given
            if carried := _carried(settings, given, changed, changes):
                holds = {**given, **carried}
                settings = _validate(holds)
            return Configuration(settings, holds, tuple(warnings), file, below, above)
        except ConfigError as error:
            # What is in the file must be mended there; a kept change can't be, and must not stop the start.
            stale = [key for key in changed if key == error.key or key.startswith(error.key + ".")]
            if not stale and error.key.endswith(".url") and error.value is None:
                camera = error.key.removesuffix("url")
                stale = [key for key in changed if key.startswith(camera)]
            stale = [key for key in stale if given.get(key) is changed[key]]
            if not stale:
                raise
            warnings.append(f"a change made by the API is ignored: {error}")
            for key in stale:
                if key == error.key and key.endswith(".masks"):
                    # Somebody wanted something hidden. Rather all of it than none.
                    changed[key] = replace(changed[key], value=[[0.0, 0.0, 1.0, 1.0]])
                else:
                    del changed[key]


def _carried(
    settings: Settings, given: Mapping[str, Given], changed: Mapping[str, Given], changes: Changes
) -> dict[str, Given]:
    """Masks that were drawn on a picture that is turned or mirrored otherwise now, over what they hid."""
    found = {}
    for camera_id, drawn_in in changes.views.items():
        key, camera = f"cameras.{camera_id}.masks", settings.cameras.get(camera_id)
        if camera is None or key not in changed or given.get(key) is not changed[key]:
            continue
        masks = carried_masks(camera.masks, View(*drawn_in), View.of(camera))
        if masks is not None:
            found[key] = replace(given[key], value=[list(mask) for mask in masks])
    return found


def _merge(
    below: tuple[Layer, ...], changed: Mapping[str, Given], removed: frozenset[str], above: tuple[Layer, ...]
) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for layer in below:
        given.update(layer.values)
    if removed:
        given = {key: value for key, value in given.items() if not _belongs_to(key, removed)}
    given.update(changed)
    for layer in above:
        given.update(layer.values)
    preset = given.get("stream.preset")
    if preset is None or not isinstance(preset.value, str):
        return given
    return {**sources.from_preset(preset.value).values, **given}


def _belongs_to(key: str, camera_ids: frozenset[str]) -> bool:
    parts = key.split(".")
    return parts[0] == "cameras" and parts[1] in camera_ids


def _validate(given: Mapping[str, Given]) -> Settings:
    document: dict[str, Any] = {}
    for key, item in given.items():
        *tables, name = key.split(".")
        table = document
        for part in tables:
            table = table.setdefault(part, {})
        table[name] = item.value
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        key, value, accepted = _explain(error)
        raise ConfigError(_where(key, given), key, value, accepted) from None


def _where(key: str, given: Mapping[str, Given]) -> str:
    if key in given:
        return given[key].where
    # A key that is missing: name the place of its neighbours.
    table = key.rpartition(".")[0] + "."
    return next((item.where for name, item in given.items() if name.startswith(table)), "configuration")


def _explain(error: ValidationError, prefix: str = "") -> tuple[str, Any, str]:
    """Dotted key, value and what would be accepted, of the first thing that pydantic found wrong."""
    first = error.errors(include_url=False)[0]
    loc = [str(part) for part in first["loc"]]
    depth = 1 if prefix else 3 if loc and loc[0] == "cameras" else 2
    key = prefix + ".".join(loc[:depth])
    setting = schema.find(key)
    accepted = setting.accepted if setting else "a table"
    value = first["input"]
    if first["type"] == "missing":
        return key, None, f"it is missing; give {accepted}"
    if first["type"] == "value_error" and "error" in first.get("ctx", {}):
        accepted = str(first["ctx"]["error"])
    name = key.rpartition(".")[2]
    if name in _SECRETS:
        value = "***"
    elif name in ("url", "audio_url"):
        value = mask_url(str(value))
    elif name in ("restream", "ice_servers", "webhooks"):
        value = str(value).partition(":")[0] + ":…"  # what can't be read may hold a secret anywhere
    if isinstance(value, str) and len(value) > 120:
        value = value[:120] + "…"
    return key, value, accepted
