"""What the API says about cameras: plain dictionaries, made anew for each answer."""

from __future__ import annotations

import asyncio
from typing import Any

from framecast.core.ladder import Choice
from framecast.core.packet import Packet
from framecast.core.rendition import DETECTIONS
from framecast.core.stream import Stream
from framecast.core.viewer import Viewer
from framecast.service.cameras.cameras import Camera
from framecast.service.config import mask_url

Json = dict[str, Any]


def camera(item: Camera) -> Json:
    """A camera, whole; `docs/protocol.md` lists the fields."""
    stream, config, reader = item.stream, item.config, item.reader
    missed, given = drops_and_bytes(item)
    return {
        "id": item.camera_id,
        "number": stream.number,
        "name": item.name,
        "url": mask_url(config.url),
        "kind": config.kind,
        "origin": item.origin,
        "policy": item.options.policy,
        "state": stream.state.value,
        "reason": stream.reason,
        "since": round(stream.state_since_ns / 1e9, 3),
        "viewers": len(stream.viewers),
        "video": video(item),
        "audio": audio(item),
        "talk": config.talk,
        "connection": {
            "dialect": reader.dialect,
            "address": reader.address,
            "connects": reader.connects,
            "reconnects": max(0, reader.connects - 1),
            "last_error": reader.last_error,
            "retry_in_s": _retry_in_s(reader.retry_at),
        },
        "counters": {
            "frames": stream.published,
            "bytes": stream.meter.bytes,
            "refused": dict(stream.refused),
            "quirks": dict(stream.quirks),
            "drops": missed,
            "sent_bytes": given,
            "viewers_cut": stream.viewers_cut,
            "overruns": item.output.overruns,
        },
        "latency_ms": latency_ms(item),
        "vision": vision(item),
        "renditions": stream.renditions,
        "transform": {
            "rotate": config.rotate,
            "mirror": config.mirror,
            "masks": [list(mask) for mask in config.masks],
        },
    }


def newest(stream: Stream) -> Packet | None:
    """What everybody sees: a picture, or an access unit of a camera that codes by itself; None before the first."""
    picture, coded = stream.video.latest or stream.inlet.latest, stream.native.latest
    if coded is None or (picture is not None and (picture.frame_id >= coded.frame_id or not stream.passes_native)):
        return picture
    return coded


def video(item: Camera) -> Json | None:
    """Size, rate and age of what everybody sees; None before the first picture."""
    stream = item.stream
    latest = newest(stream)
    if latest is None:
        return None
    # While nobody watches pictures are not masked or turned either; their age is the device's all the same.
    youngest = latest if stream.wanted or latest is stream.native.latest else stream.inlet.latest or latest
    now_ns = stream.clock.now_ns()
    fps, bytes_per_s = stream.meter.rates(now_ns)
    return {
        "width": latest.format.width_px,
        "height": latest.format.height_px,
        "fps": round(fps, 1),
        "bytes_per_frame": len(latest.payload),
        "bitrate_bps": round(bytes_per_s * 8),
        "frame_id": youngest.frame_id,
        "age_s": round(max(0, now_ns - youngest.pts_ns) / 1e9, 3),
        "epoch": youngest.epoch,
    }


def audio(item: Camera) -> Json | None:
    """Form, state and counts of a camera's sound; None where there was none yet and none is fetched."""
    stream, microphone, reader = item.stream, item.sound.microphone, item.sound.reader
    latest = stream.audio.latest
    if latest is None and reader is None and not microphone.refused:
        return None
    return {
        "sample_rate": latest.format.sample_rate_hz if latest is not None else None,
        "channels": latest.format.channels if latest is not None else None,
        "active": microphone.active,
        "muted": microphone.muted,
        "chunks": microphone.published,
        "bytes": microphone.meter.bytes,
        "lost": microphone.lost,
        "late": microphone.late,
        "doubled": microphone.doubled,
        "refused": dict(microphone.refused),
        "restarts": microphone.restarts,
        "pauses": microphone.pauses,
        "drift_ppm": round(microphone.drift_ppm, 1),
        "drops": item.sound.listeners.drops,
        "url": mask_url(item.config.audio_url) or None,
        "last_error": reader.last_error if reader is not None else "",
    }


