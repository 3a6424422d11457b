"""Every setting of the server, with its default, its bounds and what it means: one class a table of the file.

The descriptions are what ``framecast config reference`` and docs/configuration.md show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from framecast.service.config.addresses import Address, parse_address
from framecast.service.config.kinds import (
    AddressText,
    BasePath,
    CameraId,
    Contact,
    Host,
    HostName,
    IceServerText,
    IpAddress,
    MqttUrl,
    Origin,
    PortRange,
    Proxy,
    Topic,
    WebhookUrl,
)
from framecast.service.config.presets import PresetName

Policy = Literal["on_demand", "always"]
Verify = Literal["auto", "always", "never"]


def setting(default: Any, description: str, *, env: tuple[str, ...] = (), **bounds: Any) -> Any:
    """A field with its meaning and the names, besides FRAMECAST_SECTION_KEY, that the environment may use."""
    if callable(default):
        # pydantic reads a factory's parameters, and parses them out of text where it is a built-in type: 8 ms in all.
        factory = lambda: default()  # noqa: E731
        return Field(default_factory=factory, description=description, json_schema_extra={"env": list(env)}, **bounds)
    return Field(default=default, description=description, json_schema_extra={"env": list(env)}, **bounds)


class Section(BaseModel):
    """One TOML table: fixed after it was read, and nothing in it unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServerSettings(Section):
    """Where the server listens and keeps its things."""

    host: Host = setting(
        "127.0.0.1",
        "Address to listen on. `0.0.0.0` is every IPv4 address, `::` every address.",
        env=("FRAMECAST_HOST",),
    )
    port: int = setting(
        8080, "Port for everything: pages, API, streams. 0 takes any free one.", env=("FRAMECAST_PORT",), ge=0, le=65535
    )
    listen: list[AddressText] = setting(list, "Further addresses that serve the same, as `HOST:PORT`.", max_length=32)
    data: Path = setting(
        lambda: platformdirs.user_data_path("framecast"),
        "Folder for the state and the control socket.",
        env=("FRAMECAST_DATA",),
    )
    tls_cert: Path | None = setting(
        None,
        "Certificate for HTTPS, as PEM, with those between it and the authority behind it. "
        "None: what `framecast tls init` made, if it did.",
    )
    tls_key: Path | None = setting(None, "Its key, as PEM without a password. None: in the same file.")
    tls_port: int = setting(
        8443, "Port for HTTPS, on `host`; open when there is a certificate. 0 takes any free one.", ge=0, le=65535
    )
    allowed_origins: list[Origin] = setting(
        list, "Origins of other sites whose pages may embed the player and call the API from a browser.", max_length=64
    )
    allowed_hosts: list[str] = setting(
        list,
        "Further host names of this server. Without a credential it answers to its addresses and names of the local "
        "network only (`.local`, `.lan`, …); while everything is open, to localhost only.",
        max_length=64,
    )
    trusted_proxies: list[Proxy] = setting(
        list,
        "Addresses and networks of reverse proxies whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are "
        "believed. With one named, a token is needed on loopback, too.",
        max_length=64,
    )
    base_path: BasePath = setting(
        "", "Path below which a reverse proxy has this server, such as `/cams`; it may take it off or leave it on."
    )

    @property
    def addresses(self) -> list[Address]:
        """Every address to listen on, the main one first."""
        return [Address(self.host, self.port), *(parse_address(text) for text in self.listen)]


