"""What FFmpeg has to be told to open a camera's URL."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlsplit

from framecast.core.errors import Misuse

_V4L2_KEYS = ("width", "height", "fps", "format")
_V4L2_FORMATS = {"mjpeg": "mjpeg", "yuyv": "yuyv422"}
_NUMBERS = {"width": (16, 8192), "height": (16, 8192), "fps": (1, 240)}


@dataclass(frozen=True, slots=True)
class Target:
    """What to open, and how.

    Attributes:
        kind: ``RTSP``, ``Video file`` or ``V4L2``, for people.
        name: As FFmpeg wants it.
        address: As people may see it: no password.
        demuxer: Name of FFmpeg's demuxer, "" to let it look.
        options: Alternatives, tried in turn while the device says it can't.
        live: Whether pictures come when they come; a file is paced and begins again at its end.
        host: Name or address of the machine to connect to, "" for none.
        port: Its port.
    """

    kind: str
    name: str
    address: str
    demuxer: str
    options: tuple[dict[str, str], ...]
    live: bool
    host: str = ""
    port: int = 0

    def at(self, ip: str) -> Target:
        """The same at this IP address, so that the name is not looked up again."""
        parts = urlsplit(self.name)
        login, at, _ = parts.netloc.rpartition("@")
        netloc = f"{login}{at}{_bracketed(ip)}:{self.port}"
        return replace(self, name=parts._replace(netloc=netloc).geturl(), host=ip)


def target_of(url: str, timeout_s: float, user: str = "", password: str = "") -> Target:
    """What ``url`` stands for.

    Args:
        url: ``rtsp://…``, ``rtsps://…``, ``file:PATH`` or ``v4l2:DEVICE?width=&height=&fps=&format=``.
        timeout_s: How long the peer may be silent.
        user: Goes into an rtsp URL that names none.
        password: Belongs to ``user``.

    Raises:
        Misuse: A URL that isn't one of these, with what would be.
    """
    try:
        os.fsencode(url)  # as FFmpeg is given it
    except UnicodeEncodeError:
        raise Misuse("there are characters in this URL that are no text") from None
    scheme, _, rest = url.partition(":")
    if scheme in ("rtsp", "rtsps"):
        return _rtsp(url, timeout_s, user, password)
    if scheme == "file":
        return _file(rest)
    if scheme == "v4l2":
        return _v4l2(rest)
    raise Misuse(f"{scheme}: is not read through FFmpeg; rtsp://…, rtsps://…, file:PATH and v4l2:/dev/video0 are")


def _rtsp(url: str, timeout_s: float, user: str, password: str) -> Target:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise Misuse("the port of an rtsp URL is a number up to 65535") from None
    if not parts.hostname:
        raise Misuse("an rtsp URL names a host: rtsp://192.168.1.20:554/stream")
    port = port or (322 if parts.scheme == "rtsps" else 554)
    if user and "@" not in parts.netloc:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        url = parts._replace(netloc=f"{login}@{parts.netloc}").geturl()
    options = {
        # Everything over the one TCP connection: no lost packets, no ports to open, nobody else can send.
        "rtsp_transport": "tcp",
        "allowed_media_types": "video+audio",
        # Without rtsp among them a redirect is followed nowhere, as of libavformat 62.12.
        "protocol_whitelist": "tcp,tls,rtp,udp,crypto",
        "timeout": str(round(timeout_s * 1e6)),
        # Without these FFmpeg watches for a second and more before it hands over the first picture (measured at 15 fps:
        # 1.5 s, with them 0.2 s). Not `nobuffer`: it throws away what was watched, the one keyframe among it.
        "analyzeduration": "1000000",
        "probesize": "500000",
        "fpsprobesize": "1",
    }
    address = f"{_bracketed(parts.hostname)}:{port}"
    return Target("RTSP", url, address, "", (options,), True, parts.hostname, port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _file(path: str) -> Target:
    if path.startswith("//"):
        # file:///video.avi and file://localhost/video.avi are the same as file:/video.avi.
        path = "/" + path[2:].partition("/")[2]
    if not path.strip("/"):
        raise Misuse("file: wants a path: file:/home/me/video.mp4")
    # A playlist or an SDP file could name other places: only files may be opened from here.
    return Target("Video file", f"file:{path}", path, "", ({"protocol_whitelist": "file"},), False)


def _v4l2(rest: str) -> Target:
    device, _, query = rest.partition("?")
    if not device.startswith("/dev/"):
        raise Misuse("v4l2: wants a device: v4l2:/dev/video0?width=640&height=480&fps=15")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in given.items():
        if key not in _V4L2_KEYS:
            raise Misuse(f"v4l2 has no option {key!r}; {', '.join(_V4L2_KEYS)} are possible")
        if key == "format" and value not in _V4L2_FORMATS:
            raise Misuse(f"format={value}: mjpeg and yuyv are possible")
        if key in _NUMBERS and not (value.isascii() and value.isdecimal() and _in_range(key, int(value))):
            low, high = _NUMBERS[key]
            raise Misuse(f"{key}={value}: a number from {low} to {high} is possible")
    if ("width" in given) != ("height" in given):
        raise Misuse("v4l2 wants width and height together, or neither")
    options = {}
    if "width" in given:
        options["video_size"] = f"{given['width']}x{given['height']}"
    if "fps" in given:
        options["framerate"] = given["fps"]
    # The device's own JPEGs first: they pass as they are. A device without them says so at once.
    formats = [_V4L2_FORMATS[given["format"]]] if "format" in given else ["mjpeg", ""]
    choices = tuple({**options, **({"input_format": each} if each else {})} for each in formats)
    return Target("V4L2", device, device, "v4l2", choices, True)


def _in_range(key: str, number: int) -> bool:
    low, high = _NUMBERS[key]
    return low <= number <= high
