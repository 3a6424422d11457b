"""A page whose link is cut to 300 kbit/s for ten seconds: how old its picture gets, how soon it is whole again."""

from __future__ import annotations

import asyncio

from tests.support.adaptive import Cut, cut_link

from bench.parts import Pace, Product
from bench.results import Measure, Result

MOST_AGE_S = 1.0
WHOLE_AFTER_S = 15.0
FORMS = ("jpeg", "h264", "mp4")


def run(pace: Pace) -> Result:
    """Targets: a picture younger than 1 s from 5 s after the cut on, full quality within 15 s of the link's return."""
    result = Result("adaptive", pace.quick)
    for form in FORMS[:1] if pace.quick else FORMS:
        with Product({"cam": "mock:?fps=30&size=640x480"}) as product:
            seen = asyncio.run(_watch(product.port, form))
        age_s = seen.slow.age_s(seen.cut + 5, seen.back)
        whole_s = seen.slow.whole_after_s(seen.back)
        result.raw[form] = {
            "levels": [(at - seen.cut, level, reason) for at, level, reason in seen.slow.levels],
            "shown": [(at - seen.cut, frame_id, age) for at, frame_id, age in seen.slow.shown],
        }
        result.measures += [
            Measure(
                f"{form}, link cut to 300 kbit/s: oldest picture from 5 s after the cut on",
                f"{age_s * 1000:.0f} ms",
                f"its neighbour {seen.fast.age_s(seen.cut, seen.end) * 1000:.0f} ms",
                "",
                f"< {MOST_AGE_S * 1000:.0f} ms",
                age_s < MOST_AGE_S,
            ),
            Measure(
                f"{form}: full quality after the link's return",
                f"{whole_s:.1f} s",
                "",
                "",
                f"≤ {WHOLE_AFTER_S:.0f} s",
                whole_s <= WHOLE_AFTER_S,
            ),
        ]
    return result


async def _watch(port: int, form: str) -> Cut:
    async with cut_link(port, form) as seen:
        return seen
