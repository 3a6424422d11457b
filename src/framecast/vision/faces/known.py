"""Whom a face resembles most, among those who are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from framecast.vision.faces.face import VECTOR_BYTES, Embedder, Vector
from framecast.vision.faces.people import Likeness

SIZE = VECTOR_BYTES // 4


@dataclass(frozen=True, slots=True)
class Match:
    """Who it may be.

    Attributes:
        person: Number of the person, or of the unknown face.
        distance: From the likest of their photos.
    """

    person: int
    distance: float


class Known:
    """All likenesses that one model made, as one array. Keeps no embedder: that is large.

    Args:
        model: Name of the embedder.
        likenesses: Those of others are left out.
    """

    def __init__(self, model: str, likenesses: Iterable[Likeness]) -> None:
        kept = [each for each in likenesses if each.model == model and len(each.vector) == VECTOR_BYTES]
        self._owners = np.array([each.person for each in kept], np.int64)
        self._vectors = np.frombuffer(b"".join(each.vector for each in kept), np.float32).reshape(-1, SIZE)

    def nearest(self, embedder: Embedder, vector: Vector, among: frozenset[int], most: float) -> Match | None:
        """Who of ``among`` is likest to what this embedder made, and no farther than ``most``."""
        chosen = np.isin(self._owners, np.fromiter(among, np.int64, len(among)))
        if not chosen.any():
            return None
        distances = embedder.distances(vector, self._vectors[chosen])
        best = int(distances.argmin())
        distance = float(distances[best])
        return Match(int(self._owners[chosen][best]), distance) if distance <= most else None
