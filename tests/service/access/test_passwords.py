"""Passwords: which are taken, and how they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.core.errors import Misuse
from framecast.service.access.passwords import MEMORY_KIB, TIME_COST, Passwords, checked_password
from framecast.service.accounts.people import People
from framecast.service.store.state import State
from tests.service.serving import CHEAP, PASSWORD


def test_what_is_kept_is_argon2id_with_its_costs() -> None:
    passwords = Passwords()
    kept = passwords.hash("a few good words")
    assert kept.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p=1$")
    assert (MEMORY_KIB, TIME_COST) >= (19 * 1024, 2), "the least that OWASP recommends"
    assert passwords.verify("a few good words", kept)
    assert not passwords.verify("a few good word", kept)
    assert not passwords.is_outdated(kept)
    assert passwords.is_outdated(CHEAP.hash("a few good words"))


def test_the_same_password_is_kept_differently_each_time() -> None:
    assert CHEAP.hash("a few good words") != CHEAP.hash("a few good words")


def test_nobodys_password_is_never_right() -> None:
    for password in ("", "of no account", "a few good words", "\ud800" * 20):
        assert not CHEAP.verify(password, None)
        assert not CHEAP.verify(password, "no hash at all")


def test_however_an_accent_is_typed() -> None:
    assert CHEAP.verify("cafe\u0301 au lait", CHEAP.hash("caf\u00e9 au lait"))
    assert CHEAP.verify("\ud800 alone and more", CHEAP.hash("\ud800 alone and more")), "what JSON may hold"


@pytest.mark.parametrize("password", ["a few good words", "Tr0ub4dor&3x", "пароль из слов", "x" * 195 + "abcde"])
def test_passwords_that_are_taken(password: str) -> None:
    assert checked_password(password, "anna") == password


@pytest.mark.parametrize(
    "password",
    [None, 5, "", "short", "ninechars", "x" * 201, "aaaaaaaaaaaa", "abababababab", "Password123", "password!!!",
     "1234567890", "qwertyuiop", "Framecast2026", "anna.anna1", "Anna Maria 1", "iloveyou!!"],
)  # fmt: skip
def test_passwords_that_are_guessed_first(password: object) -> None:
    with pytest.raises(Misuse, match=r"password"):
        checked_password(password, "anna.anna" if password == "anna.anna1" else "anna maria")


def test_the_old_password_is_the_one_of_this_moment(tmp_path: Path) -> None:
    """Who changes a password may have waited while an owner set another one."""
    with State.open(tmp_path) as state:
        people = People(state.credentials, CHEAP)
        people.create({"name": "anna", "role": "owner", "password": PASSWORD})
        people.create({"name": "ben", "role": "owner", "password": PASSWORD})
        before = people.find("ben")
        people.change("ben", {"password": "some other good words"})
        assert not people.change_password(before, PASSWORD, "words of my own", "")
        assert people.enter("ben", "some other good words")
        people.change("ben", {"disabled": True})
        assert not people.change_password(before, "some other good words", "words of my own", "")
        people.remove("ben")
        assert not people.change_password(before, PASSWORD, "words of my own", "")
