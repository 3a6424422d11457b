"""Probing on behalf of the API: the same as `framecast doctor`, with the API's limits on where it may reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from framecast.core.source import Source
from framecast.core.stream import State
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.cameras.reach import CheckAddress
from framecast.service.config import mask_url


async def probe_url(
    url: str,
    *,
    username: str,
    password: str,
    check: CheckAddress | None,
    open_source: Callable[[str], Source],
    on_step: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, Any], bytes | None]:
    """Look at a camera for a few seconds; returns what was found, and a picture if there was one.

    Args:
        on_step: Called with each step as it is done.
    """
    from framecast.ingest.probe import probe

    result = await probe(
        url,
        user=username,
        password=password,
        check_address=check,
        open_source=open_source,
        on_step=lambda step: on_step(step.to_json()),
    )
    return result.to_json(), result.preview


def findings(camera: Camera) -> tuple[dict[str, Any], bytes | None] | None:
    """What is known of a camera whose pictures are coming in, or that has to come by itself; None for the others.

    Most cameras serve one viewer, and that is us: a second connection would find them busy.
    """
    stream = camera.stream
    if camera.desk is None and stream.state not in (State.LIVE, State.STALLED):
        return None
    from framecast.ingest.diagnosis import diagnose, explain
    from framecast.ingest.probe import ProbeResult
    from framecast.ingest.push import ONLY_SOUND, REFUSED

    shown = views.video(camera) or {}
    latest = stream.video.latest
    problems = diagnose(stream.quirks, {**stream.refused, **_of_sound(camera)})
    if stream.state is State.OFFLINE:
        route = f"/api/v1/cameras/{camera.camera_id}/frames"
        advice = f"It has to send to {route} of this server, with a token that may publish (docs/devices.md)."
        title = "The device has stopped sending" if stream.published else "The device has sent nothing yet"
        if stream.reason == ONLY_SOUND or stream.reason.startswith(REFUSED):
            title = stream.reason
        if stream.reason.startswith(REFUSED):
            advice = "Something came and was refused: see below."
        problems.insert(0, replace(explain("no_pictures", title=title), advice=advice))
    result = ProbeResult(
        ok=stream.state in (State.LIVE, State.STALLED),
        url=mask_url(camera.config.url),
        dialect=camera.reader.dialect,
        kind=camera.config.kind,
        width=shown.get("width", 0),
        height=shown.get("height", 0),
        fps=shown.get("fps", 0.0),
        bytes_per_frame=shown.get("bytes_per_frame", 0),
        frames=stream.published,
        problems=problems,
    )
    return result.to_json(), latest.payload if latest is not None else None


def _of_sound(camera: Camera) -> dict[str, int]:
    """What is counted of a camera's sound, by the codes of the table."""
    microphone = camera.sound.microphone
    counts = {**microphone.losses, "pauses": microphone.pauses, "restarts": microphone.restarts}
    return {f"audio_{cause}": count for cause, count in counts.items()}
