"""Where a running server's accounts, tokens and sessions are managed: kept first, then taken into the keyring, and
whoever is let in no longer is cut at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from framecast.core.errors import Misuse, StateError
from framecast.service.access.accounts import Account
from framecast.service.access.attempts import Attempts
from framecast.service.access.keyring import Keyring
from framecast.service.access.passwords import Passwords
from framecast.service.access.rights import NOBODY, Credential, Cut, Grant, Right, holder_of_user
from framecast.service.access.sessions import Session
from framecast.service.accounts import tokenapi
from framecast.service.accounts.entered import Entered, holder_of, role_of
from framecast.service.accounts.ownerlink import OwnerLink
from framecast.service.accounts.people import People
from framecast.service.errors import ApiError, Refused, not_found
from framecast.service.store.credentials import Credentials, Visit

log = logging.getLogger("framecast.service.accounts")

KEEP_PERIOD_S = 30.0
_SET_UP = {"code", "name", "password"}
MOST_WAITING = 20
"""Log-ins by password that wait for each other: beyond, they are turned away."""


class Desk:
    """Changes who may come in; one for a server, used on its loop.

    Args:
        credentials: Where all is kept.
        keyring: What requests are answered by.
        blocking: Runs a call on the state's thread.
        cut: Ends what is open of somebody.
        is_open: Whether everything is open.
        passwords: How they are hashed.
    """

    def __init__(
        self,
        credentials: Credentials,
        keyring: Keyring,
        *,
        blocking: Callable[..., Awaitable[Any]],
        cut: Callable[[Cut], None],
        is_open: Callable[[], bool],
        passwords: Passwords,
    ) -> None:
        self.attempts = Attempts()
        self.owner_link = OwnerLink()
        self._credentials = credentials
        self._keyring = keyring
        self._blocking = blocking
        self._cut = cut
        self._is_open = is_open
        self._people = People(credentials, passwords)
        # One thread, so that what depends on a password and what changes one never overlap.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def waits_for_owner(self) -> bool:
        """Whether the owner's link can be used."""
        return self.owner_link.waiting and not self._keyring.has_owner

    # Tokens

    async def tokens(self) -> list[dict[str, Any]]:
        """All tokens, without their secrets."""
        return [
            {**tokenapi.describe(token), "last_used": self._keyring.last_used_s(token)}
            for token in await self._blocking(self._credentials.tokens)
        ]

    async def create_token(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new token, with its secret.

        Raises:
            ApiError: The request makes no sense, or the name is taken.
        """
        was_open = self._is_open()
        try:
            made: dict[str, Any] = await self._blocking(tokenapi.create, self._credentials, body)
        except Misuse as error:
            raise ApiError(400, "bad_token", str(error)) from None
        await self._reload_tokens()
        self._end_if(was_open, NOBODY)
        return made

    async def revoke_token(self, name: str, *, forget: bool) -> bool:
        """Make a token useless and cut whom it let in; False when there is none of this name."""
        credentials = self._credentials
        found: bool = await self._blocking(credentials.forget_token if forget else credentials.revoke_token, name)
        await self._reload_tokens()
        self._end_if(found, name)
        return found

    # Accounts

    async def users(self) -> dict[str, Any]:
        """All accounts."""
        listed: dict[str, Any] = await self._blocking(self._people.listing)
        for entry in listed["users"]:
            account = self._keyring.account(entry["name"])
            entry["last_used"] = None if account is None else self._keyring.last_used_s(account)
        return listed

    async def create_user(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new account; with ``invite`` where it has no password yet.

        Raises:
            ApiError: The request makes no sense, or the name is taken.
        """
        was_open = self._is_open()
        made: dict[str, Any] = await self._of_people(self._people.create, body)
        await self._reload_accounts()
        self._end_if(was_open, NOBODY)
        return made

    async def change_user(self, name: str, body: dict[str, Any], grant: Grant) -> dict[str, Any]:
        """Change an account; what it had open ends where it may do less or more, and comes back by itself where it may.

        Raises:
            ApiError: The change makes no sense, there is no such account, or it is the last owner's.
        """
        account = self._keyring.account(name)
        if account is not None and ("password" in body or body.get("invite")) and grant.user == account.name:
            raise ApiError(400, "bad_account", "Change your own password with the old one (POST /api/v1/password)")
        changed: dict[str, Any] = await self._of_people(self._people.change, name, body)
        await self._reload_accounts()
        after = self._keyring.account(name)
        if account is None or after is None or after.what_lets_in != account.what_lets_in:
            holder = holder_of_user(changed["name"])
            if body.get("password"):
                self._forget_sessions(holder)
            self._cut(Cut(holder))
        return changed

    async def remove_user(self, name: str) -> None:
        """Remove an account, and cut whom it let in.

        Raises:
            ApiError: There is none of this name, or it is the last owner's.
        """
        account = await self._of_people(self._people.remove, name)
        await self._reload_accounts()
        self._cut(Cut(holder_of_user(account.name)))

    async def change_password(self, grant: Grant, body: dict[str, Any], visit: Visit) -> None:
        """Set the caller's own password; all its other sessions end.

        Raises:
            ApiError: It has no account, the old one is wrong, or the new one can't be taken.
        """
        account = self._keyring.account(grant.user) if grant.kind == "user" else None
        if account is None:
            raise ApiError(403, "no_account", "Only who logged in by name has a password to change")
        old, new = body.get("old"), body.get("new")
        if not isinstance(old, str) or not isinstance(new, str):
            raise ApiError(400, "bad_value", 'Send {"old": "…", "new": "…"}')
        self._charge(visit, account.name)
        if not await self._in_turn(self._people.change_password, account, old, new, grant.session):
            raise ApiError(403, "wrong_password", "The old password is wrong")
        self.attempts.succeeded(visit.address, account.name)
        await self._reload_accounts()
        self._forget_sessions(grant.name, but=grant.session)
        self._cut(Cut(grant.name, but_session=grant.session))

    # Coming and going

    async def log_in_by_key(self, key: str, visit: Visit, before: str) -> Entered | None:
        """Exchange a token for a session; None when the token is no good.

        Args:
            before: The cookie that came along; its session ends.

        Raises:
            ApiError: It was tried too often.
        """
        self._charge(visit, "")
        token = self._keyring.token(key, time.time())
        if token is None:
            return None
        self.attempts.succeeded(visit.address, "")
        session, cookie = await self._blocking(self._credentials.create_session, token, visit)
        return await self._enter(session, cookie, before)

    async def log_in_by_name(self, name: str, password: str, visit: Visit, before: str) -> Entered | None:
        """Exchange a password for a session; None when there is no such account, or it has another password.

        Raises:
            ApiError: It was tried too often, or too many try at once.
        """
        self._charge(visit, name)
        return await self._entered(visit, before, self._people.enter, name, password)

    def is_good(self, body: dict[str, Any], visit: Visit) -> bool:
        """Whether a code can be used: nothing more is told of it, and a wrong one costs as much as a wrong password.

        Args:
            body: ``{"code"}``.

        Raises:
            ApiError: The owner's link was used, or codes were tried too often.
        """
        code = body.get("code")
        if not isinstance(code, str) or body.keys() != {"code"}:
            raise ApiError(400, "bad_value", 'Send {"code": "…"}')
        self._charge(visit, "")
        code, _, _ = code.partition(".")
        if self.owner_link.is_for(code):
            self._check_owner_link()
        elif not self._keyring.is_invitation(code, time.time()):
            return False
        self.attempts.succeeded(visit.address, "")
        return True

    async def set_up(self, body: dict[str, Any], visit: Visit, before: str) -> Entered | None:
        """Use a code: the owner link's makes the first owner, an invitation's sets a password; None when it is none.

        Args:
            body: ``{"code", "password"}`` and, for the first owner, ``name``.

        Raises:
            ApiError: The code was used, the name or password can't be taken, or codes were tried too often.
        """
        code, password = body.get("code"), body.get("password")
        if not isinstance(code, str) or not isinstance(password, str) or not body.keys() <= _SET_UP:
            raise ApiError(400, "bad_value", 'Send {"code": "…", "password": "…"}, and a name for the first owner')
        self._charge(visit, "")
        code, _, _ = code.partition(".")  # and the name behind it, which is for people
        if not self.owner_link.is_for(code):
            return await self._entered(visit, before, self._people.accept, code, password)
        self._check_owner_link()
        fields = {"name": body.get("name"), "role": "owner", "password": password}
        entered = await self._entered(visit, before, self._people.create_first, fields)
        self.owner_link.use()
        return entered

    def name_of(self, cookie: str) -> str:
        """Whose session it is (`Grant.name`); nothing for a cookie that is none."""
        session = self._keyring.session(cookie, time.time())
        return "" if session is None else self._keyring.grant_of_session(session).name

    async def log_out(self, cookie: str, *, everywhere: bool = False) -> None:
        """End a session, or all of its account or token; nothing is done for a cookie that is none."""
        session = self._keyring.session(cookie, time.time())
        if session is None:
            return
        await self._end(self._keyring.sessions(self.name_of(cookie)) if everywhere else [session])

    def sessions(self, grant: Grant, *, everybodys: bool = False) -> list[dict[str, Any]]:
        """The caller's sessions, or everybody's; the latest first."""
        name = None if everybodys else holder_of(grant)
        return [] if name == NOBODY else [self._describe(each, grant) for each in self._keyring.sessions(name)]

    async def end_session(self, grant: Grant, session_id: str) -> None:
        """End a session of the caller's, or, for an owner, of anybody's.

        Raises:
            ApiError: There is none of this id that the caller may end.
        """
        name = None if grant.has(Right.OWN) else holder_of(grant)
        found = [each for each in self._keyring.sessions(name) if each.id == session_id] if name != NOBODY else []
        if not found:
            raise not_found(f"There is no session {session_id[:32]!r}")
        await self._end(found)

    # What goes on by itself

    async def keep(self) -> None:
        """Keep when things were used, and end sessions whose time is over; does not return."""
        while True:
            await asyncio.sleep(KEEP_PERIOD_S)
            await self.tidy(time.time())

    async def tidy(self, now_s: float) -> None:
        """Do that once."""
        try:
            uses = self._keyring.take_uses()
            if uses:
                await self._blocking(self._credentials.touch, uses)
            expired = self._keyring.expired(self._credentials.present.of(now_s))
            if expired:
                await self._end(expired)
        except StateError as error:
            log.warning("when tokens and accounts were last used is not kept: %s", error)

    # Parts of these

    def _check_owner_link(self) -> None:
        if not self.waits_for_owner:
            raise ApiError(409, "done", "This link was used; log in with your name and password")

    async def _entered(
        self, visit: Visit, before: str, find: Callable[..., Account | None], *args: Any
    ) -> Entered | None:
        """A session for the account that ``find`` gives in the passwords' thread."""

        def enter() -> tuple[Account, Session, str] | None:
            account = find(*args)
            return None if account is None else (account, *self._credentials.create_session(account, visit))

        made = await self._in_turn(enter)
        if made is None:
            return None
        account, session, cookie = made
        self.attempts.succeeded(visit.address, account.name)
        await self._reload_accounts()
        if find == self._people.accept:
            self._forget_sessions(holder_of_user(account.name))
            self._cut(Cut(holder_of_user(account.name)))
        self._keyring.note_log_in(account, time.time())
        return await self._enter(session, cookie, before)

    async def _enter(self, session: Session, cookie: str, before: str) -> Entered | None:
        """Take a new session in; what stood for the same browser ends."""
        evicted = self._keyring.add_session(session)
        if evicted is not None:
            self._cut(evicted)
        grant = self._keyring.grant_of(Credential(cookie, "cookie"), time.time())
        old = self._keyring.session(before, time.time()) if before else None
        if old is not None:
            await self._end([old])
        return None if grant is None else Entered(cookie, grant)

    async def _end(self, sessions: list[Session]) -> None:
        for session in sessions:
            self._cut(self._keyring.drop_session(session))
        await self._blocking(self._credentials.delete_sessions, sessions)

    def _forget_sessions(self, name: str, but: str = "") -> None:
        """Take those of a holder out of the keyring that the state has dropped."""
        for session in self._keyring.sessions(name):
            if session.id != but:
                self._keyring.drop_session(session)

    def _describe(self, session: Session, asking: Grant) -> dict[str, Any]:
        grant = self._keyring.grant_of_session(session)
        return {
            "id": session.id,
            "holder": grant.user or grant.name,
            "kind": grant.kind,
            "role": role_of(grant),
            "created": session.created_s,
            "last_used": session.last_used_s,
            "expires": session.expires_s,
            "address": session.address,
            "agent": session.agent,
            "current": session.id == asking.session,
        }

    def _charge(self, visit: Visit, account: str) -> None:
        wait_s = self.attempts.charge(visit.address, account, time.monotonic())
        if wait_s > 0:
            wait = max(1, math.ceil(wait_s))
            words = f"Too many attempts to log in; wait {wait} s"
            raise ApiError(429, "too_many_attempts", words, headers={"Retry-After": str(wait)})

    def _end_if(self, is_gone: bool, name: str) -> None:
        if is_gone:
            self._cut(Cut(name))

    async def _in_turn(self, call: Callable[..., Any], *args: Any) -> Any:
        """The same for what needs no right of an owner's: only so many wait."""
        if self._waiting >= MOST_WAITING:
            raise ApiError(429, "busy", "Too many log in just now; try again", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            return await self._of_people(call, *args)
        finally:
            self._waiting -= 1

    async def _of_people(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
        except Refused as error:
            raise ApiError(error.status, error.code, str(error)) from None
        except Misuse as error:
            raise ApiError(400, "bad_account", str(error)) from None

    async def _reload_tokens(self) -> None:
        self._keyring.replace_tokens(await self._blocking(self._credentials.tokens))

    async def _reload_accounts(self) -> None:
        self._keyring.replace_accounts(await self._blocking(self._credentials.accounts))
