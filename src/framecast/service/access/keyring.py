"""The good accounts, tokens and sessions in memory, to answer for a request without touching the disk."""

from __future__ import annotations

import hmac
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from framecast.service.access.accounts import Account, Role, folded
from framecast.service.access.rights import Credential, Cut, Grant
from framecast.service.access.sessions import MOST_SESSIONS, Session
from framecast.service.access.tokens import Token, digest

LAST_USED_STEP_S = 60.0
"""How exactly the last use of something is kept, in s: not every request is worth a write."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Uses:
    """When things were last used: Unix seconds by the id of a token or account, or by the digest of a session."""

    tokens: Mapping[int, float]
    accounts: Mapping[int, float]
    sessions: Mapping[bytes, float]

    def __bool__(self) -> bool:
        return bool(self.tokens or self.accounts or self.sessions)


class _Times(Generic[K]):
    """When each of some things was last used, and which of these times are still to be kept."""

    def __init__(self) -> None:
        self._last_s: dict[K, float] = {}
        self._fresh: set[K] = set()

    def begin(self, key: K, last_s: float | None) -> None:
        self._last_s.setdefault(key, last_s or 0.0)

    def note(self, key: K, now_s: float) -> None:
        if now_s - self._last_s.get(key, 0.0) >= LAST_USED_STEP_S:
            self._last_s[key] = now_s
            self._fresh.add(key)

    def of(self, key: K) -> float | None:
        return self._last_s.get(key) or None

    def keep(self, keys: Iterable[K]) -> None:
        """Forget all but these."""
        self._last_s = {key: self._last_s[key] for key in keys if key in self._last_s}
        self._fresh &= self._last_s.keys()

    def forget(self, key: K) -> None:
        self._last_s.pop(key, None)
        self._fresh.discard(key)

    def __len__(self) -> int:
        return len(self._last_s)

    def take(self) -> dict[K, float]:
        taken = {key: self._last_s[key] for key in self._fresh}
        self._fresh.clear()
        return taken


class Keyring:
    """What lets somebody in. Whoever changes the state (see ``Credentials``) tells it.

    Args:
        tokens: All there are, revoked ones too.
        accounts: All there are, disabled ones too.
        sessions: All that were kept; those that ended are left out.
    """

    def __init__(
        self, tokens: Iterable[Token] = (), accounts: Iterable[Account] = (), sessions: Iterable[Session] = ()
    ) -> None:
        self._tokens: dict[int, Token] = {}
        self._accounts: dict[int, Account] = {}
        self._by_digest: dict[bytes, Token] = {}
        self._by_name: dict[str, Account] = {}
        self._grants: dict[bytes, Grant] = {}
        """Of good tokens and sessions by their digest: a grant is made once, not once a request."""
        self._sessions: dict[bytes, Session] = {}
        self._token_uses: _Times[int] = _Times()
        self._account_uses: _Times[int] = _Times()
        self._session_uses: _Times[bytes] = _Times()
        self.replace_tokens(tokens)
        self.replace_accounts(accounts)
        for session in sessions:
            self.add_session(session)

    def __len__(self) -> int:
        """Accounts and tokens that exist, disabled and revoked ones too: while there is one, nothing is open."""
        return len(self._tokens) + len(self._accounts)

    @property
    def has_accounts(self) -> bool:
        """Whether anybody can log in by name, or could before it was disabled."""
        return bool(self._accounts)

    def names_camera(self, camera_id: str) -> bool:
        """Whether something that lets in is limited to this camera, be there one of that id or not."""
        limits = [token.cameras for token in self._tokens.values()]
        limits += [account.cameras for account in self._accounts.values()]
        return any(cameras is not None and camera_id in cameras for cameras in limits)

    @property
    def has_owner(self) -> bool:
        """Whether somebody can log in as an owner."""
        return any(account.is_owner for account in self._accounts.values())

    def invited_owner(self, now_s: float) -> str:
        """Whose invitation waits that is to be an owner; empty for nobody's."""
        waiting = (each for each in self._accounts.values() if each.role is Role.OWNER and each.invited(now_s))
        return next((each.name for each in waiting), "")

    def is_invitation(self, code: str, now_s: float) -> bool:
        """Whether a password may be chosen by this code."""
        shown = digest(code)
        waiting = [each.invitation for each in self._accounts.values() if each.invitation and each.invited(now_s)]
        return any(hmac.compare_digest(shown, each) for each in waiting)

    def replace_tokens(self, tokens: Iterable[Token]) -> None:
        """Take these tokens for all there are; sessions of others end."""
        self._tokens = {token.id: token for token in tokens}
        self._by_digest = {token.digest: token for token in self._tokens.values() if token.revoked_s is None}
        for token in self._tokens.values():
            self._token_uses.begin(token.id, token.last_used_s)
        self._token_uses.keep(self._tokens)
        self._renew()

    def replace_accounts(self, accounts: Iterable[Account]) -> None:
        """Take these accounts for all there are; sessions of others end."""
        self._accounts = {account.id: account for account in accounts}
        self._by_name = {folded(account.name): account for account in self._accounts.values()}
        for account in self._accounts.values():
            self._account_uses.begin(account.id, account.last_used_s)
        self._account_uses.keep(self._accounts)
        self._renew()

    def _renew(self) -> None:
        """Make the grants anew, and forget sessions that stand for nothing any more."""
        self._grants = {token.digest: token.grant for token in self._by_digest.values()}
        kept = {}
        for session in self._sessions.values():
            grant = self._grant_by(session)
            if grant is not None:
                kept[session.digest] = session
                self._grants[session.digest] = grant
        self._sessions = kept
        self._session_uses.keep(kept)

    def grant_of(self, credential: Credential, now_s: float) -> Grant | None:
        """What a credential grants, be it a token or a session; None when it is not good."""
        if credential.carrier == "cookie":
            session = self.session(credential.secret, now_s)
            return None if session is None else self._grants[session.digest]
        token = self.token(credential.secret, now_s)
        return None if token is None else self._grants[token.digest]

    def grant_of_holder(self, name: str, session: str = "") -> Grant | None:
        """What a holder may do at present; None when its token is revoked, its account disabled, or it is gone.

        Args:
            name: `Grant.name`.
            session: Id of the session that has to last, too; empty for none.
        """
        if session:
            found = next((each for each in self._sessions.values() if each.id == session), None)
            grant = None if found is None else self._grants[found.digest]
            return grant if grant is not None and grant.name == name else None
        for token in self._by_digest.values():
            if token.name == name:
                return token.grant
        for account in self._accounts.values():
            if account.grant.name == name and account.disabled_s is None:
                return account.grant
        return None

    def stamp_of_holder(self, name: str) -> str:
        """What tells a holder from a later one of the same name; empty when there is none."""
        for token in self._by_digest.values():
            if token.name == name:
                return token.digest.hex()[:16]
        return next((str(account.id) for account in self._accounts.values() if account.grant.name == name), "")

    def stamp_of_secret(self, name: str) -> str:
        """As `stamp_of_holder`, and another one once the holder has another password."""
        stamp = self.stamp_of_holder(name)
        account = next((each for each in self._accounts.values() if each.grant.name == name), None)
        if account is None or stamp != str(account.id):
            return stamp
        return f"{stamp}.{digest(account.password or '').hex()[:16]}"

    def token(self, secret: str, now_s: float) -> Token | None:
        """The token with this secret, unless revoked; its use is noted."""
        token = self._by_digest.get(digest(secret))
        if token is not None:
            self._token_uses.note(token.id, now_s)
        return token

    def account(self, name: str) -> Account | None:
        """The account of this name, in any case."""
        return self._by_name.get(folded(name))

    def session(self, cookie: str, now_s: float) -> Session | None:
        """The session with this cookie, while it and what it stands for are good; its use is noted."""
        session = self._sessions.get(digest(cookie))
        if session is None or session.expires_s <= now_s:
            return None
        self._session_uses.note(session.digest, now_s)
        if session.token_id is not None:
            self._token_uses.note(session.token_id, now_s)
        if session.account_id is not None:
            self._account_uses.note(session.account_id, now_s)
        return session

    def sessions(self, name: str | None = None) -> list[Session]:
        """Those of a holder (`Grant.name`), or of everybody; the latest first, with their last use."""
        found = [
            replace(each, last_used_s=self._session_uses.of(each.digest))
            for each in self._sessions.values()
            if name is None or self._grants[each.digest].name == name
        ]
        return sorted(found, key=lambda each: each.created_s, reverse=True)

    def grant_of_session(self, session: Session) -> Grant:
        """What a session that is kept here grants."""
        return self._grants[session.digest]

    def add_session(self, session: Session) -> Cut | None:
        """Accept this session from now on, if what it stands for is good; whom that cuts, where there are too many."""
        grant = self._grant_by(session)
        if grant is None:
            return None
        others = [each for each in self._sessions.values() if each.owner == session.owner]
        oldest = min(others, key=lambda each: each.created_s) if len(others) >= MOST_SESSIONS else None
        cut = None if oldest is None else self.drop_session(oldest)
        self._sessions[session.digest] = session
        self._grants[session.digest] = grant
        self._session_uses.begin(session.digest, session.last_used_s)
        return cut

    def drop_session(self, session: Session) -> Cut:
        """Forget a session; whom that cuts."""
        del self._sessions[session.digest]
        self._session_uses.forget(session.digest)
        return Cut(self._grants.pop(session.digest).name, session=session.id)

    def expired(self, now_s: float) -> list[Session]:
        """Sessions whose time is over."""
        return [session for session in self._sessions.values() if session.expires_s <= now_s]

    def last_used_s(self, holder: Account | Token) -> float | None:
        """When an account or a token was last used, in Unix seconds."""
        return (self._account_uses if isinstance(holder, Account) else self._token_uses).of(holder.id)

    def note_log_in(self, account: Account, now_s: float) -> None:
        """An account was entered."""
        self._account_uses.note(account.id, now_s)

    def take_uses(self) -> Uses:
        """What was used since the last call, for ``Credentials.touch``."""
        return Uses(self._token_uses.take(), self._account_uses.take(), self._session_uses.take())

    def _grant_by(self, session: Session) -> Grant | None:
        token = self._tokens.get(session.token_id) if session.token_id is not None else None
        account = self._accounts.get(session.account_id) if session.account_id is not None else None
        if token is not None and token.revoked_s is None:
            return replace(token.grant, session=session.id)
        if account is not None and account.disabled_s is None:
            return replace(account.grant, session=session.id)
        return None
