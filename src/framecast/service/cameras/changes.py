"""What the API may make of a camera: fields checked before anything is kept or begun."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from framecast.core.errors import ConfigError
from framecast.service.access.keyring import Keyring
from framecast.service.access.rights import Grant
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.cameras.reach import url_refusal
from framecast.service.config import CameraConfig, Changes, Configuration, check_camera, check_settings
from framecast.service.config.restreamurls import http_url
from framecast.service.config.sections import NetworkSettings
from framecast.service.config.view import View, carried_masks
from framecast.service.errors import ApiError


def check_changes(configuration: Configuration, camera: Camera, changes: Mapping[str, Any], grant: Grant) -> None:
    """See that these fields of a camera may be changed, and to that; None takes one back to what is configured.

    Raises:
        ApiError: One is unknown, can't be used, or is given where it wins over any change.
    """
    for name, value in changes.items():
        pinned = configuration.pinned(f"cameras.{camera.camera_id}.{name}")
        if pinned and value != getattr(camera.config, name):
            raise _pinned(name, pinned)
    # What is put back is checked by its name alone.
    empty = {
        key: CameraConfig.model_fields[key].get_default(call_default_factory=True)
        for key in changes
        if changes[key] is None and key in CameraConfig.model_fields and key != "url"
    }
    url = camera.config.url
    pushed = changes.get("restream")
    if isinstance(pushed, list):  # those that are there already may stay
        changes = {**changes, "restream": [each for each in pushed if each not in camera.config.restream]}
    fields = {**changes, **empty, "url": changes.get("url") or url}
    checked(fields, grant, configuration.settings.network, trusted_url=url)


def check_changes_of_settings(configuration: Configuration, changes: Mapping[str, Any]) -> None:
    """The same of settings of the server, by dotted key."""
    try:
        check_settings(changes)
    except ConfigError as error:
        raise ApiError(400, "bad_value", f"{error.key}: {error.accepted}") from None
    for key, value in changes.items():
        section, _, name = key.partition(".")
        pinned = configuration.pinned(key)
        if pinned and value != getattr(getattr(configuration.settings, section), name):
            raise _pinned(key, pinned)


def _pinned(name: str, where: str) -> ApiError:
    return ApiError(409, "pinned", f"{name}: {where} gives it, which wins over what is changed here; change it there")


def plan(
    base: Configuration, kept: Changes, camera: Camera, changes: dict[str, Any], grant: Grant
) -> tuple[Configuration, CameraConfig]:
    """The configuration with these changes of a camera, and the camera in it.

    Where the picture is turned or mirrored and nothing is said of masks, what they hid stays hidden: those that are
    kept are carried over whenever it is asked what holds, and those of a file are now, in ``changes``, too.

    Raises:
        ApiError: The camera has no URL then, or masks are given where they can't be carried over.
    """
    planned = base.with_changes(kept.with_camera(camera.camera_id, changes, trusted=grant.local))
    config = planned.settings.cameras.get(camera.camera_id)
    if config is None:
        raise ApiError(400, "bad_value", "url: a camera that stands in no configuration file needs one")
    if "masks" in changes or camera.camera_id in kept.views:
        return planned, config
    masks = carried_masks(camera.config.masks, View.of(camera.config), View.of(config))
    if masks is None:
        return planned, config
    changes["masks"] = [list(mask) for mask in masks]
    check_changes(base, camera, {"masks": changes["masks"]}, grant)
    return plan(base, kept, camera, changes, grant)


def see_that_password_stays(
    config: CameraConfig, changes: Mapping[str, Any], before: CameraConfig, configured: CameraConfig | None
) -> None:
    """See that a password goes to no other device than the one it is for: who changes a camera needn't know it.

    Args:
        config: The camera with these changes.
        before: Without them.
        configured: As the files have it; None where they don't.

    Raises:
        ApiError: One that did not come with the changes would.
    """
    if not config.password or changes.get("password"):
        return
    good = {""}  # nothing is sent to those that come by themselves
    if "password" not in changes:
        good.add(_host(before.url))
    if configured is not None and configured.password == config.password:
        good.add(_host(configured.url))
    if _host(config.url) not in good:
        words = (
            "password: the one that is kept is for another host; send one for this host (or an empty one), "
            "or change the address where the password was given"
        )
        raise ApiError(400, "bad_value", words)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def checked(
    fields: Mapping[str, Any], grant: Grant, network: NetworkSettings, *, trusted_url: str | None = None
) -> CameraConfig:
    """A camera of these fields.

    Args:
        trusted_url: One that is there already, whoever gave it.

    Raises:
        ApiError: One can't be used, or a URL leads where the API may not reach.
    """
    try:
        config = check_camera(fields)
    except ConfigError as error:
        raise ApiError(400, "bad_value", f"{error.key}: {error.accepted}") from None
    if not grant.local:
        theirs = [(url, "cameras") for url in (config.url, config.audio_url)]
        for url, what in (*theirs, *((http_url(url), "receivers") for url in config.restream)):
            refusal = url_refusal(url, network, what) if url != trusted_url else ""
            if refusal:
                raise ApiError(403, "forbidden_address", f"This URL may not be given here: {refusal}")
    return config


def free_id(name: str, taken: Cameras, keyring: Keyring) -> str:
    """An id made of a name that no camera has, and that nothing which lets in is limited to.

    Who was let into a camera that is gone must not find another in its place.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub("[^a-z0-9]+", "-", plain)[:48].strip("-") or "camera"
    candidate, number = base, 1
    while candidate in taken or keyring.names_camera(candidate):
        number += 1
        candidate = f"{base}-{number}"
    return candidate
