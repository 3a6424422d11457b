"""Passwords of accounts: which are taken, and how they are kept (argon2id).

Passwords are guessable, so each guess has to cost: some 20 ms and 19 MiB here, the smaller of the two settings that
OWASP's password storage cheat sheet recommends, since this server has to fit into 256 MB. One is looked at after the
other, whoever asks.
"""

from __future__ import annotations

import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING

from framecast.core.errors import Misuse

if TYPE_CHECKING:
    from argon2 import PasswordHasher

TIME_COST = 2
MEMORY_KIB = 19 * 1024
LEAST_CHARACTERS = 10
MOST_CHARACTERS = 200
_LEAST_DIFFERENT = 5
_COMMON = """
password password1 password12 password123 password1234 passw0rd passwort qwerty qwertyuiop qwertz qwertzuiop
asdfghjkl zxcvbnm iloveyou letmein welcome admin administrator changeme framecast camera cameras doorbell 1234567890
0123456789 0987654321 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4t5 abcdefghij abcdefghijkl abc1234567 abcd123456 1234512345
123456abcd secretsecret football baseball superman sunshine princess
"""
_FIRST_GUESSED = frozenset(_COMMON.split())


class Passwords:
    """Hashes passwords and compares them; each call takes its time, so not on the loop.

    Args:
        time_cost: Passes of argon2id.
        memory_kib: Memory of each.
    """

    def __init__(self, *, time_cost: int = TIME_COST, memory_kib: int = MEMORY_KIB) -> None:
        self._time_cost = time_cost
        self._memory_kib = memory_kib

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(_normal(password))

    def verify(self, password: str, kept: str | None) -> bool:
        """Whether this is the password.

        Args:
            kept: What `hash` gave; None where there is no password or no such account, which takes the same time.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            nobodys = self._nobodys  # made by whoever comes first, or that one's time would tell
            return self._hasher.verify(kept or nobodys, _normal(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        """Whether it was hashed with other costs than it would be now."""
        return self._hasher.check_needs_rehash(kept)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        # Imported when first needed: most starts of a server see no password.
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=self._time_cost, memory_cost=self._memory_kib, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("of no account")


def checked_password(password: object, name: str) -> str:
    """A password that may be used by the account of this name.

    Raises:
        Misuse: It is too short, or among the first that are guessed.
    """
    if not isinstance(password, str) or not LEAST_CHARACTERS <= len(_normal(password)) <= MOST_CHARACTERS:
        raise Misuse(f"A password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters; a few words do well")
    plain = _normal(password).casefold()
    if (
        len(set(plain)) < _LEAST_DIFFERENT
        or plain.strip("0123456789!?.$#*_- ") in _FIRST_GUESSED
        or plain in _FIRST_GUESSED
        or plain.strip("0123456789!?.$#*_- ") == _normal(name).casefold()
    ):
        raise Misuse("This password is among the first that are guessed; take another one, a few words do well")
    return password


def _normal(password: str) -> str:
    """The same for what looks the same: keyboards differ in how they write an accent. Lone surrogates are replaced."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