class LimitSettings(Section):
    """Bounds that keep one party from hurting the others."""

    max_frame_bytes: int = setting(
        8 * 1024 * 1024, "Largest JPEG taken from a device, in bytes.", ge=16 * 1024, le=256 * 1024 * 1024
    )
    max_pixels: int = setting(
        25_000_000, "Largest picture taken from a device, in pixels (width x height).", ge=10_000, le=400_000_000
    )
    max_fps_per_camera: int = setting(
        240,
        "Pictures a second taken from one camera; a second's worth may come at once. 0: any number.",
        ge=0,
        le=100_000,
    )
    max_cameras: int = setting(256, "Cameras there may be at a time.", ge=1, le=10_000)
    max_viewers_per_camera: int = setting(4096, "Viewers one camera may have.", ge=1, le=100_000)
    max_connections: int = setting(8192, "Connections the server keeps open at a time.", ge=16, le=1_000_000)
    max_connections_per_address: int = setting(
        4096, "Connections one address may keep open at a time.", ge=1, le=1_000_000
    )
    max_connections_per_token: int = setting(
        4096, "Connections one token or account may keep open at a time.", ge=1, le=1_000_000
    )
    requests_per_s: float = setting(
        500.0,
        "Requests a second of one address, and of one token or account, besides pictures and sound that devices push. "
        "0: any number.",
        ge=0,
        le=1_000_000,
    )
    requests_burst: int = setting(5000, "So many of these may come at once.", ge=1, le=1_000_000)
    received_bytes_per_s: int = setting(
        128 * 1024 * 1024,
        "Bytes a second taken from one address, and from one token or account; five seconds' worth may come at once. "
        "0: any number.",
        ge=0,
        le=1 << 40,
    )
    header_timeout_s: float = setting(10.0, "Time a client has to send a request's headers, in s.", ge=1, le=300)
    body_timeout_s: float = setting(30.0, "Time a client has to send a request's body, in s.", ge=1, le=600)
    viewer_stall_timeout_s: float = setting(
        60.0, "Time a viewer that is behind may go without taking a byte, in s; then it is cut.", ge=1, le=3600
    )
    idle_timeout_s: float = setting(75.0, "Time an idle connection is kept for the next request, in s.", ge=1, le=3600)


class StreamSettings(Section):
    """How pictures are read from cameras and handed to viewers."""

    preset: PresetName = setting("", "Bundle of values to start from (see Presets).", env=("FRAMECAST_PRESET",))
    fps: float = setting(
        0.0,
        "Most pictures a second that one viewer gets. 0: as many as the camera sends.",
        env=("STREAM_FPS",),
        ge=0,
        le=240,
    )
    buffer: int = setting(
        2, "Pictures that may wait for one viewer; older ones are dropped.", env=("STREAM_BUFFER_SIZE",), ge=1, le=256
    )
    stall_timeout_s: float = setting(
        10.0, "Silence after which a camera is reconnected, in s.", env=("STREAM_TIMEOUT",), ge=5, le=60
    )
    heartbeat_interval_s: float = setting(
        5.0,
        "A viewer of a silent camera gets the last picture again this often, in s.",
        env=("HEARTBEAT_INTERVAL",),
        ge=0.5,
        le=60,
    )
    policy: Policy = setting("on_demand", "`on_demand` reads a camera while somebody watches, `always` all the time.")
    grace_s: float = setting(30.0, "How long an unwatched camera is still read, in s.", ge=0, le=86_400)
    reencode: bool = setting(
        False, "Re-encode cameras' own JPEGs with the quality and width of `[capture]`. Otherwise they pass untouched."
    )
    verify: Verify = setting(
        "auto", "Decode each JPEG to find damage inside it: `always`, `never`, or `auto`, while there is time for it."
    )


class CaptureSettings(Section):
    """What Framecast itself captures or encodes; a camera's own JPEGs are not concerned."""

    fps: float = setting(
        0.0,
        "Most pictures a second of what is captured or decoded here (`v4l2:`, `rtsp:`, `file:`). 0: as they come.",
        env=("CAMERA_FPS",),
        ge=0,
        le=240,
    )
    width: int = setting(
        0,
        "Width of `v4l2:` and re-encoded pictures, in px. 0: as it comes. Nothing is enlarged.",
        env=("CAMERA_WIDTH",),
        ge=0,
        le=16_384,
    )
    height: int = setting(
        0,
        "Height of `v4l2:` pictures, in px; needs the width too. 0: as it comes.",
        env=("CAMERA_HEIGHT",),
        ge=0,
        le=16_384,
    )
    quality: int = setting(85, "JPEG quality of whatever is encoded here.", env=("JPEG_QUALITY",), ge=1, le=100)


