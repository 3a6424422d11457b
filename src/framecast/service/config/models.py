"""A camera's configuration, and everything together: the tables of sections.py and one table a camera.

The models hold effective values only; where each came from is known to ``Configuration`` (resolve.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from framecast.core.rendition import SOURCE, Rendition, snap_quality, snap_width
from framecast.service.config.addresses import is_loopback
from framecast.service.config.kinds import CameraUrl, Label, Mask, Network, RestreamUrl, SoundUrl
from framecast.service.config.presets import PRESETS, PresetName
from framecast.service.config.sections import (
    CaptureSettings,
    CompatSettings,
    EventsSettings,
    H264Settings,
    HistorySettings,
    LimitSettings,
    LogSettings,
    MqttSettings,
    NetworkSettings,
    Policy,
    PushSettings,
    Section,
    ServerSettings,
    SoundSettings,
    StreamSettings,
    TunnelSettings,
    Verify,
    WebrtcSettings,
    setting,
)
from framecast.service.config.seeing import VisionSettings
from framecast.service.config.urls import url_kind
from framecast.vision.options import Options as VisionOptions


class CameraConfig(Section):
    """One camera; what is left out is taken from ``[stream]``."""

    url: CameraUrl = Field(description="Where the pictures come from (see Camera URLs).")
    name: str = setting("", "Name shown to people; the id if empty.", max_length=80)
    policy: Policy | None = setting(None, "As `stream.policy`, for this camera.")
    grace_s: float | None = setting(None, "As `stream.grace_s`, for this camera.", ge=0, le=86_400)
    stall_timeout_s: float | None = setting(None, "As `stream.stall_timeout_s`, for this camera.", ge=5, le=60)
    preset: PresetName = setting("", "Preset for this camera; it wins over `[stream]` and `[capture]`.")
    rotate: Literal[0, 90, 180, 270] = setting(0, "Turn pictures clockwise by this many degrees.")
    mirror: Literal["none", "horizontal", "vertical"] = setting("none", "Mirror pictures, after turning them.")
    masks: list[Mask] = setting(
        list,
        "Areas blackened for privacy, each `[x, y, width, height]` in fractions of the picture as viewers see it.",
        max_length=32,
    )
    public: list[Literal["watch"]] = setting(list, '`["watch"]`: anybody may watch without a token.', max_length=1)
    publish_from: list[Network] = setting(list, "Networks from which a device may push without a token.", max_length=32)
    allow_query_key: bool = setting(False, "Accept a token as `?key=` in the address, for clients without headers.")
    username: str = setting("", "User name the device asks for (or `user:password@` in the URL).", max_length=128)
    password: str = setting("", "Password the device asks for.", max_length=256)
    verify_tls: bool = setting(
        True, "Refuse an `https://` device whose certificate nobody known has signed; cameras' own seldom are signed."
    )
    audio_url: SoundUrl = setting(
        "",
        "Where the camera's sound is fetched, when it does not come with the pictures: `http://…` or `https://…` that "
        "answers with a WAV or raw PCM (devices.md).",
    )
    talk: bool = setting(True, "Whether one may talk to the camera from its page; needs the right `operate`.")
    poll_interval_s: float = setting(1.0, "How often a still image is fetched, in s.", ge=0.05, le=3600)

    restream: list[RestreamUrl] = setting(
        list,
        "Where pictures and sound are pushed on to: `rtmp://HOST/APP/KEY`, `rtsp://HOST/PATH`, "
        "`whip+https://:TOKEN@HOST/PATH`.",
        max_length=8,
    )

    detect: list[Label] | None = setting(None, "As `vision.labels`, for this camera.", max_length=100)
    detect_fps: float | None = setting(None, "As `vision.fps`, for this camera.", ge=0, le=240)
    detect_threshold: float | None = setting(None, "As `vision.threshold`, for this camera.", ge=0.05, le=0.99)
    detect_faces: bool = setting(True, "Whether faces are looked for in this camera's pictures.")

    @property
    def kind(self) -> str:
        """How the pictures come, from the URL alone: ``pull push rtsp file v4l2 mock``."""
        return url_kind(self.url)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What holds for one camera's stream, all layers and presets applied.

    Attributes:
        fps: Most pictures a second for one viewer; 0 is no limit.
        buffer: Bound of a viewer's mailbox, in packets.
        rendition: What a viewer gets who asks for nothing special.
    """

    policy: Policy
    grace_s: float
    stall_timeout_s: float
    heartbeat_interval_s: float
    fps: float
    buffer: int
    verify: Verify
    rendition: Rendition


class Settings(Section):
    """All effective settings of one server."""

    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    stream: StreamSettings = StreamSettings()
    capture: CaptureSettings = CaptureSettings()
    h264: H264Settings = H264Settings()
    webrtc: WebrtcSettings = WebrtcSettings()
    sound: SoundSettings = SoundSettings()
    network: NetworkSettings = NetworkSettings()
    compat: CompatSettings = CompatSettings()
    tunnel: TunnelSettings = TunnelSettings()
    vision: VisionSettings = VisionSettings()
    history: HistorySettings = HistorySettings()
    events: EventsSettings = EventsSettings()
    mqtt: MqttSettings = MqttSettings()
    push: PushSettings = PushSettings()
    log: LogSettings = LogSettings()
    cameras: dict[str, CameraConfig] = Field(default={}, description="One table for each camera, named by its id.")

    @property
    def listens_on_loopback_only(self) -> bool:
        """Whether no other machine can connect."""
        return all(is_loopback(address.host) for address in self.server.addresses)

    def vision_options(self, camera: CameraConfig) -> VisionOptions:
        """What is looked for in the pictures of ``camera``: its own values, then ``[vision]``."""
        vision = self.vision
        return VisionOptions(
            enabled=vision.enabled,
            model=vision.model,
            fps=vision.fps if camera.detect_fps is None else camera.detect_fps,
            threshold=camera.detect_threshold or vision.threshold,
            labels=frozenset(vision.labels if camera.detect is None else camera.detect),
            threads=vision.threads,
            faces=vision.faces if camera.detect_faces else "off",
            face_threshold=vision.face_threshold,
        )

    def stream_options(self, camera: CameraConfig) -> StreamOptions:
        """What holds for ``camera``: its own values, then its preset, then ``[stream]`` and ``[capture]``."""
        stream, capture = self.stream, self.capture
        if camera.preset:
            values = PRESETS[camera.preset]
            stream = stream.model_copy(update=_of_section(values, "stream"))
            capture = capture.model_copy(update=_of_section(values, "capture"))
        rendition = SOURCE
        if stream.reencode:
            width_px = snap_width(capture.width) if capture.width else 0
            rendition = Rendition(width_px=width_px, quality=snap_quality(capture.quality))
        return StreamOptions(
            policy=camera.policy or stream.policy,
            grace_s=stream.grace_s if camera.grace_s is None else camera.grace_s,
            stall_timeout_s=camera.stall_timeout_s or stream.stall_timeout_s,
            heartbeat_interval_s=stream.heartbeat_interval_s,
            fps=stream.fps,
            buffer=stream.buffer,
            verify=stream.verify,
            rendition=rendition,
        )


def _of_section(values: Any, section: str) -> dict[str, Any]:
    prefix = section + "."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
