"""What a fake device can do wrong: one table, and how it is written on a command line.

A fault is ``NAME`` or ``NAME=VALUE``. The value's meaning is in the table: a share of frames or requests (0 to 1), a
number of seconds, bytes a second, samples a second, or ``user:password``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from framecast.core.errors import Misuse


class Verdict(StrEnum):
    """What a reader must make of a frame."""

    GOOD = "good"
    """It must come through."""
    BAD = "bad"
    """It must never come through."""
    DOUBTFUL = "doubtful"
    """The picture is whole but its wrapping lies: a reader may save it or lose it."""


class Value(StrEnum):
    """What the value of a fault means."""

    SHARE = "share of frames or requests, 0 to 1"
    AFTER_S = "seconds after the first frame"
    EVERY_S = "seconds between occurrences"
    FOR_S = "seconds from the start"
    BYTES_PER_S = "bytes a second"
    HZ = "samples a second, 4000 to 96000"
    LOGIN = "user:password"
    NONE = "no value"


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table.

    Attributes:
        name: As on the command line.
        about: What the device does.
        value: What the value means.
        default: The value where none is given.
        verdict: What it makes of the frames it touches.
        code: The quirk or fault Framecast counts it as (docs/devices.md); empty where it is none.
        listens: A device that is asked can have it.
        pushes: A device that pushes can have it.
        sound: Only a device with sound can have it.
    """

    name: str
    about: str
    value: Value
    default: float = 0.0
    verdict: Verdict = Verdict.GOOD
    code: str = ""
    listens: bool = True
    pushes: bool = True
    sound: bool = False


_BAD, _DOUBTFUL = Verdict.BAD, Verdict.DOUBTFUL

