"""What the small machine's run finds fault with."""

from __future__ import annotations

from typing import Any

import pytest

from bench import small

MIB = 1 << 20


def figures(**changed: Any) -> dict[str, Any]:
    """A run in which all was well, but for what is changed: `first_rss`, `last_viewers`, …"""
    made: dict[str, Any] = {"mjpeg": {"lost": 0}, "peak_bytes": 120 * MIB}
    for when in ("first", "last"):
        made[when] = {"rss": 110 * MIB, "anon": 70 * MIB, "fds": 40, "tasks": 60, "threads": 9, "viewers": 36}
    for name, value in changed.items():
        when, _, what = name.partition("_")
        if when in ("first", "last"):
            made[when][what] = value
        else:
            made[name] = value
    return made


def seen(count: int = 5, ended: str = "") -> list[small.Seen]:
    """One viewer."""
    return [small.Seen("dashboard 0", count=count, ended=ended)]


def test_a_run_in_which_all_was_well() -> None:
    assert small.judge(figures(), seen()) == []
    assert small.judge(figures(last_rss=113 * MIB), seen()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"last_rss": 115 * MIB}, "rss grew from 110.0 to 115.0 MiB"),
        ({"last_anon": 75 * MIB}, "anon grew from 70.0 to 75.0 MiB"),
        ({"last_fds": 43}, "fds grew from 40 to 43"),
        ({"last_viewers": 35}, "35 viewers were left"),
        ({"peak_bytes": 201 * MIB}, "201.0 MiB at the peak; there is room for 200"),
        ({"mjpeg": {"lost": 1}}, "1 of 12 MJPEG viewers lost their connection"),
    ],
)
def test_what_it_finds_fault_with(changed: dict[str, Any], words: str) -> None:
    assert small.judge(figures(**changed), seen()) == [words]


def test_viewers_that_were_let_down() -> None:
    assert small.judge(figures(), seen(ended="closed with 1006")) == ["dashboard 0: closed with 1006"]
    assert small.judge(figures(), seen(count=0)) == ["dashboard 0 saw nothing"]
