"""Data folders that remember something."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from framecast.service.store import ulid
from framecast.service.store.events import Change, Event, EventStore, Phase
from framecast.service.store.history import HistoryStore, Row
from framecast.service.store.state import State
from tests.vision.scenes import scene

MINUTES = 7 * 24 * 60


def seed(data: Path, *cameras: str, minutes: int = MINUTES) -> None:
    """Minutes of the past for each camera: nights at half the rate, an outage, an hour of which nothing is known."""
    now = int(time.time() // 60)
    rows = [
        _minute(camera, now - age, age, number)
        for number, camera in enumerate(cameras)
        for age in range(1, minutes + 1)
        if not 700 <= age < 760
    ]
    with State.open(data) as state:
        HistoryStore(state.database, data).keep(rows, oldest_minute=0)


def _minute(camera: str, minute: int, age: int, number: int) -> Row:
    live_s = 15.0 if 20 <= age < 24 else 60.0
    rate = (25 if math.sin(age / 230) > -0.3 else 12) - number * 3
    viewers = max(0, round(2 + 2 * math.sin(age / 170)))
    return Row(
        camera,
        minute,
        seconds=60.0,
        awake_s=60.0,
        live_s=live_s,
        frames=round(rate * live_s),
        bytes=round(rate * live_s) * 24_000,
        sent_bytes=round(rate * live_s) * 24_100 * viewers,
        drops=7 if age % 97 == 0 else 0,
        refused=3 if age % 61 == 0 else 0,
        reconnects=1 if age == 20 else 0,
        viewer_s=60.0 * viewers,
        most_viewers=viewers + (age % 5 == 0),
        passes=round(rate * live_s) if viewers else 0,
        p50_ms=0.3 + 0.05 * viewers if viewers else 0.0,
        p95_ms=0.9 + 0.2 * (age % 7) if viewers else 0.0,
        p99_ms=1.6 + 0.5 * (age % 11) if viewers else 0.0,
    )


def seed_events(data: Path, *events: Event) -> list[str]:
    """Events of the past, each with its picture unless its score is 0; their ids, in that order."""
    ids = [ulid.new(event.start_s) for event in events]
    folder = data / "events"
    folder.mkdir(parents=True, exist_ok=True)
    changes = []
    for event_id, event in zip(ids, events, strict=True):
        picture = scene(60, 40) if event.score else b""
        if picture:
            (folder / f"{event_id}.jpg").write_bytes(picture)
        changes.append(Change(replace(event, event_id=event_id, picture_bytes=len(picture)), Phase.START))
    with State.open(data) as state:
        EventStore(state.database).write(changes, time.time())
    return ids
