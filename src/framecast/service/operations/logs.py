"""Log lines: for people, or one JSON object each; to standard error.

Plain logging with a formatter of our own: a structured logger would add a tenth of a second to every start for the
same lines.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from types import TracebackType
from typing import ClassVar, Literal

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """``12:31:07.412 INFO    ingest.reader: door: Connected …``; colours on a terminal."""

    _COLOURS: ClassVar = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback under it if there is one."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = _one_line(record.getMessage())
        line = f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {_short(record.name)}: {text}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        colour = self._COLOURS.get(record.levelno, "") if self._colour else ""
        return f"{colour}{line}\x1b[0m" if colour else line


class JsonFormatter(logging.Formatter):
    """``{"time": …, "level": …, "logger": …, "message": …}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": _short(record.name),
            "message": record.getMessage(),
        }
        # What came along can't take the place of these.
        entry = {key: value for key, value in record.__dict__.items() if key not in _STANDARD} | entry
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        try:
            return json.dumps(entry, default=str, allow_nan=False)
        except ValueError:  # a number that JSON has not
            return json.dumps({key: str(value) for key, value in entry.items()})


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send all log lines of this process to standard error.

    With ``json`` nothing else is written there: warnings of libraries, and whatever nobody caught, become lines, too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(colour=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    logging.captureWarnings(form == "json")
    if form == "json":
        sys.excepthook = _uncaught
        threading.excepthook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)
        sys.unraisablehook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)


def set_level(level: str) -> None:
    """Log what is at least as severe as this from now on: ``debug info warning error``."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for name in ("asyncio", "aioice", "aiortc"):  # they tell of every step, and anybody can make them step
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, (KeyboardInterrupt, SystemExit)):
        return
    given = (kind, error if error is not None else kind(), traceback)
    logging.getLogger("framecast").critical("nobody caught this: %s", error, exc_info=given)


def _short(name: str) -> str:
    return name.removeprefix("framecast.")


def _one_line(text: str) -> str:
    """What a device or viewer sent must not make a second line that looks like one of ours."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)
