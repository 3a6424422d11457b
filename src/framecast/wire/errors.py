"""What the parsers raise about the remote end.

    ValueError
    ├── ProtocolError      these bytes are not the protocol, or exceed a bound of ours
    ├── FormError          a posted form can't be read (``wire/form.py``)
    ├── jpeg.JpegError     these bytes are no picture to pass on
    └── media.MediaError   these bytes are no media message

They know nothing of connections, so they stand apart from ``core.errors``: whoever feeds a parser turns them into a
``DeviceError`` or an answer. ``cause`` is the name under which each is counted.
"""

from __future__ import annotations


class ProtocolError(ValueError):
    """The remote end broke HTTP in a way no dialect explains; ``cause`` is the name it is counted by."""

    cause = "protocol_error"


class FormError(ValueError):
    """A posted form can't be read; ``cause`` is the name it is counted by."""

    def __init__(self, cause: str, message: str) -> None:
        self.cause = cause
        super().__init__(message)
