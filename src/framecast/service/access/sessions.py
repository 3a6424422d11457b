"""Sessions: browsers that showed a token or a password, and have a cookie for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

SESSION_LIFE_S = 30 * 86_400
MOST_SESSIONS = 100
"""Of one token or account; the oldest ends when another one begins."""
MOST_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that exchanged a token or a password for a cookie.

    Attributes:
        digest: SHA-256 of the cookie's value.
        id: Name by which it is listed and ended; nobody gets in by it.
        token_id, account_id: What it stands for, and ends with: one of the two.
        created_s, last_used_s, expires_s: Unix seconds.
        address: Where it was begun from.
        agent: What the browser calls itself.
    """

    digest: bytes
    id: str
    token_id: int | None
    account_id: int | None
    created_s: float
    expires_s: float
    last_used_s: float | None = None
    address: str = ""
    agent: str = ""

    @property
    def owner(self) -> tuple[int | None, int | None]:
        """What it stands for, to compare."""
        return self.token_id, self.account_id


def new_cookie() -> str:
    """A fresh value for the session cookie."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """A fresh name for a session."""
    return secrets.token_hex(8)
