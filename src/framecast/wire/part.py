"""One part of a multipart stream."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """One part: header names in lower case, and the body as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def is_text(self) -> bool:
        """A message of the device instead of a picture, such as ESPHome's ``No frames send.``"""
        return self.headers.get("content-type", "").lower().startswith("text/")
