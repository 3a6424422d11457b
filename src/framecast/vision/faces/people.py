"""Who is known, as the stages and the gallery tell each other. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Likeness:
    """What one photo of somebody looks like to one model.

    Attributes:
        person: Number of the person, or of the unknown face.
        model: Name of the embedder.
        vector: 128 float32, as the machine has them.
        photo: Number of the photo among that one's; 0 for none that is kept.
    """

    person: int
    model: str
    vector: bytes
    photo: int = 0


@dataclass(frozen=True, slots=True)
class Circle:
    """All who are known.

    Attributes:
        names: Of the named, by their numbers.
        unknown: Numbers of faces that nobody has named.
        likenesses: Of both.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    unknown: frozenset[int] = frozenset()
    likenesses: tuple[Likeness, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A face as it is kept.

    Attributes:
        picture: JPEG of the face and what is round it.
        model: Name of the embedder.
        vector: What it looks like to that.
        quality: Larger is better.
    """

    picture: bytes
    model: str
    vector: bytes
    quality: float = 0.0


@dataclass(frozen=True, slots=True)
class Stranger:
    """A face that nobody has named, seen for the first time.

    Attributes:
        number: Its own, for good.
        camera: Where it was seen.
        samples: What it looks like, the best first.
    """

    number: int
    camera: str
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class News:
    """What the stages saw since they were asked last.

    Attributes:
        strangers: New faces.
        dropped: Numbers of unknown faces that turned out to be somebody who is known.
        seen: How often each was seen, and where last.
    """

    strangers: list[Stranger] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    seen: dict[int, tuple[int, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.strangers or self.dropped or self.seen)
