"""Every setting there is, with its default, its bounds and what it means.

The models hold effective values only; where each came from is known to ``Configuration`` (resolve.py). The
descriptions are what ``framecast config reference`` and docs/configuration.md show.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from framecast.core.rendition import SOURCE, Rendition, snap_quality, snap_width
from framecast.service.config.addresses import Address, is_loopback, parse_address
from framecast.service.config.kinds import (
    AddressText,
    CameraId,
    CameraUrl,
    Host,
    IceServerText,
    IpAddress,
    Mask,
    Network,
    Origin,
    PortRange,
    RestreamUrl,
    SoundUrl,
)
from framecast.service.config.presets import PRESETS, PresetName
from framecast.service.config.urls import url_kind

Policy = Literal["on_demand", "always"]
Verify = Literal["auto", "always", "never"]


def _setting(default: Any, description: str, *, env: tuple[str, ...] = (), **bounds: Any) -> Any:
    """A field with its meaning and the names, besides FRAMECAST_SECTION_KEY, that the environment may use."""
    if callable(default):
        return Field(default_factory=default, description=description, json_schema_extra={"env": list(env)}, **bounds)
    return Field(default=default, description=description, json_schema_extra={"env": list(env)}, **bounds)


class Section(BaseModel):
    """One TOML table: fixed after it was read, and nothing in it unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServerSettings(Section):
    """Where the server listens and keeps its things."""

    host: Host = _setting(
        "127.0.0.1",
        "Address to listen on. `0.0.0.0` is every IPv4 address, `::` every address.",
        env=("FRAMECAST_HOST",),
    )
    port: int = _setting(
        8080, "Port for everything: pages, API, streams. 0 takes any free one.", env=("FRAMECAST_PORT",), ge=0, le=65535
    )
    listen: list[AddressText] = _setting(list, "Further addresses that serve the same, as `HOST:PORT`.", max_length=32)
    data: Path = _setting(
        lambda: platformdirs.user_data_path("framecast"),
        "Folder for the state and the control socket.",
        env=("FRAMECAST_DATA",),
    )
    tls_cert: Path | None = _setting(
        None,
        "Certificate for HTTPS, as PEM, with those between it and the authority behind it. "
        "None: what `framecast tls init` made, if it did.",
    )
    tls_key: Path | None = _setting(None, "Its key, as PEM without a password. None: in the same file.")
    tls_port: int = _setting(
        8443, "Port for HTTPS, on `host`; open when there is a certificate. 0 takes any free one.", ge=0, le=65535
    )
    allowed_origins: list[Origin] = _setting(
        list, "Origins of other sites whose pages may embed the player and call the API from a browser.", max_length=64
    )
    allowed_hosts: list[str] = _setting(
        list,
        "Host names by which a server without tokens may be called, besides localhost and loopback addresses.",
        max_length=64,
    )

    @property
    def addresses(self) -> list[Address]:
        """Every address to listen on, the main one first."""
        return [Address(self.host, self.port), *(parse_address(text) for text in self.listen)]


class LimitSettings(Section):
    """Bounds that keep one party from hurting the others."""

    max_frame_bytes: int = _setting(
        8 * 1024 * 1024, "Largest JPEG taken from a device, in bytes.", ge=16 * 1024, le=256 * 1024 * 1024
    )
    max_pixels: int = _setting(
        25_000_000, "Largest picture taken from a device, in pixels (width x height).", ge=10_000, le=400_000_000
    )
    max_fps_per_camera: int = _setting(
        240,
        "Pictures a second taken from one camera; a second's worth may come at once. 0: any number.",
        ge=0,
        le=100_000,
    )
    max_cameras: int = _setting(256, "Cameras there may be at a time.", ge=1, le=10_000)
    max_viewers_per_camera: int = _setting(4096, "Viewers one camera may have.", ge=1, le=100_000)
    max_connections: int = _setting(8192, "Connections the server keeps open at a time.", ge=16, le=1_000_000)
    max_connections_per_address: int = _setting(
        4096, "Connections one address may keep open at a time.", ge=1, le=1_000_000
    )
    header_timeout_s: float = _setting(10.0, "Time a client has to send a request's headers, in s.", ge=1, le=300)
    body_timeout_s: float = _setting(30.0, "Time a client has to send a request's body, in s.", ge=1, le=600)
    viewer_stall_timeout_s: float = _setting(
        60.0, "Time a viewer that is behind may go without taking a byte, in s; then it is cut.", ge=1, le=3600
    )
    idle_timeout_s: float = _setting(75.0, "Time an idle connection is kept for the next request, in s.", ge=1, le=3600)