class H264Settings(Section):
    """How H.264 is made of JPEGs; a camera's own H.264 is not concerned."""

    encoder: Literal["auto", "software", "libx264", "h264_nvenc", "h264_qsv", "h264_videotoolbox", "h264_v4l2m2m"] = (
        setting(
            "auto",
            "`auto`: the first hardware encoder that opens and gives each picture back at once, "
            "else `software` (x264).",
        )
    )
    bitrate_kbps: int = setting(
        0,
        "Bit rate to hold at full size, in kbit/s; smaller renditions get less. 0: constant quality.",
        ge=0,
        le=200_000,
    )
    max_bitrate_kbps: int = setting(
        0,
        "What constant quality may not exceed at full size, in kbit/s. 0: 2,500 for 640x480, by size for others.",
        ge=0,
        le=200_000,
    )
    crf: int = setting(23, "Constant quality on x264's scale; lower is better and larger.", ge=14, le=45)
    gop_s: float = setting(2.0, "Longest time between keyframes, in s.", ge=0.5, le=2)
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = setting(
        "superfast", "How much work x264 does for fewer bits."
    )


class WebrtcSettings(Section):
    """Watching over WebRTC (WHEP); needs the extra `webrtc`."""

    enabled: bool = setting(True, "Let viewers come over WebRTC.")
    ice_servers: list[IceServerText] = setting(
        list,
        "STUN and TURN servers, for the players and for this server: `stun:HOST:PORT`, "
        "`turn:NAME:SECRET@HOST:PORT?transport=udp`. Every viewer gets to see them, secrets too.",
        max_length=8,
    )
    addresses: list[IpAddress] = setting(
        list, "Local addresses that WebRTC's UDP ports are opened at; empty: all but loopback.", max_length=16
    )
    public_addresses: list[IpAddress] = setting(
        list,
        "Addresses by which this machine is known outside, where the router passes the UDP ports on as they are.",
        max_length=4,
    )
    udp_ports: PortRange = setting(
        "", "UDP ports to use, as `FIRST-LAST`; each viewer takes one at each local address. Empty: any."
    )
    max_peers: int = setting(256, "WebRTC viewers there may be at a time, of all cameras.", ge=1, le=10_000)

    @property
    def ports(self) -> tuple[int, int]:
        """First and last UDP port, (0, 0) for any."""
        first, _, last = self.udp_ports.partition("-")
        return (int(first), int(last)) if first else (0, 0)


class SoundSettings(Section):
    """Sound, and talking back."""

    talk_duplex: Literal["half", "full"] = setting(
        "half", "`half` mutes a camera's own sound while somebody talks to it, so that nobody hears an echo."
    )


class NetworkSettings(Section):
    """Which URLs of cameras, restreams and webhooks the API takes. File and command line may name any."""

    allow_private: bool = setting(True, "Cameras in private networks (10/8, 172.16/12, 192.168/16, fc00::/7).")
    allow_public: bool = setting(True, "Cameras at public addresses.")
    allow_loopback: bool = setting(False, "Cameras on this machine (127/8, ::1).")
    allow_link_local: bool = setting(False, "Cameras at link-local addresses, cloud metadata services among them.")
    allow_files: bool = setting(False, "`file:` URLs, that is, any video file that the server can read.")


