"""From counters and errors to what is wrong with a camera and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from framecast.core.errors import BadStatus, DeviceError, Misuse, Unreachable
from framecast.ingest.codes import TABLE, Explanation, Severity
from framecast.ingest.http_connection import ConnectFailed

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something found at one camera.

    Attributes:
        code: Name in the table, and of the counter.
        severity: ``error``, ``warning`` or ``info``.
        title: What is so.
        advice: What to do.
        known_from: The firmware it is known from.
        count: How often it was seen.
    """

    code: str
    severity: Severity
    title: str
    advice: str
    known_from: str = ""
    count: int = 1

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "advice": self.advice,
            "known_from": self.known_from,
            "count": self.count,
        }


def explain(code: str, count: int = 1, title: str = "") -> Problem:
    """The problem behind a code; ``title`` says more about this one than the table can."""
    found = TABLE.get(code) or Explanation("warning", code.replace("_", " "), "")
    return Problem(code, found.severity, title or found.title, found.advice, found.known_from, count)


def diagnose(quirks: Mapping[str, int], faults: Mapping[str, int]) -> list[Problem]:
    """What the counters of a camera say about it, the worst first."""
    counted = {**quirks, **faults}
    return sort(explain(code, count) for code, count in counted.items() if count)


def sort(problems: Iterable[Problem]) -> list[Problem]:
    """The worst first, each code once."""
    unique = {problem.code: problem for problem in problems}
    return sorted(unique.values(), key=lambda problem: (_ORDER[problem.severity], -problem.count, problem.code))


_CODES = {"refused": "connection_refused"}
_STATUSES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "busy", 503: "busy"}


def explain_error(error: DeviceError | Misuse) -> Problem:
    """Why a camera could not be used, from what its source raised."""
    text = str(error)
    if isinstance(error, Misuse):
        return explain("forbidden_address", title=text)
    if isinstance(error, ConnectFailed):
        return explain(_CODES.get(error.reason, error.reason), title=text)
    if isinstance(error, Unreachable):
        advice = "Check the address, and that the device is there, switched on and used by no other program."
        return replace(explain("unreachable", title=text), severity="error", advice=advice)
    if isinstance(error, BadStatus):
        code = _STATUSES.get(error.status) or ("camera_error" if error.status >= 500 else "no_stream")
        return explain(code, title=text)
    return explain("no_http" if "HTTP" in text else "no_stream", title=text)
