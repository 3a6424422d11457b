"""What is open to whom without a credential of their own: lines for the log, and who goes when it is no longer."""

from __future__ import annotations

import logging

from framecast.service.access.rights import Access, Cut, Right
from framecast.service.config import CameraConfig, Settings

log = logging.getLogger("framecast.service.operations.openings")


def of_camera(camera_id: str, config: CameraConfig) -> list[str]:
    """What a camera opens, one line for each kind of people."""
    lines = []
    if config.public:
        lines.append(f"{camera_id}: anybody who can connect may watch and listen (public)")
    if config.publish_from:
        lines.append(
            f"{camera_id}: devices in {', '.join(config.publish_from)} may push without a token (publish_from)"
        )
    if config.allow_query_key:
        lines.append(
            f"{camera_id}: tokens may stand in addresses, so whoever reads a log or history of these may use them "
            "(allow_query_key)"
        )
    return lines


def of_server(settings: Settings) -> list[str]:
    """What the server opens to pages of other sites."""
    origins = settings.server.allowed_origins
    if not origins:
        return []
    words = "pages of {} may show the player and use the API as whoever looks at them (allowed_origins)"
    return [words.format(", ".join(origins))]


def of_all(settings: Settings) -> list[str]:
    """All of it."""
    cameras = settings.cameras.items()
    return [*of_server(settings), *(line for camera_id, config in cameras for line in of_camera(camera_id, config))]


def tell(camera_id: str, before: CameraConfig | None, config: CameraConfig, access: Access) -> None:
    """Say in the log what a change of a camera opens to others, or a new camera."""
    known = of_camera(camera_id, before) if before is not None else []
    for text in of_camera(camera_id, config):
        if text not in known and not access.open:
            log.warning("%s", text)


def ended(camera_id: str, before: CameraConfig, config: CameraConfig | None) -> list[Cut]:
    """Whom a change of a camera shuts out who had no right of their own, or its removal.

    What is open to several cameras goes on without one, and must not be let in by what the next of its id keeps shut.
    Whoever looks at others only loses nothing.
    """
    public = frozenset(before.public) - frozenset(config.public if config is not None else ())
    publish_from = frozenset(before.publish_from) - frozenset(config.publish_from if config is not None else ())
    cuts = [Cut(camera=camera_id, need=Right.WATCH)] if public else []
    cuts += [Cut(camera=camera_id, need=Right.PUBLISH)] if publish_from else []
    if before.allow_query_key and (config is None or not config.allow_query_key):
        cuts.append(Cut(camera=camera_id, in_address=True))
    return cuts
