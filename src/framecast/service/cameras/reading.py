"""What of a camera's configuration its device would notice, and what only its viewers see."""

from __future__ import annotations

from framecast.service.config import CameraConfig, Settings

_APPEARANCE = frozenset(
    {
        *("name", "rotate", "mirror", "masks", "public", "publish_from", "allow_query_key", "talk", "restream"),
        *("detect", "detect_fps", "detect_threshold", "detect_faces"),
    }
)
_CAPTURED = ("rtsp", "file", "v4l2")


def reading_of(settings: Settings, config: CameraConfig, origin: str) -> tuple[object, ...]:
    """What its source and reader are begun with: where it is another, the camera has to be read anew.

    Args:
        origin: Who gave its URL.
    """
    options = settings.stream_options(config)
    return (
        origin,
        config.model_dump(exclude=set(_APPEARANCE)),
        (options.policy, options.grace_s, options.stall_timeout_s, options.verify),
        settings.capture if config.kind in _CAPTURED else None,
    )


def transform_of(config: CameraConfig) -> tuple[object, ...]:
    """What is done to a camera's pictures before anybody sees them."""
    return config.rotate, config.mirror, config.masks
