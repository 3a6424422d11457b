"""Accounts as JSON: what ``/api/v1/users`` takes and gives, and ``framecast user`` works with.

Everything waits for the disk and for password hashes, so a server asks from a thread.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from framecast.core.errors import Misuse
from framecast.service.access.accounts import INVITATION_LIFE_S, Account, Role, folded
from framecast.service.access.passwords import Passwords, checked_password
from framecast.service.access.tokens import digest
from framecast.service.accounts.fields import cameras_of, name_of
from framecast.service.errors import Refused
from framecast.service.store.credentials import Credentials

SETUP_PATH = "/setup#"
"""Where a browser shows a code; behind the ``#`` it is sent to nobody, and stands in no log.

An invitation's is followed by a dot and the account's name, for the page to show; an owner link's by nothing.
"""
_CREATING = {"name", "role", "cameras", "password"}
_CHANGING = {"role", "cameras", "password", "disabled", "invite"}
_ROLES = ", ".join(Role)
_NO_INVITATION = {"invitation": None, "invited_until_s": None}


class People:
    """Those who log in by name.

    Args:
        credentials: Where they are kept.
        passwords: How their passwords are.
        clock: Returns Unix seconds.
    """

    def __init__(self, credentials: Credentials, passwords: Passwords, clock: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._passwords = passwords
        self._clock = clock

    def listing(self) -> dict[str, Any]:
        """All of them."""
        return {"users": [self.describe(account) for account in self._credentials.accounts()]}

    def describe(self, account: Account) -> dict[str, Any]:
        """What who manages accounts sees of one; times are Unix seconds or null."""
        return {
            "name": account.name,
            "role": account.role.value,
            "cameras": None if account.cameras is None else sorted(account.cameras),
            "created": account.created_s,
            "last_used": account.last_used_s,
            "disabled": account.disabled_s,
            "invited": account.invited_until_s if account.invited(self._clock()) else None,
        }

    def find(self, name: str) -> Account:
        """The account of this name; raises Refused when there is none."""
        for account in self._credentials.accounts():
            if folded(account.name) == folded(name):
                return account
        raise Refused(404, "not_found", f"There is no account {name[:64]!r}")

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make the account that a request asks for; without a password the answer holds ``invite``, once.

        Args:
            body: ``{"name", "role": "owner" | "viewer", "cameras": [id, …] | null, "password": …}``.

        Raises:
            Misuse: It makes no sense.
            Refused: The name is taken, or it can't be made now.
        """
        account = self._create(body)
        return self._invite(account) if account.password is None else self.describe(account)

    def create_first(self, body: dict[str, Any]) -> Account:
        """The first owner; raises as `create`, and Refused when there is an owner already."""
        return self._create(body, first=True)

    def _create(self, body: dict[str, Any], *, first: bool = False) -> Account:
        if not body.keys() <= _CREATING:
            raise Misuse("An account has name, role and, where wanted, cameras and password")
        name, role = name_of(body, "an account"), _role(body)
        cameras = _cameras(body, role)
        kept = None
        if body.get("password") is not None:
            kept = self._passwords.hash(checked_password(body["password"], name))
        return self._credentials.create_account(name, role, cameras, password=kept, now_s=self._clock(), first=first)

    def change(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change an account, and end its sessions where it was disabled or got another password.

        Raises:
            Misuse: The change makes no sense.
            Refused: There is no such account, or no owner would be left.
        """
        if not body or not body.keys() <= _CHANGING:
            raise Misuse("Of an account may be changed: role, cameras, password, disabled; and invite may be true")
        account = self.find(name)
        fields: dict[str, Any] = {}
        role = account.role
        if "role" in body:
            fields["role"] = role = _role(body)
        if "cameras" in body:
            fields["cameras"] = _cameras(body, role)
        elif role is Role.OWNER and account.cameras is not None:
            fields["cameras"] = None
        for flag in ("disabled", "invite"):
            if flag in body and not isinstance(body[flag], bool):
                raise Misuse(f"{flag} is true or false")
        if "disabled" in body:
            fields["disabled_s"] = (account.disabled_s or self._clock()) if body["disabled"] else None
            if body["disabled"]:
                fields |= _NO_INVITATION
        if body.get("password") is not None:
            fields["password"] = self._passwords.hash(checked_password(body["password"], account.name))
            fields |= _NO_INVITATION
        ends = bool(body.get("disabled") or body.get("password"))
        if fields:
            self._credentials.change_account(account.id, fields, end_sessions=ends)
        changed = self.find(name)
        if body.get("invite"):
            if changed.disabled_s is not None:
                raise Refused(409, "disabled", f"{changed.name} is disabled; enable the account first")
            return self._invite(changed)
        return self.describe(changed)

    def remove(self, name: str) -> Account:
        """Remove an account; raises Refused when there is none, or it is the last owner's."""
        account = self.find(name)
        self._credentials.remove_account(account.id)
        return account

    def _invite(self, account: Account) -> dict[str, Any]:
        """A way to set a password, in place of an earlier one."""
        code = new_code()
        fields = {"invitation": digest(code), "invited_until_s": self._clock() + INVITATION_LIFE_S}
        self._credentials.change_account(account.id, fields)
        whose = quote(account.name, safe="")
        return {**self.describe(self.find(account.name)), "invite": f"{SETUP_PATH}{code}.{whose}"}

    # By those it concerns

    def enter(self, name: str, password: str) -> Account | None:
        """The account that this name and password open; takes as long for a name that nobody has."""
        account = next((each for each in self._credentials.accounts() if folded(each.name) == folded(name)), None)
        kept = account.password if account is not None and account.disabled_s is None else None
        if not self._passwords.verify(password, kept) or account is None or kept is None:
            return None
        if self._passwords.is_outdated(kept):
            self._credentials.change_account(account.id, {"password": self._passwords.hash(password)})
        return account

    def accept(self, code: str, password: object) -> Account | None:
        """The account that an invitation's code is for, with this password from now on; None when the code is none.

        Raises:
            Misuse: The password can't be taken.
        """
        shown = digest(code)
        for account in self._credentials.accounts():
            known = account.invitation
            if known is not None and hmac.compare_digest(known, shown) and account.invited(self._clock()):
                kept = self._passwords.hash(checked_password(password, account.name))
                return account if self._credentials.use_invitation(account.id, shown, kept) else None
        return None

    def change_password(self, account: Account, old: str, new: object, session: str) -> bool:
        """Set somebody's own password, and end the account's sessions but this one; False when the old one is wrong.

        Raises:
            Misuse: The new one can't be taken.
        """
        # As it is by now: who asks may have waited while an owner set another password, or disabled the account.
        now = next((each for each in self._credentials.accounts() if each.id == account.id), None)
        if not self._passwords.verify(old, now.password if now is not None and now.disabled_s is None else None):
            return False
        kept = self._passwords.hash(checked_password(new, account.name))
        fields = {"password": kept, **_NO_INVITATION}
        self._credentials.change_account(account.id, fields, end_sessions=True, but_session=session)
        return True


def new_code() -> str:
    """A code for a link that is used once; it has no dot."""
    return secrets.token_urlsafe(24)


def _role(body: dict[str, Any]) -> Role:
    role = body.get("role")
    if role not in list(Role):
        raise Misuse(f"An account's role is one of {_ROLES}")
    return Role(role)


def _cameras(body: dict[str, Any], role: Role) -> frozenset[str] | None:
    cameras = cameras_of(body, "an account")
    if cameras is not None and role is Role.OWNER:
        raise Misuse("An owner has all cameras; limit viewers")
    return cameras
