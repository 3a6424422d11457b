"""The table ``[vision]``: what is looked for in all cameras' pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from framecast.service.config.kinds import Label, ModelName
from framecast.service.config.sections import Section, setting

FaceModels = Literal["auto", "off", "yunet", "dlib"]


class VisionSettings(Section):
    """What is looked for in the pictures, and with what; needs the extra `vision` (vision.md)."""

    enabled: bool = setting(True, "Look at pictures where somebody, or a rule, wants to know what is seen.")
    model: ModelName = setting(
        "", "Object model, by the name that `framecast models list` shows. Empty: the first that is there."
    )
    model_dir: Path | None = setting(
        lambda: None,  # and not None itself, which would be of a file
        "Another folder with models, besides `models/` of the data folder.",
        env=("FRAMECAST_MODEL_DIR",),
    )
    fps: float = setting(5.0, "Most pictures a second that are looked at, of each camera. 0: all.", ge=0, le=240)
    threshold: float = setting(0.5, "How sure the model has to be of a thing.", ge=0.05, le=0.99)
    labels: list[Label] = setting(
        lambda: ["person"],
        "What is looked for, in the model's words, such as those of COCO. Empty: nothing but movement.",
        max_length=100,
    )
    threads: int = setting(1, "CPU threads of one look.", ge=1, le=64)
    places: int = setting(1, "Looks at a time, of all cameras together.", ge=1, le=16)
    faces: FaceModels = setting(
        "auto", "What knows faces: `yunet`, `dlib`, or `auto`, the first of them that is there. `off`: no faces."
    )
    face_threshold: float | None = setting(
        None,
        "How far apart two faces of one person may be, 0 to 1; less is stricter. None: what suits the model.",
        ge=0,
        le=1,
    )
