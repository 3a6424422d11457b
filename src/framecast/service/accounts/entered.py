"""Who came in, as the API tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.service.access.accounts import Role
from framecast.service.access.rights import NOBODY, Grant, Right


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody who logged in.

    Attributes:
        cookie: Value of the session's cookie.
        grant: What it grants.
    """

    cookie: str
    grant: Grant


def role_of(grant: Grant) -> str | None:
    """``owner`` or ``viewer`` for who logged in by name."""
    if grant.kind != "user":
        return None
    return (Role.OWNER if grant.has(Right.OWN) else Role.VIEWER).value


def holder_of(grant: Grant) -> str:
    """By what name somebody has sessions of its own; `NOBODY` for who can have none."""
    return grant.name if grant.kind in ("token", "user") and not grant.in_address else NOBODY
