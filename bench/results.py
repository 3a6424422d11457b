"""What a scenario hands back: measures against their targets, points for the plot, and the raw figures."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.parts import OUT, Window, hardware


@dataclass(frozen=True)
class Measure:
    """One line of the table. `ok` is None where there is no target to hold."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""
    target: str = ""
    ok: bool | None = None


@dataclass
class Result:
    """All that a scenario found out."""

    name: str
    quick: bool
    measures: list[Measure] = field(default_factory=list)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def save(self) -> Path:
        """Writes `bench/out/NAME.json`."""
        OUT.mkdir(parents=True, exist_ok=True)
        path = OUT / f"{self.name}.json"
        path.write_text(json.dumps({**asdict(self), "when": time.time(), "hardware": hardware()}, indent=1) + "\n")
        return path


def load_results() -> list[dict[str, Any]]:
    """What the last run of each scenario saved, by name."""
    return [json.loads(path.read_text()) for path in sorted(OUT.glob("*.json"))]


def middle(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return float(median(values)) if values else 0.0


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours / theirs: each round has its own noise, which both sides shared."""
    return middle([mine / other for mine, other in zip(ours, theirs, strict=True) if other])


def raw_windows(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Windows as JSON has them."""
    return [asdict(window) for window in windows]
