"""Query parameters of media routes, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from framecast.core.rendition import Rendition, snap_max_bytes, snap_quality, snap_width
from framecast.service.config import StreamOptions
from framecast.service.errors import bad_request

OVERLAYS = ("frame-id", "detections")
MOST_FPS = 240.0
WIDTH_PX = (16, 7680)
MAX_BYTES = (1_000, 16_000_000)

WATCH = {
    "fps": f"Most frames a second, above 0 and up to {MOST_FPS:g}, evenly spaced. Default: all.",
    "width": f"Width in pixels, {WIDTH_PX[0]} to {WIDTH_PX[1]}; snaps up to a ladder, nothing is enlarged.",
    "quality": "JPEG quality, 1 to 100; snaps up to a ladder.",
    "overlay": "What is burnt in, comma-separated: frame-id.",
    "max_bytes": f"Largest picture in bytes, {MAX_BYTES[0]} to {MAX_BYTES[1]}, for displays with little memory.",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asked for: a rendition and a frame rate (0 for all)."""

    rendition: Rendition
    fps: float


def wish(query: Mapping[str, str], options: StreamOptions) -> Wish:
    """What the parameters ask for, on top of what holds for the camera.

    Raises:
        ApiError: A value is out of range, or no number.
    """
    base = options.rendition
    width = whole(query, "width", *WIDTH_PX)
    quality = whole(query, "quality", 1, 100)
    max_bytes = whole(query, "max_bytes", *MAX_BYTES)
    overlay = _overlay(query.get("overlay", ""))
    fps = number(query, "fps", 0.01, MOST_FPS)
    if options.fps:
        fps = min(fps or options.fps, options.fps)
    return Wish(
        Rendition(
            width_px=snap_width(width) if width else base.width_px,
            quality=snap_quality(quality) if quality else base.quality,
            overlay=overlay,
            max_bytes=snap_max_bytes(max_bytes) if max_bytes else 0,
        ),
        fps,
    )


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
    if "detections" in names:
        raise bad_request("overlay=detections: this server detects nothing", "not_available")
    return names
