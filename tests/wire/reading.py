"""Reads a stored stream the way a reader does: response, parts, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from framecast.wire.http1 import Data, Head, ResponseParser
from framecast.wire.jpeg import Inspector, JpegError
from framecast.wire.multipart import Parser, Part, boundary_of


@dataclass
class Outcome:
    """What came out, comparable whole."""

    frames: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    quirks: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Reader:
    """Bytes of a connection in, outcome out."""

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.head: Head | None = None
        self._response = ResponseParser()
        self._parser: Parser | None = None
        self._inspector = Inspector()
        self._still = b""

    def feed(self, data: bytes) -> None:
        for event in self._response.feed(data):
            if isinstance(event, Head):
                self.head = event
                content_type = event.get("content-type")
                if content_type.startswith("multipart/"):
                    self._parser = Parser(boundary_of(content_type), max_part_bytes=1 << 20)
            elif isinstance(event, Data):
                if self._parser is None:
                    self._still += event.data
                else:
                    self._take(self._parser.feed(event.data))

    def close(self) -> Outcome:
        if self._parser is None:
            self._take([Part({}, self._still)])
        else:
            self._take(self._parser.close())
            self.outcome.quirks += self._parser.quirks
            self.outcome.faults += self._parser.faults
        self.outcome.quirks += self._response.quirks
        return self.outcome

    def _take(self, parts: list[Part]) -> None:
        for part in parts:
            if part.is_text:
                self.outcome.texts.append(part.body.decode())
                continue
            try:
                self.outcome.frames.append(self._inspector.inspect(part.body)[1])
            except JpegError as error:
                self.outcome.refused.append(error.fault)


def read(pieces: Iterable[bytes]) -> Outcome:
    """The outcome of a connection that brings these pieces and closes."""
    reader = Reader()
    for piece in pieces:
        reader.feed(piece)
    return reader.close()
