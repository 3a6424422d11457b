"""Query parameters of media routes, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from framecast.core.ladder import AUTO, NAMED, Choice, Level
from framecast.core.rendition import Rendition, snap_max_bytes, snap_quality, snap_width
from framecast.service.config import StreamOptions
from framecast.service.errors import bad_request

N = TypeVar("N", int, float)

OVERLAYS = ("frame-id", "detections")
MOST_FPS = 240.0
WIDTH_PX = (16, 7680)
MAX_BYTES = (1_000, 16_000_000)

WATCH = {
    "fps": f"Most frames a second, above 0 and up to {MOST_FPS:g}, evenly spaced. Default: all.",
    "width": f"Width in pixels, {WIDTH_PX[0]} to {WIDTH_PX[1]}; snaps up to a ladder, nothing is enlarged.",
    "quality": "1 to 100, snapping up to a ladder; or source, high, medium or low: size, quality and rate together; or "
    "auto: whichever of these the connection carries.",
    "overlay": "What is burnt in, comma-separated: frame-id, detections.",
    "max_bytes": f"Largest picture in bytes, {MAX_BYTES[0]} to {MAX_BYTES[1]}, for displays with little memory.",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asked for.

    Attributes:
        rendition: Of which pictures.
        fps: Most of them a second, 0 for all.
        quality: Name of the level asked for, ``auto``, or empty where none was.
    """

    rendition: Rendition
    fps: float
    quality: str = ""

    @property
    def auto(self) -> bool:
        """Whether the level is to follow the connection."""
        return self.quality == AUTO

    @property
    def choice(self) -> Choice:
        """This in words."""
        rendition = self.rendition
        asked = self.quality or (str(rendition.quality) if rendition.quality else "")
        level = "source" if self.auto else self.quality
        reason = f"{self.quality} was asked for" if level and not self.auto else ""
        return Choice(asked, level, rendition.width_px, self.fps, reason)

    def at(self, level: Level) -> Wish:
        """The same, and no more than ``level`` allows."""
        rendition = replace(
            self.rendition,
            width_px=lesser(self.rendition.width_px, level.width_px),
            quality=lesser(self.rendition.quality, level.quality),
        )
        return replace(self, rendition=rendition, fps=lesser(self.fps, level.fps))

    def coded(self, codec: str) -> Rendition:
        """The rendition of coded video: the rate is the encoder's, since coded pictures can't be left out later."""
        return replace(self.rendition, codec=codec, fps=math.ceil(self.fps))


def wish(query: Mapping[str, str], options: StreamOptions) -> Wish:
    """What the parameters ask for, on top of what holds for the camera.

    Raises:
        ApiError: A value is out of range, or no number.
    """
    base = options.rendition
    width = whole(query, "width", *WIDTH_PX)
    named = query.get("quality", "")
    level = NAMED.get(named)
    numeric = 0 if level is not None or named == AUTO else quality(query)
    max_bytes = whole(query, "max_bytes", *MAX_BYTES)
    overlay = _overlay(query.get("overlay", ""))
    fps = number(query, "fps", 0.01, MOST_FPS)
    if options.fps:
        fps = min(fps or options.fps, options.fps)
    asked = Wish(
        Rendition(
            width_px=snap_width(width) if width else base.width_px,
            quality=snap_quality(numeric) if numeric else base.quality,
            overlay=overlay,
            max_bytes=snap_max_bytes(max_bytes) if max_bytes else 0,
        ),
        fps,
        "" if numeric else named,
    )
    return asked if level is None else asked.at(level)


def quality(query: Mapping[str, str], *, auto: bool = True) -> int:
    """Quality as a number, 0 when it is left out; its names are for who asks to have looked at before.

    Args:
        auto: Whether ``auto`` is one of them here.
    """
    if not query.get("quality", "1")[:1].isdigit():
        names = [*NAMED, AUTO] if auto else [*NAMED]
        raise bad_request(f"quality has to be 1 to 100, or one of {', '.join(names)}", "bad_value")
    return whole(query, "quality", 1, 100)


def lesser(one: N, other: N) -> N:
    """The smaller one, 0 standing for no limit."""
    return min(one, other) if one and other else one or other


def whole(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    """A whole number, 0 when it is left out."""
    text = query.get(name)
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise bad_request(f"{name} has to be a whole number from {least} to {most}", "bad_value")
    return int(text)


def number(query: Mapping[str, str], name: str, least: float, most: float) -> float:
    """A number, 0 when it is left out."""
    text = query.get(name)
    if text is None:
        return 0.0
    try:
        value = float(text) if len(text) < 32 and text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise bad_request(f"{name} has to be a number from {least:g} to {most:g}", "bad_value")
    return value


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """0 or 1, None when it is left out."""
    text = query.get(name)
    if text is None:
        return None
    if text not in ("0", "1"):
        raise bad_request(f"{name} has to be 0 or 1", "bad_value")
    return text == "1"


def _overlay(text: str) -> frozenset[str]:
    names = frozenset(part for part in text.split(",") if part)
    unknown = names - set(OVERLAYS)
    if unknown or len(text) > 100:
        raise bad_request(f"overlay takes a comma-separated list of {', '.join(OVERLAYS)}", "bad_value")
    return names
