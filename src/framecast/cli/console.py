"""Plain output: tables that grep and cut can read, times that people can."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

_ORDERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """A text that others chose, a camera among them, with what a terminal would obey written as ``\\x1b``."""
    return _ORDERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under heads, columns aligned by two spaces."""
    texts = [[shown(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (heads, *texts)) for column in range(len(heads))]
    for row in (heads, *texts):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def as_json(value: Any) -> None:
    """Print JSON for programs."""
    knows_all_letters = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not knows_all_letters))


def note(text: str) -> None:
    """A remark that is not part of the output."""
    print(text, file=sys.stderr)


def when(unix_s: float | None) -> str:
    """A time as the local clock shows it; ``never`` for None."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_s)) if unix_s else "never"
