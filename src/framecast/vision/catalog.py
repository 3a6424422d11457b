"""Which model files there are to be had, and which are here.

A model is a file in a folder: ``models/`` of the data folder, or the one that ``vision.model_dir`` names. Those of the
list below are fetched by their name and checked against their sum; any other ``.onnx`` file that lies there is
an object model of the user's own, called by its file name without the ending. A text file of the same name beside it
(``.txt``, one a line) names what it finds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["objects", "faces", "embedding"]
"""What a model is for: things in a picture, faces in it, or whose face it is."""

PEOPLE = "hog"
"""Name of the detector of people that needs no model."""
SUFFIX = ".onnx"
FOLDER = "models"
LARGEST_BYTES = 512 << 20
"""Larger files are not opened: models for small machines have a hundredth of that."""

_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
_ZOO = "https://github.com/opencv/opencv_zoo/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/models/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABELS = 2_000
_LONGEST_LABELS_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Model:
    """A file that can be fetched.

    Attributes:
        name: What it is called here.
        kind: What it is for.
        file: Its file's name.
        url: Where it is, in a version that doesn't change.
        sha256: Of the file.
        size_bytes: Of the file.
        licence: As SPDX writes it.
        about: What it is, for people.
        also_sha256: Other exports of the same model that are taken as well.
    """

    name: str
    kind: Kind
    file: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    about: str
    also_sha256: tuple[str, ...] = ()


MODELS = (
    Model(
        "yolox_nano",
        "objects",
        "yolox_nano.onnx",
        _YOLOX + "yolox_nano.onnx",
        "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        3_659_407,
        "Apache-2.0",
        "80 kinds of things, 416x416 px; for small machines",
        ("695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",),
    ),
    Model(
        "yolox_tiny",
        "objects",
        "yolox_tiny.onnx",
        _YOLOX + "yolox_tiny.onnx",
        "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
        20_219_662,
        "Apache-2.0",
        "80 kinds of things, 416x416 px; surer, and some five times the work",
    ),
    Model(
        "yolox_s",
        "objects",
        "yolox_s.onnx",
        _YOLOX + "yolox_s.onnx",
        "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
        35_858_002,
        "Apache-2.0",
        "80 kinds of things, 640x640 px; for machines with a core to spare, or a GPU",
    ),
    Model(
        "yunet",
        "faces",
        "face_detection_yunet_2023mar.onnx",
        _ZOO + "face_detection_yunet/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        232_589,
        "MIT",
        "where faces are",
    ),
    Model(
        "sface",
        "embedding",
        "face_recognition_sface_2021dec.onnx",
        _ZOO + "face_recognition_sface/face_recognition_sface_2021dec.onnx",
        "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        38_696_353,
        "Apache-2.0",
        "whose face it is",
    ),
)
"""Those of a kind in the order in which they are taken when none is named."""


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A model that is not here.

    Attributes:
        reason: What is missing and how to get it, as a sentence for people, without where files lie: whoever may
            watch a camera reads it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """A model file that is here.

    Attributes:
        name: What it is called.
        kind: What it is for.
        path: Of the file.
        model: The entry of the list; None for a file of the user's own.
    """

    name: str
    kind: Kind
    path: Path
    model: Model | None


def folders(data: Path, other: Path | None) -> tuple[Path, ...]:
    """Where models are looked for, the first first: of the data folder, then another one; it may begin with ``~``."""
    return (data / FOLDER,) if other is None else (data / FOLDER, Path(os.path.expanduser(other)))


def known(name: str) -> Model | None:
    """The model of the list that is called so, or whose file is."""
    return next((model for model in MODELS if name in (model.name, model.file)), None)


def is_name(name: str) -> bool:
    """Whether a model may be called so: a file's name without its ending, and no path."""
    return _NAME.fullmatch(name) is not None and not name.endswith(SUFFIX) and name != PEOPLE


