"""Accounts, tokens and sessions as they are kept; see `Database` for threads and errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from framecast.core.errors import Misuse
from framecast.service.access import sessions, tokens
from framecast.service.access.accounts import Account, Role, folded
from framecast.service.access.keyring import Uses
from framecast.service.access.rights import Right
from framecast.service.access.sessions import MOST_AGENT_CHARACTERS, MOST_SESSIONS, SESSION_LIFE_S, Session
from framecast.service.access.tokens import Token
from framecast.service.errors import Refused
from framecast.service.store.database import Database
from framecast.service.store.present import Present

_TOKEN = "id, name, digest, rights, cameras, created_s, last_used_s, revoked_s"  # noqa: S105 (names of columns)
_ACCOUNT = (
    "id, name, role, cameras, created_s, password, last_used_s, disabled_s, invitation, invited_until_s FROM accounts"
)
_SESSION = "digest, id, token_id, account_id, created_s, expires_s, last_used_s, address, agent FROM sessions"


@dataclass(frozen=True, slots=True)
class Visit:
    """From where a session is begun: address, and what the browser calls itself."""

    address: str = ""
    agent: str = ""


class Credentials:
    """The tables of accounts, tokens and sessions.

    Args:
        database: The open state file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def present(self) -> Present:
        """By what time sessions are over, and forgotten."""
        return self._database.present

    # Tokens

    def tokens(self) -> list[Token]:
        """Every token, revoked ones too, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"SELECT {_TOKEN} FROM tokens ORDER BY id").fetchall()
        return [_token(row) for row in rows]

    def create_token(
        self, name: str, rights: frozenset[Right], cameras: frozenset[str] | None = None, *, now_s: float | None = None
    ) -> tuple[Token, str]:
        """A new token, and its secret, which can't be found out later; raises Misuse when the name is taken."""
        secret = tokens.new_secret()
        created_s = time.time() if now_s is None else now_s
        with self._database.write() as connection:
            try:
                cursor = connection.execute(
                    "INSERT INTO tokens (name, digest, rights, cameras, created_s) VALUES (?, ?, ?, ?, ?)",
                    (name, tokens.digest(secret), " ".join(sorted(rights)), _joined(cameras), created_s),
                )
            except sqlite3.IntegrityError:
                raise Misuse(
                    f"there is a token named {name} already; revoke and forget it, or take another name"
                ) from None
        return Token(cursor.lastrowid or 0, name, tokens.digest(secret), rights, cameras, created_s), secret

    def revoke_token(self, name: str, *, now_s: float | None = None) -> bool:
        """Make a token useless at once, and end its sessions; False when there is none of this name."""
        revoked_s = time.time() if now_s is None else now_s
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE tokens SET revoked_s = COALESCE(revoked_s, ?) WHERE name = ?", (revoked_s, name)
            )
            connection.execute("DELETE FROM sessions WHERE token_id IN (SELECT id FROM tokens WHERE name = ?)", (name,))
            return cursor.rowcount > 0

    def forget_token(self, name: str) -> bool:
        """Remove a token from the list; without any token or account, a server on loopback is open again."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount > 0

    # Accounts

    def accounts(self) -> list[Account]:
        """Every account, disabled ones too, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"SELECT {_ACCOUNT} ORDER BY id").fetchall()
        return [_account(row) for row in rows]

    def create_account(
        self,
        name: str,
        role: Role,
        cameras: frozenset[str] | None = None,
        *,
        password: str | None = None,
        now_s: float,
        first: bool = False,
    ) -> Account:
        """A new account.

        Args:
            password: What is kept of it.
            first: Only while no owner can log in.

        Raises:
            Refused: The name is taken; a viewer comes before the first owner; ``first``, and there is one.
        """
        with self._database.write() as connection:
            if first and _owners(connection):
                raise Refused(409, "done", "There is an owner already; log in, or ask for an invitation")
            owners = connection.execute("SELECT COUNT(*) FROM accounts WHERE role = 'owner'").fetchone()[0]
            if role is not Role.OWNER and not owners:
                raise Refused(409, "owner_first", "The first account has to be an owner's: nobody could manage others")
            try:
                cursor = connection.execute(
                    "INSERT INTO accounts (name, folded, role, cameras, password, created_s) VALUES (?, ?, ?, ?, ?, ?)",
                    (name, folded(name), role.value, _joined(cameras), password, now_s),
                )
            except sqlite3.IntegrityError:
                raise Refused(409, "exists", f"There is an account named {name} already; take another name") from None
        return Account(cursor.lastrowid or 0, name, role, cameras, now_s, password)

    def change_account(
        self, account_id: int, fields: Mapping[str, Any], *, end_sessions: bool = False, but_session: str = ""
    ) -> None:
        """Change columns of an account.

        Args:
            fields: Of ``role``, ``cameras``, ``password``, ``disabled_s``, ``invitation``, ``invited_until_s``.
            end_sessions: End all its sessions, too.
            but_session: Id of the one that stays.

        Raises:
            Refused: No owner would be left who can log in.
        """
        values = {
            "role": lambda role: role.value,
            "cameras": _joined,
        }
        with self._database.write() as connection:
            owners = _owners(connection)
            for column, value in fields.items():
                connection.execute(
                    f"UPDATE accounts SET {column} = ? WHERE id = ?",
                    (values[column](value) if column in values else value, account_id),
                )
            _see_that_one_stays(connection, owners)
            if end_sessions:
                connection.execute("DELETE FROM sessions WHERE account_id = ? AND id <> ?", (account_id, but_session))

    def use_invitation(self, account_id: int, invitation: bytes, password: str) -> bool:
        """Set the password of who was invited, and end the account's sessions; False when the code is used up."""
        with self._database.write() as connection:
            used = connection.execute(
                "UPDATE accounts SET password = ?, invitation = NULL, invited_until_s = NULL"
                " WHERE id = ? AND invitation = ? AND disabled_s IS NULL",
                (password, account_id, invitation),
            )
            connection.execute("DELETE FROM sessions WHERE account_id = ?", (account_id,))
            return used.rowcount > 0

    def remove_account(self, account_id: int) -> None:
        """Remove an account and its sessions.

        Raises:
            Refused: No owner would be left who can log in.
        """
        with self._database.write() as connection:
            owners = _owners(connection)
            connection.execute("DELETE FROM accounts WHERE id = ?", (account_id,))
            _see_that_one_stays(connection, owners)

    # Sessions

    def sessions(self, *, now_s: float | None = None) -> list[Session]:
        """Sessions that haven't ended; those that have are removed."""
        ended_s = self.present.of(time.time()) if now_s is None else now_s
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_s <= ?", (ended_s,))
            rows = connection.execute(f"SELECT {_SESSION} ORDER BY created_s").fetchall()
        return [Session(bytes(row[0]), *row[1:]) for row in rows]

    def create_session(
        self, holder: Token | Account, visit: Visit | None = None, *, now_s: float | None = None
    ) -> tuple[Session, str]:
        """A new session for a token or account, and the value of its cookie; the oldest ends where there are many."""
        visit = visit or Visit()
        cookie = sessions.new_cookie()
        start_s = time.time() if now_s is None else now_s
        column = "token_id" if isinstance(holder, Token) else "account_id"
        session = Session(
            tokens.digest(cookie),
            sessions.new_id(),
            holder.id if isinstance(holder, Token) else None,
            holder.id if isinstance(holder, Account) else None,
            start_s,
            start_s + SESSION_LIFE_S,
            start_s,
            visit.address,
            visit.agent[:MOST_AGENT_CHARACTERS],
        )
        with self._database.write() as connection:
            connection.execute(
                f"DELETE FROM sessions WHERE {column} = ?1 AND digest NOT IN"
                f" (SELECT digest FROM sessions WHERE {column} = ?1 ORDER BY created_s DESC LIMIT ?2)",
                (holder.id, MOST_SESSIONS - 1),
            )
            connection.execute(
                "INSERT INTO sessions (digest, id, token_id, account_id, created_s, expires_s, last_used_s, address,"
                " agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.digest,
                    session.id,
                    session.token_id,
                    session.account_id,
                    session.created_s,
                    session.expires_s,
                    session.last_used_s,
                    session.address,
                    session.agent,
                ),
            )
        return session, cookie

    def delete_sessions(self, ended: Iterable[Session]) -> None:
        """End these."""
        with self._database.write() as connection:
            connection.executemany("DELETE FROM sessions WHERE digest = ?", [(session.digest,) for session in ended])

    def touch(self, uses: Uses) -> None:
        """Keep when things were last used."""
        with self._database.write() as connection:
            for table, column, times in (
                ("tokens", "id", uses.tokens),
                ("accounts", "id", uses.accounts),
                ("sessions", "digest", uses.sessions),
            ):
                connection.executemany(
                    f"UPDATE {table} SET last_used_s = ? WHERE {column} = ?",
                    [(used_s, key) for key, used_s in times.items()],
                )


def _owners(connection: sqlite3.Connection) -> int:
    """How many owners can log in."""
    count: int = connection.execute(
        "SELECT COUNT(*) FROM accounts WHERE role = 'owner' AND disabled_s IS NULL AND password IS NOT NULL"
    ).fetchone()[0]
    return count


def _see_that_one_stays(connection: sqlite3.Connection, before: int) -> None:
    if before and not _owners(connection):
        raise Refused(409, "last_owner", "This is the last owner, and nobody else could manage this server")


def _joined(cameras: frozenset[str] | None) -> str | None:
    return None if cameras is None else " ".join(sorted(cameras))


def _split(cameras: str | None) -> frozenset[str] | None:
    return None if cameras is None else frozenset(cameras.split())


def _token(row: tuple[Any, ...]) -> Token:
    token_id, name, digest, rights, cameras, *times = row
    words = frozenset(Right(word) for word in rights.split())
    return Token(token_id, name, bytes(digest), words, _split(cameras), *times)


def _account(row: tuple[Any, ...]) -> Account:
    account_id, name, role, cameras, *rest = row
    return Account(account_id, name, Role(role), _split(cameras), *rest)