class StreamSettings(Section):
    """How pictures are read from cameras and handed to viewers."""

    preset: PresetName = _setting("", "Bundle of values to start from (see Presets).", env=("FRAMECAST_PRESET",))
    fps: float = _setting(
        0.0,
        "Most pictures a second that one viewer gets. 0: as many as the camera sends.",
        env=("STREAM_FPS",),
        ge=0,
        le=240,
    )
    buffer: int = _setting(
        2, "Pictures that may wait for one viewer; older ones are dropped.", env=("STREAM_BUFFER_SIZE",), ge=1, le=256
    )
    stall_timeout_s: float = _setting(
        10.0, "Silence after which a camera is reconnected, in s.", env=("STREAM_TIMEOUT",), ge=5, le=60
    )
    heartbeat_interval_s: float = _setting(
        5.0,
        "A viewer of a silent camera gets the last picture again this often, in s.",
        env=("HEARTBEAT_INTERVAL",),
        ge=0.5,
        le=60,
    )
    policy: Policy = _setting("on_demand", "`on_demand` reads a camera while somebody watches, `always` all the time.")
    grace_s: float = _setting(30.0, "How long an unwatched camera is still read, in s.", ge=0, le=86_400)
    reencode: bool = _setting(
        False, "Re-encode cameras' own JPEGs with the quality and width of `[capture]`. Otherwise they pass untouched."
    )
    verify: Verify = _setting(
        "auto", "Decode each JPEG to find damage inside it: `always`, `never`, or `auto`, while there is time for it."
    )


class CaptureSettings(Section):
    """What Framecast itself captures or encodes; a camera's own JPEGs are not concerned."""

    fps: float = _setting(
        0.0,
        "Most pictures a second of what is captured or decoded here (`v4l2:`, `rtsp:`, `file:`). 0: as they come.",
        env=("CAMERA_FPS",),
        ge=0,
        le=240,
    )
    width: int = _setting(
        0,
        "Width of `v4l2:` and re-encoded pictures, in px. 0: as it comes. Nothing is enlarged.",
        env=("CAMERA_WIDTH",),
        ge=0,
        le=16_384,
    )
    height: int = _setting(
        0,
        "Height of `v4l2:` pictures, in px; needs the width too. 0: as it comes.",
        env=("CAMERA_HEIGHT",),
        ge=0,
        le=16_384,
    )
    quality: int = _setting(85, "JPEG quality of whatever is encoded here.", env=("JPEG_QUALITY",), ge=1, le=100)


class H264Settings(Section):
    """How H.264 is made of JPEGs; a camera's own H.264 is not concerned."""

    encoder: Literal["auto", "software", "libx264", "h264_nvenc", "h264_qsv", "h264_videotoolbox", "h264_v4l2m2m"] = (
        _setting(
            "auto",
            "`auto`: the first hardware encoder that opens and gives each picture back at once, "
            "else `software` (x264).",
        )
    )
    bitrate_kbps: int = _setting(
        0,
        "Bit rate to hold at full size, in kbit/s; smaller renditions get less. 0: constant quality.",
        ge=0,
        le=200_000,
    )
    max_bitrate_kbps: int = _setting(
        0,
        "What constant quality may not exceed at full size, in kbit/s. 0: 2,500 for 640x480, by size for others.",
        ge=0,
        le=200_000,
    )
    crf: int = _setting(23, "Constant quality on x264's scale; lower is better and larger.", ge=14, le=45)
    gop_s: float = _setting(2.0, "Longest time between keyframes, in s.", ge=0.5, le=2)
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = _setting(
        "superfast", "How much work x264 does for fewer bits."
    )


class WebrtcSettings(Section):
    """Watching over WebRTC (WHEP); needs the extra `webrtc`."""

    enabled: bool = _setting(True, "Let viewers come over WebRTC.")
    ice_servers: list[IceServerText] = _setting(
        list,
        "STUN and TURN servers, for the players and for this server: `stun:HOST:PORT`, "
        "`turn:NAME:SECRET@HOST:PORT?transport=udp`. Every viewer gets to see them, secrets too.",
        max_length=8,
    )
    addresses: list[IpAddress] = _setting(
        list, "Local addresses that WebRTC's UDP ports are opened at; empty: all but loopback.", max_length=16
    )
    public_addresses: list[IpAddress] = _setting(
        list,
        "Addresses by which this machine is known outside, where the router passes the UDP ports on as they are.",
        max_length=4,
    )
    udp_ports: PortRange = _setting(
        "", "UDP ports to use, as `FIRST-LAST`; each viewer takes one at each local address. Empty: any."
    )
    max_peers: int = _setting(256, "WebRTC viewers there may be at a time, of all cameras.", ge=1, le=10_000)

    @property
    def ports(self) -> tuple[int, int]:
        """First and last UDP port, (0, 0) for any."""
        first, _, last = self.udp_ports.partition("-")
        return (int(first), int(last)) if first else (0, 0)


