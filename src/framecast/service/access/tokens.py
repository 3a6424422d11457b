"""Tokens: keys of devices and programs.

A token is ``fc_`` and 32 random bytes. Only its SHA-256 is kept: it has 256 bits of entropy, so a slow password
hash would add nothing but time. A secret is looked up by its hash, which tells a timing attacker nothing about
the secret.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from framecast.service.access.rights import Grant, Right

PREFIX = "fc_"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known about a token; the secret itself is known to its holder only.

    Attributes:
        id: Number in the state.
        digest: SHA-256 of the secret.
        cameras: Ids it is limited to; None is every camera.
        created_s, last_used_s, revoked_s: Unix seconds; None is never.
    """

    id: int
    name: str
    digest: bytes
    rights: frozenset[Right]
    cameras: frozenset[str] | None
    created_s: float
    last_used_s: float | None = None
    revoked_s: float | None = None

    @property
    def grant(self) -> Grant:
        """What the holder may do."""
        return Grant(self.rights, self.cameras, name=self.name, kind="token")


def new_secret() -> str:
    """A fresh token, to be shown once."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a secret: 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
