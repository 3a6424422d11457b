"""How much one address, and one holder of a credential, may ask for and send."""

from __future__ import annotations

from framecast.service.front.rates import Rates

MB = 1_000_000


def asked(rates: Rates, times: int, address: str = "192.0.2.1", holder: str = "", now_s: float = 0.0) -> int:
    """How many of so many requests go on."""
    return sum(rates.wait_s(address, holder, now_s) == 0 for _ in range(times))


def test_a_burst_and_then_a_rate() -> None:
    rates = Rates(10, 20)
    assert asked(rates, 100) == 20
    assert 0 < rates.wait_s("192.0.2.1", "", 0.0) < 0.11
    assert asked(rates, 100, now_s=1.0) == 10
    assert asked(rates, 100, now_s=100.0) == 20
    assert rates.refused == 80 + 1 + 90 + 80


def test_each_address_and_each_holder_for_itself() -> None:
    rates = Rates(10, 20)
    assert asked(rates, 100) == 20
    assert asked(rates, 100, "192.0.2.2") == 20
    assert asked(rates, 100, holder="wall") == 20
    assert asked(rates, 100, "198.51.100.7", holder="wall") == 0, "one token is one holder, wherever it is used"


def test_any_number() -> None:
    rates = Rates()
    assert asked(rates, 1000) == 1000
    rates.sweep({("192.0.2.1", ""): 1 << 50}, 0.0)
    assert not rates.is_over("192.0.2.1", "")


def test_who_sends_more_than_may_be_is_over_until_it_is_made_up_for() -> None:
    rates = Rates(bytes_per_s=1 * MB)
    for second in range(4):
        rates.sweep({("192.0.2.1", "door"): 2 * MB}, second)
        assert not rates.is_over("192.0.2.1", "door")
    for second in range(4, 8):
        rates.sweep({("192.0.2.1", "door"): 2 * MB}, second)
    assert rates.is_over("192.0.2.1", "door")
    assert rates.is_over("192.0.2.1", "")
    assert rates.is_over("192.0.2.9", "door"), "the token, wherever it is used"
    assert not rates.is_over("192.0.2.9", "")
    rates.sweep({}, 12.0)
    assert not rates.is_over("192.0.2.1", "door")


def test_who_keeps_to_it_is_never_over() -> None:
    rates = Rates(bytes_per_s=1 * MB)
    for second in range(1000):
        rates.sweep({("192.0.2.1", "door"): 1 * MB}, second)
        assert not rates.is_over("192.0.2.1", "door")
