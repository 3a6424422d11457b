"""What one camera's detection is told. Standard library only: settings are made of it long before anything is seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for one camera.

    Attributes:
        enabled: Whether anything is looked for at all.
        model: Name of the object model; empty for the first that is there.
        fps: Most pictures a second that are looked at; 0 is no limit.
        threshold: Score from which on something counts, 0 to 1.
        labels: What is looked for; nothing but movement when empty.
        threads: CPU threads of one inference.
        faces: Which way faces are found and known: ``auto``, ``off``, ``yunet``, ``dlib``.
        face_threshold: How far apart two faces of one person may be; None for what suits the model.
    """

    enabled: bool = True
    model: str = ""
    fps: float = 5.0
    threshold: float = 0.5
    labels: frozenset[str] = frozenset({"person"})
    threads: int = 1
    faces: str = "auto"
    face_threshold: float | None = None
