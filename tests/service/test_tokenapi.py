"""Tokens as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framecast.core.errors import Misuse
from framecast.service.access.tokens import digest
from framecast.service.accounts import tokenapi
from framecast.service.store.state import State


def test_create_and_describe(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        made = tokenapi.create(state.credentials, {"name": "Wall 1", "rights": ["watch"], "cameras": ["door"]})
        tokenapi.create(state.credentials, {"name": "all", "rights": ["publish", "operate"], "cameras": None})
        wall, everything = state.credentials.tokens()
    assert digest(made.pop("secret")) == wall.digest
    assert made == tokenapi.describe(wall)
    assert (made["name"], made["rights"], made["cameras"]) == ("Wall 1", ["watch"], ["door"])
    assert (made["last_used"], made["revoked"]) == (None, None)
    assert tokenapi.describe(everything)["rights"] == ["operate", "publish"]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"name": "x"},
        {"name": "", "rights": ["watch"]},
        {"name": "a\nb", "rights": ["watch"]},
        {"name": "a" * 65, "rights": ["watch"]},
        {"name": 5, "rights": ["watch"]},
        {"name": "x", "rights": []},
        {"name": "x", "rights": "watch"},
        {"name": "x", "rights": ["public"]},
        {"name": "x", "rights": [["watch"]]},
        {"name": "x", "rights": ["watch"], "cameras": []},
        {"name": "x", "rights": ["watch"], "cameras": ["Door"]},
        {"name": "x", "rights": ["watch"], "cameras": [1]},
        {"name": "x", "rights": ["watch"], "admin": True},
    ],
)
def test_what_is_no_token(tmp_path: Path, body: Any) -> None:
    with State.open(tmp_path) as state:
        with pytest.raises(Misuse):
            tokenapi.create(state.credentials, body)
        assert state.credentials.tokens() == []


def test_list_and_revoke(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        assert tokenapi.listing(state.credentials) == {"tokens": []}
        tokenapi.create(state.credentials, {"name": "x", "rights": ["watch"]})
        tokenapi.revoke(state.credentials, "x")
        (token,) = tokenapi.listing(state.credentials)["tokens"]
        assert token["revoked"]
        tokenapi.revoke(state.credentials, "x", forget=True)
        assert tokenapi.listing(state.credentials) == {"tokens": []}
        with pytest.raises(Misuse, match="no token named x"):
            tokenapi.revoke(state.credentials, "x")
