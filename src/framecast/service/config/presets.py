"""Named bundles of settings for common situations.

A preset lies just above the built-in defaults: whatever else is set anywhere wins over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

PresetName = Literal["", "proxied", "local", "high-quality", "mobile"]

PRESETS: Final[Mapping[str, Mapping[str, object]]] = {
    # Behind a tunnel or reverse proxy that buffers and drops idle connections.
    "proxied": {
        "stream.fps": 15.0,
        "stream.buffer": 2,
        "stream.stall_timeout_s": 30.0,
        "stream.heartbeat_interval_s": 5.0,
        "stream.reencode": True,
        "capture.quality": 70,
    },
    # Viewers on the same network.
    "local": {
        "stream.fps": 30.0,
        "stream.heartbeat_interval_s": 10.0,
        "stream.reencode": True,
        "capture.quality": 85,
    },
    # Fewer, better pictures.
    "high-quality": {
        "stream.fps": 20.0,
        "stream.reencode": True,
        "capture.quality": 90,
        "capture.width": 1280,
        "capture.height": 720,
    },
    # Phones on a mobile network.
    "mobile": {
        "stream.fps": 10.0,
        "stream.reencode": True,
        "capture.quality": 60,
        "capture.width": 480,
        "capture.height": 360,
    },
}
