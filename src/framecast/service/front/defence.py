"""What a request has to pass besides the right: how often it comes, by what name, and from which page.

rates       not too many of an address or of a holder (``front/rates.py``)
name        who shows no credential is answered by a name only that no other site can have: what a camera opens to
            everybody in this network is not for a page whose own name was made to lead here (DNS rebinding)
page        what a browser adds by itself, a cookie, counts only together with the page that asks, named exactly
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Collection
from functools import lru_cache

from aiohttp import web

from framecast.core.limits import Quietly
from framecast.service.access.rights import Grant, Right
from framecast.service.access.sites import host_name, origin_allowed
from framecast.service.errors import ApiError
from framecast.service.front.client import Client
from framecast.service.front.rates import Rates
from framecast.service.front.routing import Route

log = logging.getLogger("framecast.service.front.defence")

PRIVATE_SUFFIXES = (".localhost", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain")
"""Names that nobody can register, and that lead nowhere but into one's own network."""


class Defence:
    """Turns requests away.

    Args:
        rates: How many there may be.
        allowed_hosts: Names that are ours, from the configuration.
        allowed_origins: Pages that are as good as ours.
    """

    def __init__(
        self,
        rates: Rates,
        allowed_hosts: Collection[str] = (),
        allowed_origins: Collection[str] = (),
    ) -> None:
        self.rates = rates
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = allowed_origins
        self._quietly = Quietly(60.0)

    def count(self, client: Client, holder: str = "") -> None:
        """Count a request of an address, or of a holder once that is known.

        Raises:
            ApiError: There were too many.
        """
        wait_s = self.rates.wait_s(client.address, holder, time.monotonic())
        if wait_s > 0:
            words = "Too many requests come from here (limits.requests_per_s); slow down"
            raise ApiError(429, "too_many_requests", words, headers={"Retry-After": str(math.ceil(wait_s))})

    def count_bytes(self, client: Client, holder: str) -> None:
        """See that not too many bytes came.

        Raises:
            ApiError: They did.
        """
        if self.rates.is_over(client.address, holder):
            self.rates.refuse_bytes(client.address)
            words = "More bytes come from here than may (limits.received_bytes_per_s); send fewer or smaller pictures"
            raise ApiError(429, "too_many_bytes", words, close=True, headers={"Retry-After": "5"})

    def check_name(self, client: Client, grant: Grant, host: str) -> None:
        """See that what anybody gets is asked for by a name of ours.

        Over HTTPS the certificate has seen to it already: a browser takes ours for no name of another site. Where a
        proxy speaks it, that is believed of one that always says so.

        Args:
            host: The request's Host header. Behind a proxy that only hands on what it says of the name (see `client`),
                a page writes that itself, and the name that it was reached by stands here.

        Raises:
            ApiError: It may be another site's name.
        """
        if grant.kind != "none" or (client.secure and client.proven):
            return
        foreign = [name for name in (client.host, host) if name and not self._is_ours(name)]
        if foreign:
            if self._quietly.due():
                log.warning(
                    "%s asks by the name %.100s for what is open to everybody; if that is this server's name, "
                    "put it into server.allowed_hosts",
                    client.address,
                    foreign[0],
                )
            raise ApiError(
                401,
                "wrong_host",
                "By this name nothing is shown without a token or account; to have what is open to everybody shown, "
                "put it into server.allowed_hosts",
                headers={"WWW-Authenticate": 'Basic realm="Framecast"'},
            )

    def _is_ours(self, name: str) -> bool:
        return is_near(name) or host_name(name) in self._hosts

    def check_page(self, client: Client, request: web.BaseRequest, grant: Grant) -> bool:
        """Whether a request that changes something, or opens a WebSocket, comes from a page that may."""
        origin = request.headers.get("Origin")
        if origin is None and grant.session:
            return False  # every browser names the page; and nothing but a browser has a cookie
        return origin_allowed(origin, client.host, self._origins, tls=client.secure)


@lru_cache(maxsize=256)
def is_near(host_header: str) -> bool:
    """Whether no page of another site can be asking by this name: an address, or a name that nobody can register."""
    name = host_name(host_header)
    if name is None:
        return False
    if "." not in name or name.endswith(PRIVATE_SUFFIXES):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_counted(route: Route | None) -> bool:
    """Whether each request of a route is counted; what devices hand in has limits of its own."""
    return route is None or route.right is not Right.PUBLISH
