"""Tokens and sessions as a server remembers them."""

from __future__ import annotations

from framecast.service.access.rights import Credential, Right
from framecast.service.access.tokens import (
    LAST_USED_STEP_S,
    MOST_SESSIONS,
    Keyring,
    Session,
    Token,
    digest,
    new_secret,
    new_session_id,
)


def token(number: int, secret: str, **more: object) -> Token:
    values = {"id": number, "name": f"t{number}", "digest": digest(secret), "rights": frozenset({Right.WATCH})}
    return Token(**{**values, "cameras": None, "created_s": 0.0, **more})  # type: ignore[arg-type]


def test_secrets_look_like_ours_and_differ() -> None:
    assert new_secret().startswith("fc_")
    assert len(new_secret()) == 3 + 43
    assert len({new_secret() for _ in range(100)}) == 100
    assert new_session_id() != new_session_id()
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
    assert (grant.name, grant.rights) == ("t1", {Right.WATCH})
    assert keyring.grant_of(Credential("a", "cookie"), 0) is None, "a token is no session"


def test_sessions_end_with_time_with_logout_and_with_their_token() -> None:
    keyring = Keyring([token(1, "a")], [Session(digest("s"), 1, 100.0), Session(digest("x"), 9, 100.0)])
    assert keyring.grant_of(Credential("s", "cookie"), 99) is not None
    assert keyring.grant_of(Credential("s", "header"), 99) is None, "a session is no token"
    assert keyring.session_token("x", 0) is None, "its token is gone"
    assert keyring.session_token("s", 100) is None
    keyring.add_session(Session(digest("t"), 1, 1000.0))
    assert keyring.session_token("t", 100) is not None
    assert keyring.drop_session("t") == digest("t")
    assert keyring.session_token("t", 100) is None
    keyring.add_session(Session(digest("u"), 1, 1000.0))
    keyring.replace([token(1, "a", revoked_s=1.0)])
    assert keyring.session_token("u", 100) is None
    keyring.add_session(Session(digest("v"), 1, 1000.0))
    assert keyring.session_token("v", 100) is None


def test_last_use_is_noted_now_and_then() -> None:
    keyring = Keyring([token(1, "a", last_used_s=1000.0)])
    keyring.token("a", 1000.0 + LAST_USED_STEP_S - 1)
    assert keyring.take_uses() == {}
    keyring.token("a", 1000.0 + LAST_USED_STEP_S)
    keyring.token("a", 1000.0 + LAST_USED_STEP_S + 1)
    assert keyring.take_uses() == {1: 1000.0 + LAST_USED_STEP_S}
    assert keyring.take_uses() == {}


def test_sessions_of_one_token_are_bounded() -> None:
    keyring = Keyring([token(1, "a"), token(2, "b")], [Session(digest("other"), 2, 1.0)])
    for number in range(MOST_SESSIONS + 5):
        keyring.add_session(Session(digest(f"s{number}"), 1, 1000.0 + number))
    good = [number for number in range(MOST_SESSIONS + 5) if keyring.session_token(f"s{number}", 0)]
    assert good == list(range(5, MOST_SESSIONS + 5)), "the oldest went"
    assert keyring.session_token("other", 0), "another token's stay"
    assert keyring.drop_session("s0") is None
