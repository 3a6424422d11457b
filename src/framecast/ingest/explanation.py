"""What is said about one code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One line of the table.

    Attributes:
        severity: ``info``: nothing to do; ``warning``: pictures or sound suffer; ``error``: none come.
        title: What is so.
        advice: What to do, or why nothing needs doing.
        known_from: The firmware it was first met in; empty when it is no firmware's own.
    """

    severity: Severity
    title: str
    advice: str
    known_from: str = ""
