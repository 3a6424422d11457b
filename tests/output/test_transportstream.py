"""The transport stream of a camera whose sound comes, changes and is forgotten, packet by packet."""

from __future__ import annotations

from typing import cast

import pytest

from framecast.core.rendition import H264
from framecast.core.stream import Stream
from framecast.output.containers.transportstream import TransportStream
from framecast.wire.mpegts import AUDIO_PID
from tests.core.fakes import Collector
from tests.output.test_fragments import BLOCK_NS, RATE, Camera
from tests.wire.coded import pictures, sound
from tests.wire.test_mpegts import Packet, packets


class Restream(Collector):
    """A viewer that can't take back what it has sent on."""

    def clear(self) -> None:
        pass


def leaps(found: list[Packet]) -> list[tuple[int, int, int]]:
    """Where a counter leaps without saying so: PID, counter before, counter after (13818-1, 2.4.3.3)."""
    counters: dict[int, int] = {}
    wrong = []
    for packet in found:
        before = counters.get(packet.pid)
        if before is not None and not packet.broken and packet.counter != (before + bool(packet.payload)) & 15:
            wrong.append((packet.pid, before, packet.counter))
        counters[packet.pid] = packet.counter
    return wrong


@pytest.mark.parametrize("change", ["sound comes", "sound changes its form", "all is forgotten"])
def test_counters_that_begin_anew_say_so(change: str) -> None:
    camera = Camera()
    transport = TransportStream(cast(Stream, camera), H264)
    viewer = Restream()
    blocks, spoken = sound(RATE, 1), 0
    transport.track.attach(viewer)
    for number, unit in enumerate(pictures([number * 3000 for number in range(45)])):
        if number == 20 and change == "all is forgotten":
            transport.clear()
        channels = 2 if number >= 15 and change == "sound changes its form" else 1
        while (number >= 15 or change != "sound comes") and spoken * BLOCK_NS < number * 3000 * 100_000 // 9:
            camera.speak(blocks[spoken % len(blocks)], spoken * BLOCK_NS, channels=channels)
            spoken += 1
        camera.show(unit)
    found = packets(b"".join(packet.payload for packet in viewer.packets))
    assert any(packet.pid == AUDIO_PID and packet.payload for packet in found)
    assert not leaps(found)
