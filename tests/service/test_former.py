"""What is kept of cameras that were removed is not shown with the next one of their id, and forgotten in the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from framecast.core.clock import SYSTEM
from framecast.service.access.links import LONGEST_S
from framecast.service.events.former import Former
from framecast.service.store import ulid
from framecast.service.store.events import Change, Event, EventStore, Phase
from framecast.service.store.former import End, ends
from framecast.service.store.history import HistoryStore, Row
from framecast.service.store.state import State
from tests.service.serving import Server, jpeg, serving

pytestmark = pytest.mark.anyio

HOUSE = {"house": {"url": "push:"}, "street": {"url": "push:", "public": ["watch"]}}


NONE = (0, 0, 0)


async def made_anew(server: Server, **fields: Any) -> None:
    """Remove the camera ``house``, and add one of its id."""
    owner = await server.owner()
    await server.json("DELETE", "/api/v1/cameras/house", status=204, headers=owner)
    await server.json(
        "POST", "/api/v1/cameras", json={"id": "house", "url": "push:", **fields}, status=201, headers=owner
    )


async def frames(server: Server, **options: Any) -> tuple[int, int, int]:
    """How many pictures the history of ``house`` tells of: as one of all, alone, and in the points."""
    every = await server.json("GET", "/api/v1/history", **options)
    alone = (await server.json("GET", "/api/v1/history?camera=house&hours=1", **options))["cameras"]["house"]
    rates = [point[1] for point in alone["points"]]
    return every["cameras"]["house"]["frames"], alone["frames"], len([rate for rate in rates if rate])


async def test_the_history_of_a_camera_is_not_shown_with_the_next_one_of_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in range(2):
        async with serving(tmp_path, {"street": HOUSE["street"]}) as server:
            owner = await server.owner()
            if not run:
                fields = {"id": "house", "url": "push:"}
                await server.json("POST", "/api/v1/cameras", json=fields, status=201, headers=owner)
                minute = int(time.time() // 60) - 5
                server.service.history._waiting.append([Row("house", minute, 60, 60, 60, 900)])
                picture = {"data": jpeg(1), "headers": {**owner, "Content-Type": "image/jpeg"}}
                await server.json("POST", "/api/v1/cameras/house/frames", **picture)
            guest = await server.user("guest", cameras=["house"])
            assert await frames(server, headers=guest) == ((901, 901, 2) if not run else NONE)
            if not run:
                await made_anew(server, public=["watch"])
            for headers in (guest, {}):
                assert await frames(server, headers=headers) == NONE
            assert (await frames(server, headers=owner))[:2] == (901, 901), "an owner sees all"
    with monkeypatch.context() as without:
        without.setattr(Former, "minutes", lambda *_: {})
        async with serving(tmp_path, {"street": HOUSE["street"]}) as server:
            assert (await frames(server))[:2] == (901, 901)


async def test_what_the_next_camera_of_an_id_does_is_shown(tmp_path: Path) -> None:
    async with serving(tmp_path, HOUSE) as server:
        await server.owner()
        guest = await server.user("guest", cameras=["house"])
        await made_anew(server)
        minute = int(time.time() // 60)
        server.service.history._waiting.append([Row("house", minute + 2, 60, 60, 60, 900)])
        assert (await frames(server, headers=guest))[0] == 900


async def test_events_are_counted_for_each_camera(tmp_path: Path) -> None:
    async with serving(tmp_path, HOUSE) as server:
        await server.owner()
        server.service.events.log.counts["house", "motion"] += 3
        server.service.events.log.counts["street", "motion"] += 4
        guest = await server.user("guest", cameras=["house", "street"])
        await made_anew(server)
        async with server.client.get(server.url + "/metrics", headers=guest) as answer:
            told = (await answer.text()).splitlines()
        assert 'framecast_events_total{camera="house",kind="motion"} 0.0' in told
        assert 'framecast_events_total{camera="street",kind="motion"} 4.0' in told


def happened(camera: str, at_s: float) -> Change:
    """An event that is over."""
    return Change(Event(ulid.new(at_s), camera, "rule", "motion", at_s, at_s, at_s), Phase.START)


async def test_what_a_clock_that_was_ahead_dated_is_the_former_camera_s(tmp_path: Path) -> None:
    ahead_s = time.time() + 365 * 86_400
    with State.open(tmp_path) as state:
        EventStore(state.database).write([happened("house", ahead_s)], ahead_s)
        HistoryStore(state.database, tmp_path).keep([Row("house", int(ahead_s // 60))], oldest_minute=0)
        first = state.delete_camera("house", configured=False)
        assert first.before > ulid.new(ahead_s)
        assert first.minute > ahead_s // 60
        second = state.delete_camera("house", configured=False)
        assert second.before > first.before, "a link of the second would lead to the third"
        assert ends(state.database) == {"house": second}


async def test_who_is_gone_without_a_trace_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s)
    with State.open(tmp_path) as state:
        state.save_camera("back", {"url": "push:"}, new=True)
        events, minutes = EventStore(state.database), HistoryStore(state.database, tmp_path)
        events.write([happened("seen", SYSTEM.now_ns() / 1e9)], now_s)
        minutes.keep([Row("known", int(now_s // 60))], oldest_minute=0)
        for camera_id in ("seen", "known", "back", "gone"):
            state.delete_camera(camera_id, configured=False)
        state.save_camera("back", {"url": "push:"}, new=True)
        now_s += LONGEST_S
        assert not state.delete_camera("new", configured=False).forgotten, "a link may be good still"
        now_s += 240
        assert state.delete_camera("new", configured=False).forgotten == ("gone",)
        assert ends(state.database).keys() == {"seen", "known", "back", "new"}
        minutes.keep([], oldest_minute=int(now_s // 60), sweep=True)
        events.sweep(older_than_s=now_s, most_picture_bytes=0)
        assert set(state.delete_camera("new", configured=False).forgotten) == {"seen", "known"}


async def test_what_is_forgotten_takes_no_memory(tmp_path: Path) -> None:
    async with serving(tmp_path, HOUSE) as server:
        await made_anew(server)
        former = server.service.former
        assert former.stamp("house")
        former.is_kept("street", End(ulid.new(1.0), 0, ("house",)))
        assert not former.stamp("house")
        assert "house" not in {**former._ends, **former._minutes}