class SoundSettings(Section):
    """Sound, and talking back."""

    talk_duplex: Literal["half", "full"] = _setting(
        "half", "`half` mutes a camera's own sound while somebody talks to it, so that nobody hears an echo."
    )


class NetworkSettings(Section):
    """Which camera URLs the API takes. The configuration file and the command line may name any."""

    allow_private: bool = _setting(True, "Cameras in private networks (10/8, 172.16/12, 192.168/16, fc00::/7).")
    allow_public: bool = _setting(True, "Cameras at public addresses.")
    allow_loopback: bool = _setting(False, "Cameras on this machine (127/8, ::1).")
    allow_link_local: bool = _setting(False, "Cameras at link-local addresses, cloud metadata services among them.")
    allow_files: bool = _setting(False, "`file:` URLs, that is, any video file that the server can read.")


class CompatSettings(Section):
    """Which camera the routes of older programs mean; empty: the first one."""

    doorbell: CameraId = _setting("", "Camera of the doorbell's routes.")
    broadcast: CameraId = _setting("", "Camera of `/stream` and `/stream/detect`.")
    robot: CameraId = _setting("", "Camera of `/api/robot/stream` and `/video_feed`.")
    m5: CameraId = _setting("", "Camera of `/mjpeg`, `/status` and the two M5Stack ports.")
    m5_device_port: int = _setting(
        0, "Port where an M5Stack device connects by WebSocket (8765 by custom). 0: off.", ge=0, le=65535
    )
    m5_viewer_port: int = _setting(
        0, "Port where M5Stack viewers connect by WebSocket (8766 by custom). 0: off.", ge=0, le=65535
    )


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least severity that is logged.")
    format: Literal["text", "json"] = _setting("text", "Lines for people, or one JSON object a line.")


class CameraConfig(Section):
    """One camera; what is left out is taken from ``[stream]``."""

    url: CameraUrl = Field(description="Where the pictures come from (see Camera URLs).")
    name: str = _setting("", "Name shown to people; the id if empty.", max_length=80)
    policy: Policy | None = _setting(None, "As `stream.policy`, for this camera.")
    grace_s: float | None = _setting(None, "As `stream.grace_s`, for this camera.", ge=0, le=86_400)
    stall_timeout_s: float | None = _setting(None, "As `stream.stall_timeout_s`, for this camera.", ge=5, le=60)
    preset: PresetName = _setting("", "Preset for this camera; it wins over `[stream]` and `[capture]`.")
    rotate: Literal[0, 90, 180, 270] = _setting(0, "Turn pictures clockwise by this many degrees.")
    mirror: Literal["none", "horizontal", "vertical"] = _setting("none", "Mirror pictures, after turning them.")
    masks: list[Mask] = _setting(
        list,
        "Areas blackened for privacy, each `[x, y, width, height]` in fractions of the picture as viewers see it.",
        max_length=32,
    )
    public: list[Literal["watch"]] = _setting(list, '`["watch"]`: anybody may watch without a token.', max_length=1)
    publish_from: list[Network] = _setting(
        list, "Networks from which a device may push without a token.", max_length=32
    )
    allow_query_key: bool = _setting(False, "Accept a token as `?key=` in the address, for clients without headers.")
    username: str = _setting("", "User name the device asks for (or `user:password@` in the URL).", max_length=128)
    password: str = _setting("", "Password the device asks for.", max_length=256)
    verify_tls: bool = _setting(
        True, "Refuse an `https://` device whose certificate nobody known has signed; cameras' own seldom are signed."
    )
    audio_url: SoundUrl = _setting(
        "",
        "Where the camera's sound is fetched, when it does not come with the pictures: `http://…` or `https://…` that "
        "answers with a WAV or raw PCM (devices.md).",
    )
    talk: bool = _setting(True, "Whether one may talk to the camera from its page; needs the right `operate`.")
    poll_interval_s: float = _setting(1.0, "How often a still image is fetched, in s.", ge=0.05, le=3600)

    restream: list[RestreamUrl] = _setting(
        list,
        "Where pictures and sound are pushed on to: `rtmp://HOST/APP/KEY`, `rtsp://HOST/PATH`, "
        "`whip+https://:TOKEN@HOST/PATH`.",
        max_length=8,
    )

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
    log: LogSettings = LogSettings()
    cameras: dict[str, CameraConfig] = Field(default={}, description="One table for each camera, named by its id.")

    @property
    def listens_on_loopback_only(self) -> bool:
        """Whether no other machine can connect."""
        return all(is_loopback(address.host) for address in self.server.addresses)

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