class CompatSettings(Section):
    """Which camera the routes of older programs mean; empty: the first one."""

    doorbell: CameraId = setting("", "Camera of the doorbell's routes.")
    broadcast: CameraId = setting("", "Camera of `/stream` and `/stream/detect`.")
    robot: CameraId = setting("", "Camera of `/api/robot/stream` and `/video_feed`.")
    m5: CameraId = setting("", "Camera of `/mjpeg`, `/status` and the two M5Stack ports.")
    m5_device_port: int = setting(
        0, "Port where an M5Stack device connects by WebSocket (8765 by custom). 0: off.", ge=0, le=65535
    )
    m5_viewer_port: int = setting(
        0, "Port where M5Stack viewers connect by WebSocket (8766 by custom). 0: off.", ge=0, le=65535
    )


class TunnelSettings(Section):
    """A public address through a tunnel of ngrok's or Cloudflare's (tunnel.md)."""

    provider: Literal["", "ngrok", "cloudflare"] = setting(
        "", "Tunnel that is opened at the start. Empty: none, until `framecast tunnel start`."
    )
    domain: HostName = setting(
        "", "Name under which the server is to be found: one reserved at ngrok, or that of the tunnel at Cloudflare."
    )
    authtoken: str = setting("", "The account's token at ngrok.", env=("NGROK_AUTHTOKEN",), max_length=256)
    cloudflare_token: str = setting(
        "",
        "Token of a tunnel made at Cloudflare; needs `domain` and `port`. "
        "Empty: a tunnel without an account, under a name that changes at each start.",
        env=("TUNNEL_TOKEN",),
        max_length=4096,
    )
    cloudflared: str = setting("cloudflared", "Cloudflare's program: its path, or a name in PATH.", max_length=4096)
    port: int = setting(
        0,
        "Port of 127.0.0.1 by which the tunnel comes in; nothing else may use it. 0 takes any free one.",
        ge=0,
        le=65535,
    )
    status_page: bool = setting(True, "Show the tunnel's state on a page for this machine only, while it runs.")
    status_port: int = setting(4040, "Port of that page, on 127.0.0.1. 0 takes any free one.", ge=0, le=65535)


class HistorySettings(Section):
    """What is remembered of each camera, for the page `/analytics`."""

    hours: int = setting(168, "How long numbers are kept, by the minute. 0: an hour, in memory only.", ge=0, le=2160)


class EventsSettings(Section):
    """What is kept of events, and where they are told to (events.md)."""

    keep_days: int = setting(30, "How long events and their pictures are kept, in days.", ge=1, le=3650)
    max_picture_bytes: int = setting(
        1 << 30,
        "Most that the pictures of events take together, in bytes; the oldest go first. Their events stay.",
        ge=0,
        le=1 << 40,
    )
    webhooks: list[WebhookUrl] = setting(
        list,
        "URLs that get each event by POST, signed with the secret that stands in front of the host: "
        "`https://:SECRET@HOST/PATH`.",
        max_length=16,
    )


class MqttSettings(Section):
    """Events to an MQTT server, and so to Home Assistant; needs the extra `events` (events.md)."""

    url: MqttUrl = setting("", "The server: `mqtt://HOST:1883`, or `mqtts://HOST:8883` by TLS. Empty: none.")
    username: str = setting("", "Name it asks for.", max_length=128)
    password: str = setting("", "Password it asks for.", max_length=256)
    verify_tls: bool = setting(True, "Refuse an `mqtts://` server whose certificate nobody known has signed.")
    prefix: Topic = setting("framecast", "First part of all topics; each server needs one of its own.")
    discovery_prefix: Topic = setting("homeassistant", "Where Home Assistant looks for devices.")


class PushSettings(Section):
    """Events to phones and browsers by Web Push; needs the extra `events` (events.md)."""

    enabled: bool = setting(True, "Let browsers subscribe.")
    contact: Contact = setting(
        "", "Whom a push service may write to about this server: `mailto:me@example.org`. Apple's asks for a true one."
    )
    allow_private: bool = setting(
        False, "Push services in private networks and on this machine, without HTTPS, too; public ones only otherwise."
    )


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severity that is logged.")
    format: Literal["text", "json"] = setting("text", "Lines for people, or one JSON object a line.")
