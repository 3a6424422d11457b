"""How often somebody may try to log in."""

from __future__ import annotations

from framecast.service.access.attempts import LOCAL, Attempts, Pace, network_of


def attempts(most: int = 100) -> Attempts:
    return Attempts(Pace(3, 10.0), Pace(5, 60.0), most)


def tried(desk: Attempts, times: int, address: str = "192.0.2.1", account: str = "ann", now_s: float = 0.0) -> int:
    """How many of so many attempts may be made."""
    return sum(desk.charge(address, account, now_s) == 0 for _ in range(times))


def test_one_address_may_try_a_few_times_and_then_once_a_period() -> None:
    desk = attempts()
    assert tried(desk, 10) == 3
    assert desk.charge("192.0.2.1", "ann", 0.0) == 10.0
    assert tried(desk, 10, now_s=10.0) == 1
    assert tried(desk, 10, now_s=1000.0) == 3
    assert desk.refused == 7 + 1 + 9 + 7


def test_other_accounts_don_t_help_an_address() -> None:
    desk = attempts()
    assert sum(tried(desk, 1, account=f"a{number}") for number in range(10)) == 3


def test_many_addresses_don_t_help_against_one_account() -> None:
    desk = attempts()
    assert sum(tried(desk, 1, f"192.0.2.{number}") for number in range(50)) == 5
    assert sum(tried(desk, 1, f"198.51.100.{number}", "ANN") for number in range(50)) == 0
    assert tried(desk, 1, "192.0.2.99", "bob") == 1


def test_other_ways_to_write_a_name_don_t_help_against_its_account() -> None:
    desk = attempts()
    for number, name in enumerate(("ann", "\uff41nn", "a\uff4en", "an\uff4e", "\uff41\uff4e\uff4e")):
        assert tried(desk, 1, f"192.0.2.{number}", name) == 1
    assert tried(desk, 1, "203.0.113.7", "\uff21\uff2e\uff2e") == 0
    desk.succeeded("203.0.113.8", "ann")
    assert tried(desk, 1, "203.0.113.8", "\uff21nn") == 1, "and who was in before is known by all of them"


def test_who_was_in_before_is_not_kept_out_by_others_who_guess() -> None:
    desk = attempts()
    assert desk.charge("203.0.113.7", "ann", 0.0) == 0
    desk.succeeded("203.0.113.7", "ann")
    assert sum(tried(desk, 1, f"192.0.2.{number}") for number in range(50)) == 5
    assert tried(desk, 10, "203.0.113.7") == 3, "its own bucket still counts"


def test_a_right_password_costs_nothing() -> None:
    desk = attempts()
    for _ in range(20):
        assert desk.charge("192.0.2.1", "ann", 0.0) == 0
        desk.succeeded("192.0.2.1", "ann")


def test_attempts_that_run_at_the_same_time_are_counted_each() -> None:
    desk = attempts()
    assert [desk.charge("192.0.2.1", "ann", 0.0) for _ in range(5)] == [0, 0, 0, 10.0, 10.0]


def test_tokens_and_codes_belong_to_no_account() -> None:
    desk = attempts()
    assert sum(tried(desk, 1, f"192.0.2.{number}", "") for number in range(50)) == 50


def test_the_operator_at_the_control_socket_is_not_counted() -> None:
    assert tried(attempts(), 100, LOCAL) == 100


def test_what_is_remembered_is_bounded() -> None:
    desk = attempts(most=10)
    for number in range(1000):
        desk.charge(f"10.0.{number // 256}.{number % 256}", f"name-{number}", 0.0)
        desk.succeeded(f"10.0.{number // 256}.{number % 256}", f"name-{number}")
    assert max(len(desk._addresses), len(desk._accounts), len(desk._known)) == 10


def test_names_that_are_made_up_don_t_push_out_the_one_that_is_guessed_at() -> None:
    desk = attempts(most=100)
    assert sum(tried(desk, 1, f"192.0.2.{number}") for number in range(50)) == 5
    for number in range(5000):
        desk.charge(f"2001:db8:{number % 65536:x}::1", f"made-up-{number}", 0.0)
    assert tried(desk, 10, "203.0.113.8") == 0


def test_a_customer_of_ipv6_is_one_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9%eth0") == "2001:db8:1:2::"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("unknown") == "unknown"
