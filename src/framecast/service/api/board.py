"""What every page is told about a camera, made once for all pages.

Numbers and camera objects sum over all viewers of a camera. Made anew for each page they cost the square of the
viewers: with 1,000 pages on one camera 0.2 s of every second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera, Cameras

GOOD_FOR_S = 0.1
"""Half of the shortest interval at which a page may ask for numbers."""

Json = dict[str, Any]
Made = tuple[float, object, Json]


class Board:
    """Camera objects and numbers, shared: whoever gets one must not change it.

    Args:
        cameras: Those there are; what was made for others is forgotten.
    """

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._numbers: dict[str, Made] = {}
        self._objects: dict[str, Made] = {}

    def numbers(self, camera: Camera) -> Json:
        """As `views.numbers`, at most `GOOD_FOR_S` old and of the same state."""
        return self._kept(self._numbers, camera, views.numbers)

    def camera(self, camera: Camera) -> Json:
        """As `views.camera`, at most `GOOD_FOR_S` old and of the same state and configuration."""
        return self._kept(self._objects, camera, views.camera)

    def _kept(self, made: dict[str, Made], camera: Camera, make: Callable[[Camera], Json]) -> Json:
        now = asyncio.get_running_loop().time()
        stream = camera.stream
        mark = (camera.config, stream.state, stream.reason, stream.state_since_ns)
        found = made.get(camera.camera_id)
        if found is not None and now - found[0] < GOOD_FOR_S and found[1] == mark:
            return found[2]
        if len(made) > len(self._cameras):
            for camera_id in [each for each in made if each not in self._cameras]:
                del made[camera_id]
        shown = make(camera)
        made[camera.camera_id] = (now, mark, shown)
        return shown
