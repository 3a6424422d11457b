"""Why a picture can't be made; apart from what makes pictures, so that who only handles these needs no codec."""

from __future__ import annotations


class Undecodable(ValueError):
    """These bytes are not a picture that can be decoded whole."""


class Unencodable(ValueError):
    """The encoder won't take this picture; the message says why."""


class TooLarge(ValueError):
    """The picture can't be made small enough; ``encodes`` tries were made."""

    def __init__(self, max_bytes: int, encodes: int) -> None:
        self.encodes = encodes
        super().__init__(f"no picture of at most {max_bytes} bytes can be made of this")
