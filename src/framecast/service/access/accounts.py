"""Accounts: people who log in by name and password."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from framecast.service.access.rights import OWNER, VIEWER, Grant, holder_of_user

INVITATION_LIFE_S = 72 * 3600


class Role(StrEnum):
    """What somebody is here: an owner may do everything, a viewer may watch."""

    OWNER = "owner"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Account:
    """What is known about somebody.

    Attributes:
        id: Number in the state.
        name: As its holder writes it; others that differ in case only are the same.
        cameras: Ids a viewer is limited to; None is every camera, and what owners have.
        password: What is kept of it; None before it was set.
        created_s, last_used_s, disabled_s: Unix seconds; None is never.
        invitation: SHA-256 of the code by which a password may be set, once; None where none waits.
        invited_until_s: Unix seconds to which that is good.
    """

    id: int
    name: str
    role: Role
    cameras: frozenset[str] | None
    created_s: float
    password: str | None = field(default=None, repr=False)
    last_used_s: float | None = None
    disabled_s: float | None = None
    invitation: bytes | None = field(default=None, repr=False)
    invited_until_s: float | None = None

    @property
    def grant(self) -> Grant:
        """What its holder may do."""
        name = holder_of_user(self.name)
        if self.role is Role.OWNER:
            return Grant(OWNER, None, name=name, kind="user")
        return Grant(VIEWER, self.cameras, name=name, kind="user")

    @property
    def what_lets_in(self) -> tuple[object, ...]:
        """All that decides what is open for its holder, to compare."""
        return self.role, self.cameras, self.password, self.disabled_s is None

    @property
    def is_owner(self) -> bool:
        """Whether it can log in as an owner."""
        return self.role is Role.OWNER and self.disabled_s is None and self.password is not None

    def invited(self, now_s: float) -> bool:
        """Whether an invitation waits to be used."""
        return self.invited_until_s is not None and now_s < self.invited_until_s and self.disabled_s is None


def folded(name: str) -> str:
    """The same for names that are taken for one: in any case, however composed."""
    return unicodedata.normalize("NFKC", name).casefold()
