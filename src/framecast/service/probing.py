"""Probing on behalf of the API: the same as `framecast doctor`, with the API's limits on where it may reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framecast.core.errors import Misuse
from framecast.service.config.models import NetworkSettings
from framecast.service.reach import address_refusal

CheckAddress = Callable[[str, str], None]


def check_address(network: NetworkSettings) -> CheckAddress:
    """A check of each address before it is connected: names may resolve to anything, redirects lead anywhere."""

    def check(host: str, address: str) -> None:
        refusal = address_refusal(address, network)
        if refusal:
            raise Misuse(f"{host} is at {address}: {refusal}")

    return check


async def probe_url(
    url: str,
    *,
    username: str,
    password: str,
    check: CheckAddress | None,
    on_step: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, Any], bytes | None]:
    """Look at a camera for a few seconds; returns what was found, and a picture if there was one.

    Args:
        on_step: Called with each step as it is done.
    """
    from framecast.ingest.probe import probe

    result = await probe(
        url,
        user=username,
        password=password,
        check_address=check,
        on_step=lambda step: on_step(step.to_json()),
    )
    return result.to_json(), result.preview
