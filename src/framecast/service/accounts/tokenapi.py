"""Tokens as JSON: what ``/api/v1/tokens`` takes and gives, and ``framecast token --json`` prints."""

from __future__ import annotations

from typing import Any

from framecast.core.errors import Misuse
from framecast.service.access.rights import Right
from framecast.service.access.tokens import Token
from framecast.service.accounts.fields import cameras_of, name_of, texts
from framecast.service.store.credentials import Credentials

GRANTABLE = (Right.WATCH, Right.OPERATE, Right.PUBLISH)
_ACCEPTED = {"name", "rights", "cameras"}


def describe(token: Token) -> dict[str, Any]:
    """What anybody who manages tokens may see of one; times are Unix seconds or null."""
    return {
        "name": token.name,
        "rights": sorted(token.rights),
        "cameras": None if token.cameras is None else sorted(token.cameras),
        "created": token.created_s,
        "last_used": token.last_used_s,
        "revoked": token.revoked_s,
    }


def listing(credentials: Credentials) -> dict[str, Any]:
    """All tokens, revoked ones too."""
    return {"tokens": [describe(token) for token in credentials.tokens()]}


def create(credentials: Credentials, body: Any) -> dict[str, Any]:
    """Make the token that a request asks for; the answer holds its ``secret``, once. Raises Misuse.

    Args:
        body: ``{"name": …, "rights": ["watch" | "operate" | "publish", …], "cameras": [id, …] | null}``.
    """
    if not isinstance(body, dict) or not body.keys() <= _ACCEPTED:
        raise Misuse("a token has name, rights and, if it is limited to some, cameras")
    token, secret = credentials.create_token(name_of(body, "a token"), _rights(body), cameras_of(body, "a token"))
    return {**describe(token), "secret": secret}


def revoke(credentials: Credentials, name: str, *, forget: bool = False) -> None:
    """Make a token useless, or drop it altogether; raises Misuse when there is none of this name."""
    if not (credentials.forget_token(name) if forget else credentials.revoke_token(name)):
        raise Misuse(f"there is no token named {name}")


def _rights(body: dict[str, Any]) -> frozenset[Right]:
    rights = body.get("rights")
    if not texts(rights) or not rights or not set(rights) <= set(GRANTABLE):
        raise Misuse(f"a token's rights are one or more of {', '.join(GRANTABLE)}")
    return frozenset(Right(right) for right in rights)
