from __future__ import annotations

from framecast.core.clock import ManualClock
from framecast.core.viewer import new_viewer


def test_every_viewer_has_a_number_of_its_own() -> None:
    clock = ManualClock(42)
    one, two = (
        new_viewer("mjpeg", "::1", clock),
        new_viewer("websocket", "::1", clock, fps_limit=5, rendition="video/320"),
    )
    assert two.number == one.number + 1
    assert (two.since_ns, two.fps_limit, two.rendition) == (42, 5, "video/320")


def test_whoever_counts_later_is_asked_first() -> None:
    viewer = new_viewer("mjpeg", "::1", ManualClock())
    viewer.settle = lambda: viewer.count(sent=2, drops=1)
    assert viewer.sent == 2
    assert viewer.drops == 2
    viewer.settle = None
    assert (viewer.sent, viewer.drops) == (4, 2)
