"""Accounts, tokens and sessions as a server remembers them."""

from __future__ import annotations

from dataclasses import replace

from framecast.service.access.accounts import Account, Role
from framecast.service.access.keyring import LAST_USED_STEP_S, Keyring
from framecast.service.access.rights import OWNER, Credential, Cut, Right
from framecast.service.access.sessions import MOST_SESSIONS, Session, new_cookie, new_id
from framecast.service.access.tokens import Token, digest, new_secret


def token(number: int, secret: str, **more: object) -> Token:
    values = {"id": number, "name": f"t{number}", "digest": digest(secret), "rights": frozenset({Right.WATCH})}
    return Token(**{**values, "cameras": None, "created_s": 0.0, **more})  # type: ignore[arg-type]


def session(cookie: str, holder: Token | Account | int, expires_s: float = 100.0, created_s: float = 0.0) -> Session:
    number = holder if isinstance(holder, int) else holder.id
    of_token = not isinstance(holder, Account)
    ids = (number, None) if of_token else (None, number)
    return Session(digest(cookie), f"id-{cookie}", *ids, created_s=created_s, expires_s=expires_s)


ANNA = Account(1, "Anna", Role.OWNER, None, 0.0, "hash")
BEN = Account(2, "Ben", Role.VIEWER, frozenset({"door"}), 0.0, "hash")


def cookie(value: str) -> Credential:
    return Credential(value, "cookie")


def test_secrets_look_like_ours_and_differ() -> None:
    assert new_secret().startswith("fc_")
    assert len(new_secret()) == 3 + 43
    assert len({new_secret() for _ in range(100)}) == 100
    assert new_cookie() != new_cookie()
    assert new_id() != new_id()
    assert len(digest("é\udcff\ud800")) == 32, "whatever a header may hold"


def test_only_good_tokens_are_found() -> None:
    keyring = Keyring([token(1, "a"), token(2, "b", revoked_s=5.0)])
    assert len(keyring) == 2
    found = keyring.token("a", 0)
    assert found is not None
    assert found.name == "t1"
    assert keyring.token("b", 0) is None
    assert keyring.token("c", 0) is None
    grant = keyring.grant_of(Credential("a", "header"), 0)
    assert grant is not None
    assert (grant.name, grant.rights, grant.kind, grant.session) == ("t1", {Right.WATCH}, "token", "")
    assert keyring.grant_of(Credential("a", "cookie"), 0) is None, "a token is no session"


def test_accounts_grant_through_sessions_only() -> None:
    keyring = Keyring([], [ANNA, BEN], [session("s", ANNA), session("b", BEN)])
    assert len(keyring) == 2
    assert keyring.has_owner and keyring.has_accounts
    grant = keyring.grant_of(cookie("s"), 0)
    assert grant is not None
    assert (grant.name, grant.rights, grant.kind, grant.session) == ("user:Anna", OWNER, "user", "id-s")
    ben = keyring.grant_of(cookie("b"), 0)
    assert ben is not None
    assert (ben.rights, ben.cameras, ben.user) == ({Right.WATCH}, {"door"}, "Ben")
    assert not ben.has(Right.OPERATE) and not ben.has(Right.OWN)
    assert keyring.grant_of(Credential("s", "header"), 0) is None
    found = keyring.account("ANNA")
    assert found is ANNA
    assert keyring.account("Carl") is None
    keyring.replace_accounts([replace(ANNA, disabled_s=5.0), replace(BEN, role=Role.OWNER, cameras=None)])
    assert keyring.grant_of(cookie("s"), 0) is None, "disabled"
    changed = keyring.grant_of(cookie("b"), 0)
    assert changed is not None
    assert changed.has(Right.OWN), "what an account is counts at once"
    keyring.replace_accounts([])
    assert keyring.grant_of(cookie("b"), 0) is None
    assert not len(keyring)


