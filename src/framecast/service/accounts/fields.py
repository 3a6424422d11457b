"""What accounts and tokens have in common in requests: names, and the cameras they are limited to."""

from __future__ import annotations

import re
from typing import Any

from framecast.core.errors import Misuse
from framecast.service.config import CAMERA_ID

_NAME = re.compile(r"[\w][\w .@+-]{0,63}(?<! )")
_MOST_CAMERAS = 1000


def name_of(body: dict[str, Any], what: str) -> str:
    """The name in a request; raises Misuse, which says of ``what``."""
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Misuse(
            f"{what.capitalize()}'s name has 1 to 64 letters, digits, spaces and . _ @ + -, a letter or digit first, "
            "and no space last"
        )
    return name


def cameras_of(body: dict[str, Any], what: str) -> frozenset[str] | None:
    """The ids in a request; None is all cameras. Raises Misuse, which says of ``what``."""
    cameras = body.get("cameras")
    if cameras is None:
        return None
    if not texts(cameras) or not cameras or len(cameras) > _MOST_CAMERAS or not all(map(CAMERA_ID.fullmatch, cameras)):
        raise Misuse(f"{what.capitalize()} is limited to a list of camera ids, and has all when it is left out")
    return frozenset(cameras)


def texts(value: object) -> bool:
    """Whether this is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
