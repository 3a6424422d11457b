"""What the cameras are given by the composition root, so that they need to know no source, codec or detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framecast.core.clock import Clock
from framecast.core.rendition import Rendition
from framecast.core.source import Source
from framecast.core.track import Track
from framecast.core.worker import Worker
from framecast.service.config import CameraConfig, Settings
from framecast.vision.factories import MakeFaces
from framecast.vision.options import Options as VisionOptions
from framecast.vision.sight import Sight

OnFault = Callable[[str], object]
"""Told on the loop why a picture was skipped: a cause of docs/devices.md."""


class Parts(Protocol):
    """What the composition root supplies: how each kind of camera is opened and each rendition made."""

    def open_source(self, camera_id: str, config: CameraConfig, settings: Settings, origin: str) -> Source:
        """The source behind a camera's URL."""

    def make_worker(self, rendition: Rendition, on_fault: OnFault, looks: Callable[[], Track]) -> Worker:
        """What makes a rendition; ``looks`` gives the camera's track ``detections``, for those that show it."""

    def make_transform(self, config: CameraConfig, on_fault: OnFault) -> Callable[[], Worker] | None:
        """What turns and masks a camera's pictures; None when they stay as they are."""

    def make_detector(self, options: VisionOptions, sight: Sight, make_faces: MakeFaces, clock: Clock) -> Worker:
        """What sees what is in a camera's pictures."""


class FrameIdStore(Protocol):
    """Where frame ids are reserved (``State`` is one). Blocking; called in an executor."""

    def reserve_frame_ids(self, camera_id: str, count: int) -> int:
        """The first of ``count`` ids that nobody gets again."""