def present(where: Sequence[Path]) -> list[Found]:
    """The models that are here: those of the list in its order, then others by name."""
    found: dict[str, Found] = {}
    for path in _files(where):
        model = known(path.name) or known(path.stem)
        name = path.stem if model is None else model.name
        if model is not None or is_name(name):
            found.setdefault(name, Found(name, "objects" if model is None else model.kind, path, model))
    order = [model.name for model in MODELS]
    return sorted(found.values(), key=lambda each: (each.model is None, _place(order, each.name), each.name))


def entries(where: Sequence[Path]) -> list[dict[str, Any]]:
    """What there is to be had and what is here, as JSON says it; without where files lie."""
    here = {found.name: found for found in present(where)}
    rows = [
        {
            "name": model.name,
            "kind": model.kind,
            "size": model.size_bytes,
            "licence": model.licence,
            "about": model.about,
            "sha256": model.sha256,
            "url": model.url,
            "installed": model.name in here,
            "listed": True,
        }
        for model in MODELS
    ]
    for found in here.values():
        if found.model is None:
            _, size = mark_of(found.path) or (0, 0)
            row = dict.fromkeys(("licence", "about", "sha256", "url"), "")
            rows.append(
                {"name": found.name, "kind": found.kind, "size": size, **row, "installed": True, "listed": False}
            )
    return rows


def find(name: str, kind: Kind, where: Sequence[Path]) -> Path | MissingModel:
    """The file of a model.

    Args:
        name: What it is called; empty for the first of its kind that is here.
        kind: What it has to be for.
        where: `folders`.
    """
    there = [each for each in present(where) if each.kind == kind]
    for each in there:
        if not name or name in (each.name, each.path.name):
            return each.path
    if not name:
        first = next(model for model in MODELS if model.kind == kind)
        return MissingModel(f"there is no model for {kind}: framecast models install {first.name}")
    model = known(name)
    if model is not None and model.kind != kind:
        return MissingModel(f"the model {name} is for {model.kind}, not for {kind}")
    if model is not None:
        return MissingModel(f"the model {name} is not here: framecast models install {name}")
    others = ", ".join(each.name for each in there) or "none"
    return MissingModel(
        f"there is no model {name!r}; here: {others} (framecast models list shows what can be installed)"
    )


def why_not(path: Path) -> str:
    """Why a file can't be a model, as far as its size and first bytes tell; empty if it may be one."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return f"it can't be read: {error.strerror or error}"
    if not size:
        return "it is empty"
    if size > LARGEST_BYTES:
        return f"it has {size >> 20} MiB, and at most {LARGEST_BYTES >> 20} MiB are opened"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer to a file in Git LFS, not the file itself"
    if head.lstrip()[:1] == b"<":
        return "it is a web page or XML, not an ONNX model"
    if head.startswith(b"PK"):
        return "it is a ZIP archive or a PyTorch model, not an ONNX model: export it as ONNX"
    # An ONNX file begins with its IR version, or with its producer: numbers that no text has.
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "it is a text file, not an ONNX model"
    return ""


def mark_of(path: Path) -> tuple[int, int] | None:
    """Another one when the file is; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def labels_file(path: Path) -> Path:
    """The text file that names what a model finds, be it there or not."""
    return path.with_suffix(".txt")


def labels_of(path: Path) -> tuple[str, ...]:
    """What a model finds, by the text file beside it; nothing where there is none, or none that can be read."""
    try:
        with labels_file(path).open("rb") as file:
            text = file.read(_LONGEST_LABELS_BYTES).decode("utf-8-sig")  # Windows' editors write a mark before it
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(line.strip()[:64] for line in text.strip().splitlines()[:_LABELS])


def _files(where: Sequence[Path]) -> Iterator[Path]:
    for folder in where:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        yield from (folder / name for name in names if name.endswith(SUFFIX) and (folder / name).is_file())


def _place(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
