"""Rules: what is to become an event, at which cameras, and who is told of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from framecast.core.errors import Misuse
from framecast.service.config import CAMERA_ID

Kind = Literal["object", "face", "line", "motion", "no_motion", "offline"]
KINDS = ("object", "face", "line", "motion", "no_motion", "offline")
DIRECTIONS = ("both", "to_left", "to_right")
SINKS = ("webhook", "mqtt", "push")
NOBODY = "none"
"""Of `notify`, alone: the event is kept and shown, and sent to nobody."""
STRANGER = "unknown"
"""The name of a face that is nobody's."""
MOST_RULES = 200
MOST_LISTED = 64
LONGEST_S = 86_400.0
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: Its own for ever.
        name: What people call it.
        cameras: Ids of the cameras it holds for; empty for all, those to come too.
        kind: What it looks for: ``object`` (somebody or something is there), ``face``, ``line`` (one is crossed),
            ``motion``, ``no_motion``, ``offline`` (the camera is gone).
        labels: What may be it: ``person``, ``dog``; empty for anything.
        names: Who may be it; empty for anybody, ``unknown`` for strangers.
        zone: Name of the zone where it has to be; empty for anywhere.
        line: Name of the line.
        direction: Which way over the line.
        min_score: How sure the detector has to be, 0 to 1.
        for_s: How long somebody has to stay, nothing has to move, or the camera has to be gone.
        cooldown_s: How long no further event begins at a camera when one is over.
        quiet: Spans of the day, by this machine's clock, in which nobody is told: ``("22:00", "07:00")``.
        enabled: Whether it holds.
        notify: Kinds of receivers that are told; empty for all, `NOBODY` for none.
    """

    id: str
    name: str
    kind: Kind
    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    zone: str = ""
    line: str = ""
    direction: Literal["both", "to_left", "to_right"] = "both"
    min_score: float = 0.0
    for_s: float = 0.0
    cooldown_s: float = 60.0
    quiet: tuple[tuple[str, str], ...] = ()
    enabled: bool = True
    notify: tuple[str, ...] = ()

    @property
    def needs_looks(self) -> bool:
        """Whether pictures have to be looked at for it."""
        return self.kind != "offline"

    @property
    def area(self) -> str:
        """Name of the zone, or line, that its kind is about; empty for the whole picture."""
        return {"line": self.line, "offline": ""}.get(self.kind, self.zone)

    def holds_for(self, camera_id: str) -> bool:
        """Whether it is about this camera."""
        return self.enabled and (not self.cameras or camera_id in self.cameras)

    def is_quiet(self, now_s: float) -> bool:
        """Whether nobody is to be told of what begins at this Unix time."""
        clock = time.strftime("%H:%M", time.localtime(now_s))
        return any(start <= clock < end if start <= end else clock >= start or clock < end for start, end in self.quiet)

    def described(self) -> dict[str, Any]:
        """As the API has it."""
        return asdict(self)


def read(rule_id: str, fields: Mapping[str, Any]) -> Rule:
    """A rule of these fields, as the API has them; what is left out is as `Rule` has it.

    Raises:
        Misuse: One is unknown or can't be used; the words say what would be accepted.
    """
    unknown = fields.keys() - _READERS.keys() - {"id"}
    if unknown:
        raise Misuse(f"{min(unknown)[:40]}: no such field; a rule has {', '.join(_READERS)}")
    if fields.get("id", rule_id) != rule_id:
        raise Misuse("id: that of a rule stays")
    values = {name: _READERS[name](name, value) for name, value in fields.items() if name != "id"}
    kind = values.get("kind")
    if kind is None:
        raise Misuse(f"kind: one of {', '.join(KINDS)} is needed")
    if kind == "line" and not values.get("line"):
        raise Misuse("line: the name of a line is needed, which is drawn on the camera's picture")
    if kind == "no_motion" and not values.get("for_s"):
        raise Misuse("for_s: how long nothing has to move, in s, is needed")
    values["name"] = values.get("name") or str(kind).replace("_", " ")
    return Rule(id=rule_id, **values)


def _text(most: int) -> Callable[[str, Any], str]:
    def reader(name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise Misuse(f"{name}: a text of at most {most} letters that can be shown")
        return value.strip()

    return reader


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def reader(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Misuse(f"{name}: one of {', '.join(choices)}")
        return value

    return reader


def _list_of(reader: Callable[[str, Any], Any], most: int = MOST_LISTED) -> Callable[[str, Any], tuple[Any, ...]]:
    def read_all(name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise Misuse(f"{name}: a list of at most {most}")
        return tuple(dict.fromkeys(reader(name, each) for each in value))

    return read_all


def _number(least: float, most: float) -> Callable[[str, Any], float]:
    def reader(name: str, value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise Misuse(f"{name}: a number from {least:g} to {most:g}")
        return float(value)

    return reader


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Misuse(f"{name}: true or false")
    return value


def _word(name: str, value: Any) -> str:
    """A name of somebody, or of a kind of thing."""
    text = _text(80)(name, value)
    if not text:
        raise Misuse(f"{name}: none of them may be empty")
    return text


def _camera(name: str, value: Any) -> str:
    if not isinstance(value, str) or not CAMERA_ID.fullmatch(value):
        raise Misuse(f"{name}: ids of cameras; an empty list means all of them")
    return value


def _span(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, list) and len(value) == 2:
        start, end = value
        if isinstance(start, str) and isinstance(end, str) and _CLOCK.fullmatch(start) and _CLOCK.fullmatch(end):
            if start == end:
                raise Misuse(f"{name}: {start} to {end} is no time at all")
            return start, end
    raise Misuse(f'{name}: spans of the day such as ["22:00", "07:00"]')


def _receivers(name: str, value: Any) -> tuple[str, ...]:
    read: tuple[str, ...] = _list_of(_one_of(*SINKS, NOBODY))(name, value)
    if NOBODY in read and len(read) > 1:
        raise Misuse(f"{name}: {NOBODY} stands alone; an empty list means all")
    return read


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "name": _text(80),
    "cameras": _list_of(_camera, 1000),
    "kind": _one_of(*KINDS),
    "labels": _list_of(_word, 100),
    "names": _list_of(_word, 1000),
    "zone": _text(40),
    "line": _text(40),
    "direction": _one_of(*DIRECTIONS),
    "min_score": _number(0, 1),
    "for_s": _number(0, LONGEST_S),
    "cooldown_s": _number(0, LONGEST_S),
    "quiet": _list_of(_span, 16),
    "enabled": _flag,
    "notify": _receivers,
}
