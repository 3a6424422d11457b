"""Where inputs come from and where findings go."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tests.data import samples

from fuzz.targets import Target

HERE = Path(__file__).parent
STORED = HERE / "corpus"
OUT = HERE / "out"
COUNTS = HERE / "counts.json"
"""Inputs and seconds of CPU time of each target, over all runs: kept in the repository, to outlive a machine."""

MAX_KEPT = 400
"""Inputs that behave in a new way, kept per target over runs."""


def load(target: Target) -> list[bytes]:
    """All inputs to begin with: the stored ones, samples of tests/data, and what earlier runs kept."""
    inputs = [path.read_bytes() for path in sorted((STORED / target.name).glob("*.bin"))]
    for kind in target.kinds:
        inputs += [sample.data for sample in samples(kind)]
    inputs += [path.read_bytes() for path in sorted((OUT / "corpus" / target.name).glob("*.bin"))[:MAX_KEPT]]
    return inputs


def keep(target: str, data: bytes) -> None:
    """Remember an input for later runs, as long as there is room."""
    folder = OUT / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    if sum(1 for _ in folder.iterdir()) < MAX_KEPT:
        (folder / f"{_name(data)}.bin").write_bytes(data)


def save_crash(target: str, data: bytes, report: str) -> Path:
    """Keep a finding: the input, and beside it what it did."""
    folder = OUT / "crashes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{_name(data)}.bin"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(report)
    return path


def add_counts(counts: Mapping[str, float]) -> dict[str, float]:
    """Add to the counts of earlier runs, and return the sums."""
    sums: dict[str, float] = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    for name, count in counts.items():
        sums[name] = round(sums.get(name, 0) + count, 1)
    if counts:
        OUT.mkdir(exist_ok=True)
        scratch = OUT / f"counts.{os.getpid()}"
        scratch.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n")
        scratch.replace(COUNTS)
    return sums


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