KINDS: tuple[Kind, ...] = (
    # The picture
    Kind("truncate", "The JPEG ends early, without FFD9", Value.SHARE, 0.1, _BAD, "truncated"),
    Kind("corrupt-scan", "Damage between sound markers", Value.SHARE, 0.1, _BAD, "corrupt_scan"),
    Kind("not-jpeg", "Something else than a JPEG", Value.SHARE, 0.1, _BAD, "not_jpeg"),
    Kind("huge", "The header claims 65,500 x 65,500 pixels", Value.SHARE, 0.1, _BAD, "too_many_pixels"),
    Kind("padding", "Zeros after FFD9, counted in the length", Value.SHARE, 1.0, code="padding_after_eoi"),
    Kind("exif-thumbnail", "EXIF thumbnail with an FFD9 of its own", Value.SHARE, 1.0, code="exif_thumbnail"),
    Kind("bogus-exif", "EXIF whose directory claims more entries than it has", Value.SHARE, 1.0),
    # Its wrapping
    Kind("no-content-length", "No Content-Length", Value.SHARE, 1.0, code="no_content_length", pushes=False),
    Kind(
        "wrong-content-length",
        "Content-Length too small or too large",
        Value.SHARE,
        0.1,
        _DOUBTFUL,
        "wrong_content_length",
    ),
    Kind(
        "length-wrap",
        "Frames above 65,535 bytes whose length was kept in 16 bits",
        Value.NONE,
        verdict=_DOUBTFUL,
        code="content_length_wrapped",
    ),
    Kind("no-timestamp", "No X-Timestamp", Value.NONE, code="no_timestamp", pushes=False),
    Kind("jump", "The device's clock jumps", Value.EVERY_S, 10.0, code="timestamp_jumped"),
    Kind("doubled-boundary", "The first boundary comes twice", Value.NONE, code="doubled_boundary", pushes=False),
    Kind(
        "boundary-dashes",
        "The header's boundary begins with the two dashes of the body's",
        Value.NONE,
        code="boundary_with_dashes",
        pushes=False,
    ),
    Kind("header-case", "Header names in odd case", Value.NONE),
    Kind("no-space", "No space after the colon of a header", Value.NONE),
    Kind("lf-only", "Lines end with LF alone", Value.NONE, code="lf_only", pushes=False),
    Kind(
        "text-part",
        "A text part in place of a picture, now and then",
        Value.SHARE,
        0.1,
        code="text_part",
        pushes=False,
    ),
    # Time
    Kind("stall", "Silent for 4.4 s once, then goes on", Value.AFTER_S, 5.0, code="stall"),
    Kind("hang", "Silent for ever, the connection open", Value.AFTER_S, 10.0, code="hang"),
    Kind("freeze-mid-frame", "Stops for ever in the middle of a frame", Value.AFTER_S, 10.0, _BAD, "hang"),
    Kind("slow", "A thin link", Value.BYTES_PER_S, 50_000.0),
    Kind(
        "reboot",
        "Drops the connection, is away for a while, and its uptime begins anew",
        Value.EVERY_S,
        20.0,
        code="reboot",
    ),
    Kind("wifi-loop", "Loses its network again and again", Value.EVERY_S, 3.0),
    # The door
    Kind("refuse", "Nobody listens on the port at first", Value.FOR_S, 10.0, code="unreachable", pushes=False),
    Kind("http-500", "Answers 500", Value.SHARE, 0.5, code="bad_status", pushes=False),
    Kind("auth", "Asks for a user and password (Basic)", Value.LOGIN, code="bad_status", pushes=False),
    Kind("auth-digest", "Asks for a user and password (Digest)", Value.LOGIN, code="bad_status", pushes=False),
    # The sound
    Kind("sound-lost", "A chunk of sound is lost", Value.SHARE, 0.05, code="audio_lost", sound=True),
    Kind(
        "sound-doubled",
        "A chunk of sound comes twice",
        Value.SHARE,
        0.05,
        code="audio_doubled",
        sound=True,
        listens=False,
    ),
    Kind(
        "sound-reordered",
        "A chunk of sound comes after the one that follows it",
        Value.SHARE,
        0.05,
        sound=True,
        listens=False,
    ),
    Kind(
        "sound-odd",
        "A chunk of sound lacks its last byte",
        Value.SHARE,
        0.05,
        code="audio_odd_bytes",
        sound=True,
        listens=False,
    ),
    Kind("sound-rate", "The sound has another rate than the one declared", Value.HZ, 15_625.0, sound=True),
)

FAULTS: dict[str, Kind] = {kind.name: kind for kind in KINDS}

DEFAULT_LOGIN = "user:password"
_BOUNDS = {Value.SHARE: (0.0, 1.0), Value.BYTES_PER_S: (1.0, 1e9), Value.HZ: (4_000.0, 96_000.0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one device.

    Attributes:
        kind: Its line in the table.
        value: Its number; 0 where the kind takes none.
        login: ``user:password``, for the kinds that take one.
    """

    kind: Kind
    value: float = 0.0
    login: str = ""

    @property
    def name(self) -> str:
        """The name in the table."""
        return self.kind.name


def parse(text: str) -> Fault:
    """The fault that ``NAME`` or ``NAME=VALUE`` asks for.

    Raises:
        Misuse: No such fault, or a value it can't use; the message says what would be accepted.
    """
    name, given, value = text.partition("=")
    kind = FAULTS.get(name)
    if kind is None:
        raise Misuse(f"There is no fault {name!r}: {', '.join(FAULTS)}")
    if kind.value is Value.LOGIN:
        login = value if given else DEFAULT_LOGIN
        if ":" not in login:
            raise Misuse(f"fault {name}={value!r} can't be used: user:password")
        return Fault(kind, login=login)
    if not given:
        return Fault(kind, kind.default)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    low, high = _BOUNDS.get(kind.value, (0.0, 1e9))
    if kind.value is Value.NONE or not low <= number <= high:
        raise Misuse(f"fault {name}={value!r} can't be used: {kind.value.value}")
    return Fault(kind, number)
