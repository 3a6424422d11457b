"""Which UDP ports of the range that the operator has opened are tried for a viewer."""

from __future__ import annotations

import pytest

from framecast.output.webrtc.ice import PORT_TRIES, ports_to_try

FIRST = 50_000


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 12, PORT_TRIES])
def test_all_of_a_small_range_are_tried(count: int) -> None:
    for begin in range(count + 2):
        ports = ports_to_try(FIRST, FIRST + count - 1, begin)
        assert sorted(ports) == list(range(FIRST, FIRST + count))
        assert ports[0] == FIRST + begin % count


@pytest.mark.parametrize("count", [100, 200, 256, 1000, 15_536])
def test_a_free_one_is_found_beside_many_viewers_who_stay(count: int) -> None:
    taken = range(FIRST, FIRST + count * 9 // 10)
    for begin in range(0, count, 7):
        ports = ports_to_try(FIRST, FIRST + count - 1, begin)
        assert len(set(ports)) == PORT_TRIES
        assert any(FIRST <= port < FIRST + count and port not in taken for port in ports)
