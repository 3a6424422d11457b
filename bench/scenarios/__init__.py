"""The scenarios, by name: each takes a pace and hands back a result."""

from __future__ import annotations

from collections.abc import Callable

from bench.parts import Pace
from bench.results import Result
from bench.scenarios import (
    adaptive,
    browser,
    crowd,
    encode,
    fanout,
    ingest,
    isolation,
    many,
    nagle,
    peers,
    player,
    restart,
    scaling,
    slow,
    start,
    storm,
    sync,
    vision,
    whep,
)

SCENARIOS: dict[str, Callable[[Pace], Result]] = {
    "start": start.run,
    "fanout": fanout.run,
    "slow": slow.run,
    "ingest": ingest.run,
    "nagle": nagle.run,
    "browser": browser.run,
    "player": player.run,
    "encode": encode.run,
    "restart": restart.run,
    "storm": storm.run,
    "many": many.run,
    "crowd": crowd.run,
    "isolation": isolation.run,
    "scaling": scaling.run,
    "peers": peers.run,
    "sync": sync.run,
    "adaptive": adaptive.run,
    "whep": whep.run,
    "vision": vision.run,
}
