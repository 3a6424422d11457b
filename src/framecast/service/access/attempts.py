"""How often somebody may try to log in: a guess costs a place in a bucket that fills slowly.

Two buckets are asked, and both have to have room:

    of the address    so that one machine can't try many accounts
    of the account    so that many machines can't try one

Somebody could empty the bucket of an account to keep its owner out, so addresses from which the account was entered
before are asked for their own bucket only. An attempt is charged before the password is looked at, since those that
run at the same time would otherwise all find room, and given back when it was right.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice

from framecast.service.access.accounts import folded

LOCAL = "local"
"""Address of the control socket's callers, who are the operator."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many may come at once, and how long it takes until there is room for one more, in s."""

    burst: int
    period_s: float


ADDRESS = Pace(10, 30.0)
ACCOUNT = Pace(20, 60.0)
MOST_KNOWN = 4096
"""Addresses and accounts that are remembered; the one asked for longest ago is forgotten first."""
_LOOKED_AT = 64
_HAIR_S = 1e-6
"""What sums of a clock's fractions may be off."""


class Buckets:
    """What is left of a pace for each of many names, in bounded memory.

    Args:
        pace: Of each name.
        most: Names remembered.
    """

    def __init__(self, pace: Pace, most: int = MOST_KNOWN) -> None:
        self._pace = pace
        self._most = most
        # When the bucket is full again, in s: all that has to be known of it.
        self._full_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Names that are remembered."""
        return len(self._full_s)

    def wait_s(self, name: str, now_s: float) -> float:
        """How long until there is room for one more; 0 when there is."""
        wait_s = self.used_s(name, now_s) - (self._pace.burst - 1) * self._pace.period_s
        return wait_s if wait_s > _HAIR_S else 0.0

    def used_s(self, name: str, now_s: float) -> float:
        """How long until the bucket is full again."""
        return max(0.0, self._full_s.get(name, 0.0) - now_s)

    def take(self, name: str, now_s: float) -> None:
        """Take one, whether there is room or not."""
        self.add(name, self._pace.period_s, now_s)

    def add(self, name: str, use_s: float, now_s: float) -> None:
        """Take as much as comes back in ``use_s``."""
        self._full_s[name] = max(self._full_s.get(name, 0.0), now_s) + use_s
        self._full_s.move_to_end(name)
        if len(self._full_s) > self._most:
            # Of those that were asked for longest ago the one that holds least: names made up for the purpose push
            # out each other, not the one that is guessed at.
            del self._full_s[min(islice(self._full_s, _LOOKED_AT), key=self._full_s.__getitem__)]

    def give_back(self, name: str) -> None:
        """Put back one that was taken."""
        if name in self._full_s:
            self._full_s[name] -= self._pace.period_s


class Attempts:
    """Counts attempts to log in, and says how long to wait.

    Args:
        address, account: How often each may be tried.
        most: Addresses and accounts remembered, each.

    Attributes:
        refused: Attempts that were turned away so far.
    """

    def __init__(self, address: Pace = ADDRESS, account: Pace = ACCOUNT, most: int = MOST_KNOWN) -> None:
        self.refused = 0
        self._addresses = Buckets(address, most)
        self._accounts = Buckets(account, most)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._most = most

    def charge(self, address: str, account: str, now_s: float) -> float:
        """Count an attempt; how long to wait, in s, when it may not be made, and 0 when it may.

        A refused attempt costs nothing more: who goes on trying is let in again at the same time.

        Args:
            address: Where it comes from.
            account: Which account is tried, whether it exists or not; empty for a token or a code.
            now_s: Any clock that rises, in s.
        """
        if address == LOCAL:
            return 0.0
        network, name = network_of(address), _name_of(account)
        of_account = bool(name) and (network, name) not in self._known
        wait_s = self._addresses.wait_s(network, now_s)
        if of_account:
            wait_s = max(wait_s, self._accounts.wait_s(name, now_s))
        if wait_s > 0:
            self.refused += 1
            return wait_s
        self._addresses.take(network, now_s)
        if of_account:
            self._accounts.take(name, now_s)
        return 0.0

    def succeeded(self, address: str, account: str) -> None:
        """An attempt that was charged was right: it is given back, and the address is known for this account."""
        if address == LOCAL:
            return
        network, name = network_of(address), _name_of(account)
        self._addresses.give_back(network)
        if not name:
            return
        if (network, name) not in self._known:
            self._accounts.give_back(name)
        self._known[network, name] = None
        self._known.move_to_end((network, name))
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _name_of(account: str) -> str:
    """The same for all that lead to one account, or each way to write its name would be good for further guesses."""
    return folded(account[:128])


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one customer has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)).network_address)