def test_sessions_end_with_time_with_logout_and_with_their_token() -> None:
    one = token(1, "a")
    keyring = Keyring([one], [], [session("s", one), session("x", 9)])
    assert keyring.grant_of(cookie("s"), 99) is not None
    assert keyring.grant_of(Credential("s", "header"), 99) is None, "a session is no token"
    assert keyring.session("x", 0) is None, "its token is gone"
    assert keyring.session("s", 100) is None
    assert [each.id for each in keyring.expired(100)] == ["id-s"]
    later = session("t", one, 1000.0)
    keyring.add_session(later)
    assert keyring.session("t", 100) is not None
    assert keyring.drop_session(later) == Cut("t1", session="id-t")
    assert keyring.session("t", 100) is None
    keyring.add_session(session("u", one, 1000.0))
    keyring.replace_tokens([token(1, "a", revoked_s=1.0)])
    assert keyring.session("u", 100) is None
    keyring.add_session(session("v", one, 1000.0))
    assert keyring.session("v", 100) is None


def test_what_a_holder_may_do_at_present() -> None:
    wall = token(1, "a", name="wall")
    keyring = Keyring([wall, token(2, "b", revoked_s=5.0)], [ANNA, replace(BEN, disabled_s=1.0)], [session("s", ANNA)])
    assert keyring.grant_of_holder("wall") == wall.grant
    assert keyring.grant_of_holder("t2") is None
    assert keyring.grant_of_holder("user:Anna") == ANNA.grant
    assert keyring.grant_of_holder("user:Ben") is None
    assert keyring.grant_of_holder("Anna") is None
    assert keyring.grant_of_holder("user:Anna", "id-s") == replace(ANNA.grant, session="id-s")
    assert keyring.grant_of_holder("user:Anna", "id-t") is None, "that session is over"
    assert keyring.grant_of_holder("wall", "id-s") is None, "and not another one's"


def test_last_use_is_noted_now_and_then() -> None:
    keyring = Keyring([token(1, "a", last_used_s=1000.0)])
    keyring.token("a", 1000.0 + LAST_USED_STEP_S - 1)
    assert not keyring.take_uses()
    keyring.token("a", 1000.0 + LAST_USED_STEP_S)
    keyring.token("a", 1000.0 + LAST_USED_STEP_S + 1)
    assert keyring.take_uses().tokens == {1: 1000.0 + LAST_USED_STEP_S}
    keyring.token("a", 1000.0 + LAST_USED_STEP_S + 2)
    assert not keyring.take_uses(), "what was kept a moment ago isn't kept again"


def test_use_of_a_session_is_that_of_its_account() -> None:
    keyring = Keyring([], [ANNA], [session("s", ANNA, 1e9)])
    keyring.session("s", 500.0)
    uses = keyring.take_uses()
    assert (uses.tokens, uses.accounts, uses.sessions) == ({}, {1: 500.0}, {digest("s"): 500.0})
    assert keyring.last_used_s(ANNA) == 500.0
    assert [each.last_used_s for each in keyring.sessions("user:Anna")] == [500.0]


def test_sessions_of_one_holder_are_bounded() -> None:
    one, two = token(1, "a"), token(2, "b")
    keyring = Keyring([one, two], [ANNA], [session("other", two), session("anna", ANNA)])
    cuts = [
        keyring.add_session(session(f"s{number}", one, 1000.0, created_s=number)) for number in range(MOST_SESSIONS + 5)
    ]
    good = [number for number in range(MOST_SESSIONS + 5) if keyring.session(f"s{number}", 0)]
    assert good == list(range(5, MOST_SESSIONS + 5)), "the oldest went"
    assert [cut for cut in cuts if cut] == [Cut("t1", session=f"id-s{number}") for number in range(5)]
    assert keyring.session("other", 0) and keyring.session("anna", 0), "those of others stay"
    assert len(keyring.sessions("t1")) == MOST_SESSIONS
    assert len(keyring.sessions()) == MOST_SESSIONS + 2
    assert len(keyring._session_uses) == MOST_SESSIONS + 2, "what has ended leaves nothing"
