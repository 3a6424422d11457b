"""Bytes as devices send them, and what must come out of them; see ``generate.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One stored exchange.

    Attributes:
        name: File name.
        data: What the device sends: a whole response, or a whole request when it pushes.
        frames: Names of the pictures that must come out, in order.
        texts: Parts that are no pictures.
        refused: Why the inspector refuses the other parts, in order.
        quirks: What the multipart parser and the response parser must notice, with how often.
        faults: What the multipart parser must have lost, with how often.
        corrupt: Frames among ``frames`` whose scan does not decode.
    """

    name: str
    data: bytes
    frames: list[str]
    texts: list[str]
    refused: list[str]
    quirks: dict[str, int]
    faults: dict[str, int]
    corrupt: list[str]

    def __str__(self) -> str:
        return self.name


@cache
def frame(name: str) -> bytes:
    """One of the pictures that the samples are made of."""
    return (FOLDER / "frames" / f"{name}.jpg").read_bytes()


@cache
def samples(kind: str) -> tuple[Sample, ...]:
    """All stored exchanges of one kind: ``stream``, ``still``, ``request`` or ``websocket``."""
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    return tuple(
        Sample(
            name=name,
            data=(FOLDER / kind / name).read_bytes(),
            frames=entry.get("frames", []),
            texts=entry.get("texts", []),
            refused=entry.get("refused", []),
            quirks=entry.get("quirks", {}),
            faults=entry.get("faults", {}),
            corrupt=entry.get("corrupt", []),
        )
        for name, entry in sorted(manifest[kind].items())
    )
