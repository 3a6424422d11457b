"""What the look at a picture asks of whoever knows faces."""

from __future__ import annotations

from typing import Protocol

from framecast.vision.detections import Detection, Image


class FaceStage(Protocol):
    """Says who the persons in one camera's pictures are. Called from one thread at a time, in the pictures' order."""

    def name(self, image: Image, found: list[Detection], now_s: float) -> list[Detection]:
        """The persons with name and group, where they are known, and the faces that were found.

        Args:
            image: ``(H, W, 3) uint8`` BGR; not to be kept, only copied.
            found: Persons, in px of ``image``.
            now_s: Time by the pictures' own clock.
        """
