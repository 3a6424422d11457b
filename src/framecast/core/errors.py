"""The one tree of errors.

    FramecastError
    ├── Misuse                 our caller asked for something that makes no sense
    │   ├── ConfigError        a setting, with file, key, value and what would be accepted
    │   └── LimitReached       a bound the operator set (renditions, viewers)
    ├── StateError             what must outlive a restart can't be kept (disk full, file damaged)
    └── DeviceError            the remote end broke, or broke the protocol
        ├── Unreachable        no connection: name, route, refusal, time-out
        ├── BadStatus          it answered, but not with a picture (status)
        ├── ProtocolError      it sends something no dialect explains
        ├── Stalled            the connection is open and nothing comes
        └── Replaced           another publisher took this camera over

The end of a stream is no error: a source that is done returns.
"""

from __future__ import annotations

import os
import re

_CALL_FAILED = re.compile(r"Connect call failed|Multiple exceptions: \[Errno (\d+)\]")


class FramecastError(Exception):
    """Whatever Framecast raises on purpose."""


class Misuse(FramecastError, ValueError):
    """The caller asked for something that makes no sense; the message says what would."""


class ConfigError(Misuse):
    """A setting that can't be used.

    Args:
        where: The file, environment variable or option that holds it.
        key: Dotted name of the setting.
        value: What was given, as text.
        accepted: What would be accepted, as words.
    """

    def __init__(self, where: str, key: str, value: object, accepted: str) -> None:
        self.where = where
        self.key = key
        self.value = value
        self.accepted = accepted
        super().__init__(f"{where}: {key} = {value!r} can't be used: {accepted}")


class LimitReached(Misuse):
    """A bound that the operator set is reached; ``limit`` is that bound."""

    def __init__(self, message: str, limit: int) -> None:
        self.limit = limit
        super().__init__(message)


class StateError(FramecastError):
    """What must outlive a restart can't be written: the disk is full, the file damaged or locked."""


class DeviceError(FramecastError):
    """The remote end broke or broke the protocol.

    ``cause`` is the name under which it is counted (see docs/devices.md).
    """

    cause = "device_error"


class Unreachable(DeviceError):
    """No connection could be made."""

    cause = "unreachable"


class BadStatus(DeviceError):
    """The device answered with something else than a picture; ``status`` is its HTTP status."""

    cause = "bad_status"

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class ProtocolError(DeviceError):
    """The device sends what no dialect explains."""

    cause = "protocol_error"


class Stalled(DeviceError):
    """The connection is open, and for ``silent_s`` seconds nothing whole came over it."""

    cause = "hang"

    def __init__(self, message: str, silent_s: float) -> None:
        self.silent_s = silent_s
        super().__init__(message)


class Replaced(DeviceError):
    """Another publisher took this camera over."""

    cause = "replaced"


def reason_of(error: OSError) -> str:
    """What the system says, in its own words: asyncio's, where a connection failed, are for programmers."""
    said = error.strerror or str(error)
    if found := _CALL_FAILED.match(said):
        return os.strerror(int(found[1] or error.errno or 0))
    return said or type(error).__name__
