"""A look at the machine: versions, disk, clock, memory, open files, codecs."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framecast import __version__
from framecast.service.store.database import FILE_NAME

Level = Literal["ok", "note", "warning", "error"]

LEAST_FREE_BYTES, FEW_FREE_BYTES = 64 << 20, 512 << 20
LEAST_MEMORY_BYTES = 64 << 20
OLDEST_CLOCK_S = 1_735_689_600.0
"""2025: a machine that believes to be before it has not been told the time."""
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512  # more than struct timex has anywhere
_SPARE_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: Short name of what it is about: ``disk``, ``clock``.
        text: What was found, in a sentence without an end.
        advice: What to do; empty where all is well.
    """

    area: str
    level: Level
    text: str
    advice: str = ""


def version() -> Iterator[Finding]:
    """What runs here, and which extras are missing."""
    python = platform.python_version()
    yield Finding(
        "version", "ok", f"Framecast {__version__}, Python {python}, {platform.system()} {platform.machine()}"
    )
    for module, extra, lacks in (
        ("av", "media", "no RTSP, files or local cameras, and no H.264"),
        ("aiortc", "webrtc", "no WebRTC"),
        ("cryptography", "tls", "framecast tls can't make certificates"),
        ("cv2", "vision", "nothing is seen in the pictures"),
        ("aiomqtt", "events", "no MQTT, and no notifications on phones"),
        ("ngrok", "tunnel", "no tunnel through ngrok; Cloudflare's needs its program cloudflared instead"),
    ):
        if importlib.util.find_spec(module) is None:
            yield Finding("version", "note", f"the extra {extra} is not installed: {lacks}", install_command(extra))


def disk(data: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage) -> Iterator[Finding]:
    """Room where the data folder is."""
    where = next((each for each in (data, *data.parents) if each.exists()), data)
    try:
        _, _, free = usage(where)
    except OSError as error:
        yield Finding("disk", "warning", f"how much is free can't be told: {error.strerror}")
        return
    if free < LEAST_FREE_BYTES:
        yield Finding("disk", "error", f"{size_text(free)} free at {where}: changes can't be kept", "make room")
    elif free < FEW_FREE_BYTES:
        yield Finding("disk", "warning", f"{size_text(free)} free at {where}", "make room")
    else:
        yield Finding("disk", "ok", f"{size_text(free)} free at {where}")


def clock(data: Path, now_s: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Whether this machine knows the time: sessions, certificates and stamps go by it."""
    now = now_s()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    file = data / FILE_NAME
    written = file.stat().st_mtime if file.exists() else 0.0
    if now < OLDEST_CLOCK_S:
        yield Finding("clock", "error", f"it is {shown}, which can't be", "set the clock, or switch on NTP")
    elif written > now + 60:
        text = f"it is {shown}, and the state was written later than that: the clock has gone back"
        yield Finding("clock", "error", text, "set the clock, or switch on NTP")
    elif _is_unsynchronised():
        yield Finding("clock", "note", f"{shown}; nothing keeps this clock right", "switch on NTP")
    else:
        yield Finding("clock", "ok", shown)


def descriptors(max_connections: int) -> Iterator[Finding]:
    """How many connections the system lets us have."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < max_connections + _SPARE_DESCRIPTORS:
        text = f"{hard} open files at most, and limits.max_connections is {max_connections}"
        yield Finding("descriptors", "warning", text, "LimitNOFILE=65536 in the unit, or ulimit -n")
    else:
        yield Finding(
            "descriptors", "ok", "as many as one likes" if hard == resource.RLIM_INFINITY else f"up to {hard}"
        )


def memory(root: Path = Path("/")) -> Iterator[Finding]:
    """What is left of it, for the machine and for this group of processes."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):
        most, used = ((root / "sys/fs/cgroup" / name).read_text() for name in ("memory.max", "memory.current"))
        found.append(int(most) - int(used))
    if not found:
        return
    free = max(0, min(found))
    if free < LEAST_MEMORY_BYTES:
        yield Finding(
            "memory", "warning", f"{size_text(free)} available; a server takes some 60 MB", "end other programs"
        )
    else:
        yield Finding("memory", "ok", f"{size_text(free)} available")


def codecs() -> Iterator[Finding]:
    """What pictures and sound can be coded with."""
    if importlib.util.find_spec("av") is None:
        yield Finding("codecs", "note", "JPEG only: H.264, AAC and Opus need the extra media", install_command("media"))
        return
    try:
        from av.codec import Codec
        from av.codec.codec import UnknownCodecError
    except ImportError as error:
        yield Finding("codecs", "error", f"FFmpeg's libraries can't be loaded: {error}", install_command("media"))
        return
    missing = []
    for name in ("libx264", "aac", "libopus", "mjpeg"):
        try:
            Codec(name, "w")
        except UnknownCodecError:
            missing.append(name)
    if missing:
        yield Finding("codecs", "warning", f"this PyAV has no {', '.join(missing)}", "install PyAV's own wheel")
    else:
        yield Finding("codecs", "ok", "JPEG, H.264 (x264), AAC, Opus; framecast doctor --encoders tries hardware")


def _is_unsynchronised() -> bool:
    """Whether the kernel says that nothing keeps its clock right; False where it can't be asked."""
    if not sys.platform.startswith("linux"):
        return False
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return False
    return bool(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) == _UNSYNCHRONISED)


def install_command(extra: str) -> str:
    return f"pip install 'framecast[{extra}]'"


def size_text(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
