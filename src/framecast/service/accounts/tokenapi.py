"""Tokens as JSON: what ``/api/v1/tokens`` takes and gives, and ``framecast token --json`` prints."""

from __future__ import annotations

import re
from typing import Any

from framecast.core.errors import Misuse
from framecast.service.access.rights import Right
from framecast.service.access.tokens import Token
from framecast.service.config import CAMERA_ID
from framecast.service.store.state import State

GRANTABLE = (Right.WATCH, Right.OPERATE, Right.PUBLISH)
_NAME = re.compile(r"[\w][\w .@+-]{0,63}")
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


def listing(state: State) -> dict[str, Any]:
    """All tokens, revoked ones too."""
    return {"tokens": [describe(token) for token in state.tokens()]}


def create(state: State, body: Any) -> dict[str, Any]:
    """Make the token that a request asks for; the answer holds its ``secret``, once. Raises Misuse.

    Args:
        body: ``{"name": …, "rights": ["watch" | "operate" | "publish", …], "cameras": [id, …] | null}``.
    """
    if not isinstance(body, dict) or not body.keys() <= _ACCEPTED:
        raise Misuse("a token has name, rights and, if it is limited to some, cameras")
    token, secret = state.create_token(_name(body), _rights(body), _cameras(body))
    return {**describe(token), "secret": secret}


def revoke(state: State, name: str, *, forget: bool = False) -> None:
    """Make a token useless, or drop it altogether; raises Misuse when there is none of this name."""
    if not (state.forget_token(name) if forget else state.revoke_token(name)):
        raise Misuse(f"there is no token named {name}")


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Misuse("a token's name has 1 to 64 letters, digits, spaces and . _ @ + -, a letter or digit first")
    return name


def _rights(body: dict[str, Any]) -> frozenset[Right]:
    rights = body.get("rights")
    if not _texts(rights) or not rights or not set(rights) <= set(GRANTABLE):
        raise Misuse(f"a token's rights are one or more of {', '.join(GRANTABLE)}")
    return frozenset(Right(right) for right in rights)


def _cameras(body: dict[str, Any]) -> frozenset[str] | None:
    cameras = body.get("cameras")
    if cameras is None:
        return None
    if not _texts(cameras) or not cameras or len(cameras) > 1000 or not all(map(CAMERA_ID.fullmatch, cameras)):
        raise Misuse("a token is limited to a list of camera ids, or to none when left out")
    return frozenset(cameras)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
