"""One device at a time, and who was replaced learns it."""

from __future__ import annotations

import pytest

from framecast.core.errors import Replaced
from framecast.ingest.onedevice import ACTIVE_NS, REFUSE_REPLACED_NS, OneDevice

NOW_NS = 1_700_000_000_000_000_000


def replaced() -> OneDevice:
    """B has just taken over from A."""
    device = OneDevice()
    device.take("A", "10.0.0.1", NOW_NS - 1, 0)
    assert device.take("B", "10.0.0.2", NOW_NS, NOW_NS - 1)
    return device


def test_the_first_one_takes_over_from_nobody() -> None:
    device = OneDevice()
    assert not device.take("A", "10.0.0.1", NOW_NS, NOW_NS)
    assert (device.identity, device.address, device.replaced) == ("A", "10.0.0.1", 0)


def test_one_that_sends_is_replaced_and_refused_for_a_while() -> None:
    device = replaced()
    assert (device.identity, device.address, device.replaced) == ("B", "10.0.0.2", 1)
    with pytest.raises(Replaced):
        device.take("A", "10.0.0.1", NOW_NS + REFUSE_REPLACED_NS - 1, NOW_NS + REFUSE_REPLACED_NS - 1)
    assert (device.identity, device.address, device.replaced) == ("B", "10.0.0.2", 1)
    assert device.take("A", "10.0.0.1", NOW_NS + REFUSE_REPLACED_NS, NOW_NS + REFUSE_REPLACED_NS)
    assert device.replaced == 2


def test_it_may_come_back_when_the_other_one_is_silent() -> None:
    device = OneDevice()
    device.take("A", "", NOW_NS, 0)
    device.take("B", "", NOW_NS + 1, NOW_NS)
    silent_since_ns = NOW_NS + 1 - REFUSE_REPLACED_NS
    assert not device.take("A", "", NOW_NS + 1, silent_since_ns)


def test_one_that_is_silent_is_followed_without_ado() -> None:
    device = OneDevice()
    device.take("A", "", NOW_NS, 0)
    assert not device.take("B", "", NOW_NS + ACTIVE_NS, NOW_NS)
    assert not device.take("A", "", NOW_NS + ACTIVE_NS, NOW_NS)
    assert device.replaced == 0


def test_one_that_left_is_not_replaced() -> None:
    device = OneDevice()
    device.take("A", "", NOW_NS, 0)
    device.leave()
    assert device.identity is None
    assert not device.take("B", "", NOW_NS, NOW_NS)
    assert not device.take("A", "", NOW_NS, NOW_NS - ACTIVE_NS)


def test_a_third_one_is_not_refused() -> None:
    device = replaced()
    assert device.take("C", "10.0.0.3", NOW_NS + 1, NOW_NS)
    with pytest.raises(Replaced):
        device.take("B", "10.0.0.2", NOW_NS + 2, NOW_NS + 2)