def vision(item: Camera) -> Json:
    """What detection does and costs, and why it sees nothing where it doesn't."""
    sight, seeks, config = item.sight, item.seeks, item.config
    own = (config.detect, config.detect_fps, config.detect_threshold)
    fps, _ = sight.meter.rates(item.stream.clock.now_ns())
    # What failed waits to be begun anew, and is told nothing when nobody wants it any more.
    works = sight.working and DETECTIONS.name in item.stream.renditions
    return {
        "state": (sight.state or "running") if works else "idle",
        "reason": sight.reason if works else "",
        "model": sight.model,
        "provider": sight.provider,
        "fps": round(fps, 1),
        "ms": {stage: round(cost_ms, 2) for stage, cost_ms in sight.ms.items()},
        "looks": sight.looks,
        "inferences": sight.inferences.total(),
        "asked": {
            "labels": sorted(seeks.labels),
            "fps": seeks.fps,
            "threshold": seeks.threshold,
            "faces": seeks.faces != "off",
            "own": not config.detect_faces or any(each is not None for each in own),
        },
    }


def numbers(item: Camera) -> Json:
    """What changes all the time, for dashboards once a second."""
    stream = item.stream
    shown = video(item) or {}
    missed, given = drops_and_bytes(item)
    return {
        "state": stream.state.value,
        "reason": stream.reason,
        "viewers": len(stream.viewers),
        "fps": shown.get("fps", 0.0),
        "bitrate_bps": shown.get("bitrate_bps", 0),
        "bytes_per_frame": shown.get("bytes_per_frame", 0),
        "width": shown.get("width", 0),
        "height": shown.get("height", 0),
        "frame_id": shown.get("frame_id", 0),
        "age_s": shown.get("age_s"),
        "frames": stream.published,
        "refused": sum(stream.refused.values()),
        "drops": missed,
        "sent_bytes": given,
        "overruns": item.output.overruns,
        "reconnects": max(0, item.reader.connects - 1),
        "latency_ms": latency_ms(item),
    }


def latency_ms(item: Camera) -> Json:
    """From the last byte of a picture's arrival to the last viewer's write, over the last passes of all fan-outs."""
    slowest = {"p50": 0.0, "p99": 0.0}
    for samples in (*(fanout.latency_ms for fanout in item.output.fanouts.values()), *item.stream.latencies):
        p50, p99 = samples.at(0.5, 0.99)
        slowest = {"p50": max(slowest["p50"], round(p50, 2)), "p99": max(slowest["p99"], round(p99, 2))}
    return slowest


def drops(item: Camera) -> int:
    """Frames that viewers missed because they were behind, those of viewers long gone included."""
    return drops_and_bytes(item)[0]


def drops_and_bytes(item: Camera) -> tuple[int, int]:
    """The same, and what viewers were given: adding up what a viewer got is done once for both."""
    missed, given = item.stream.drops, item.stream.sent_bytes
    for viewer in item.stream.viewers.values():
        viewer_drops, viewer_bytes = viewer.drops_and_bytes
        missed += viewer_drops
        given += viewer_bytes
    return missed, given


def reader(viewer: Viewer, *, named: bool = True) -> Json:
    """One viewer.

    Args:
        named: Whether to say who it is: where others sit is not every viewer's business.
    """
    return {
        "id": viewer.number,
        "kind": viewer.kind,
        "address": viewer.address if named else None,
        "holder": (viewer.holder or None) if named else None,
        "since": round(viewer.since_ns / 1e9, 3),
        "sent": viewer.sent,
        "bytes": viewer.bytes,
        "drops": viewer.drops,
        "repeats": viewer.repeats,
        "behind": viewer.behind,
        "fps_limit": viewer.fps_limit or None,
        "rendition": viewer.rendition,
        "acked_frame_id": viewer.acked or None,
        "quality": None if viewer.choice is None else quality(viewer.choice),
    }


def quality(choice: Choice) -> Json:
    """What a viewer gets, and why."""
    return {
        "asked": choice.asked or None,
        "level": choice.level or None,
        "width": choice.width_px or None,
        "fps": choice.fps or None,
        "reason": choice.reason,
    }


def _retry_in_s(retry_at: float | None) -> float | None:
    if retry_at is None or retry_at == float("inf"):
        return None
    return round(max(0.0, retry_at - asyncio.get_running_loop().time()), 1)
