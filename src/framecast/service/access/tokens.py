"""Tokens and sessions: how they look, and which of them are good.

A token is ``fc_`` and 32 random bytes. Only its SHA-256 is kept: it has 256 bits of entropy, so a slow password
hash would add nothing but time. A secret is looked up by its hash, which tells a timing attacker nothing about
the secret.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from framecast.service.access.rights import Credential, Grant, Right

PREFIX = "fc_"
SESSION_LIFE_S = 30 * 86_400
MOST_SESSIONS = 100
"""Of one token; the oldest ends when another one begins."""
LAST_USED_STEP_S = 60
"""How exactly the last use of a token is kept, in s: not every request is worth a write."""


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


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that exchanged a token for a cookie.

    Attributes:
        digest: SHA-256 of the cookie's value.
        token_id: The token it stands for, and ends with.
        expires_s: Unix seconds.
    """

    digest: bytes
    token_id: int
    expires_s: float


def new_secret() -> str:
    """A fresh token, to be shown once."""
    return PREFIX + secrets.token_urlsafe(32)


def new_session_id() -> str:
    """A fresh value for the session cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a secret: 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Keyring:
    """Tokens and sessions in memory, to answer for a request without touching the disk.

    Whoever changes the state (see ``State``) tells it by ``replace``, ``add_session`` and ``drop_session``.

    Args:
        tokens: All there are, revoked ones too.
        sessions: All that were kept; those that ended are left out.
    """

    def __init__(self, tokens: Iterable[Token] = (), sessions: Iterable[Session] = ()) -> None:
        self._by_digest: dict[bytes, Token] = {}
        self._by_id: dict[int, Token] = {}
        self._sessions: dict[bytes, Session] = {}
        self._used: dict[int, float] = {}
        self.replace(tokens)
        for session in sessions:
            self.add_session(session)

    def __len__(self) -> int:
        """Tokens that exist, revoked ones too: while there is one, nothing is open."""
        return len(self._by_id)

    def replace(self, tokens: Iterable[Token]) -> None:
        """Take these tokens for all there are; sessions of others end."""
        self._by_id = {token.id: token for token in tokens}
        self._by_digest = {token.digest: token for token in self._by_id.values() if token.revoked_s is None}
        good = {token.id for token in self._by_digest.values()}
        self._sessions = {key: session for key, session in self._sessions.items() if session.token_id in good}

    def grant_of(self, credential: Credential, now_s: float) -> Grant | None:
        """What a credential grants, be it a token or a session; None when it is not good."""
        find = self.session_token if credential.carrier == "cookie" else self.token
        token = find(credential.secret, now_s)
        return token.grant if token else None

    def token(self, secret: str, now_s: float) -> Token | None:
        """The token with this secret, unless revoked; its use is noted."""
        token = self._by_digest.get(digest(secret))
        if token is not None:
            self._note_use(token, now_s)
        return token

    def session_token(self, session_id: str, now_s: float) -> Token | None:
        """The token that a session cookie stands for, while both are good."""
        session = self._sessions.get(digest(session_id))
        if session is None:
            return None
        if session.expires_s <= now_s:
            del self._sessions[session.digest]
            return None
        token = self._by_id[session.token_id]
        self._note_use(token, now_s)
        return token

    def add_session(self, session: Session) -> None:
        """Accept this session from now on, if its token is good."""
        token = self._by_id.get(session.token_id)
        if token is None or token.revoked_s is not None:
            return
        others = [each for each in self._sessions.values() if each.token_id == session.token_id]
        if len(others) >= MOST_SESSIONS:
            del self._sessions[min(others, key=lambda each: each.expires_s).digest]
        self._sessions[session.digest] = session

    def drop_session(self, session_id: str) -> bytes | None:
        """Forget a session; returns its digest, for the state to do the same, or None when there is no such one."""
        session = self._sessions.pop(digest(session_id), None)
        return session.digest if session is not None else None

    def take_uses(self) -> dict[int, float]:
        """Token ids and Unix seconds of their last use since the last call, for ``State.touch_tokens``."""
        used, self._used = self._used, {}
        return used

    def _note_use(self, token: Token, now_s: float) -> None:
        known = self._used.get(token.id, token.last_used_s or 0.0)
        if now_s - known >= LAST_USED_STEP_S:
            self._used[token.id] = now_s
