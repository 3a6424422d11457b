"""A camera that has no stream: its picture, fetched again and again.

Requests start `interval_s` apart, on a grid, so that a slow answer does not make the pictures drift; one that takes
longer than the interval is followed by the next at once. A picture that did not change (the camera says so by its
ETag, or the bytes are the same) is not published again: the device is alive, and viewers get their heartbeat anyway.
"""

from __future__ import annotations

import asyncio

from framecast.core.source import Feed
from framecast.ingest.http_client import Client, Response, TooLarge, Truncated
from framecast.ingest.recognise import PICTURE_TYPES, still_dialect
from framecast.ingest.status import refusal
from framecast.wire.jpeg import MAX_BYTES

INTERVAL_S = 1.0
"""Pause between two requests where nothing else is configured: what such firmwares answer without strain."""

BREATH_S = 1.0
"""In a longer pause the camera is not silent, it is not asked: so often that is said to whoever watches for silence."""


async def poll(
    client: Client,
    first: Response,
    feed: Feed,
    *,
    interval_s: float = INTERVAL_S,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Feed the picture that ``first`` brings, and then every next one, until the camera answers with something else.

    Args:
        client: Fetches; keeps the connection where the camera allows it.
        first: The answer that turned out to be a picture, its body still unread. Closed here.
        feed: Gets the pictures.
        interval_s: From the start of one request to the start of the next.
        max_bytes: A larger picture is refused.

    Raises:
        DeviceError: The camera can't be reached any more, or refuses.
    """
    loop = asyncio.get_running_loop()
    response = first
    last = b""
    connected = False
    due = loop.time()
    while True:
        good = True
        try:
            if response.status == 304:
                feed.alive()
            elif response.status != 200:
                raise refusal(response)
            elif response.media_type not in PICTURE_TYPES and response is not first:
                return
            else:
                picture = await _picture(response, feed, max_bytes)
                good = picture is not None
                if picture is not None:
                    if not connected:
                        connected = True
                        feed.connected(still_dialect(response.target, response.head), response.target.address)
                        for quirk in response.quirks:
                            feed.quirk(quirk)
                    if picture == last:
                        feed.alive()
                    else:
                        good = feed.jpeg(picture, stamp_s=_stamp_s(response))
                        last = picture if good else b""
            tag = response.head.get("etag")
        finally:
            response.close()
        due = max(due + interval_s, loop.time())
        while due - loop.time() > BREATH_S:
            await asyncio.sleep(BREATH_S)
            if good:
                feed.alive()
        await asyncio.sleep(due - loop.time())
        response = await client.get(first.target, (("If-None-Match", tag),) if tag and last else ())


async def _picture(response: Response, feed: Feed, max_bytes: int) -> bytes | None:
    """The body, or None (and the cause counted) where it did not come whole or is too large."""
    try:
        return await response.body(max_bytes)
    except (Truncated, TooLarge) as error:
        feed.fault(error.cause)
        return None


def _stamp_s(response: Response) -> float | None:
    try:
        return float(response.head.get("x-timestamp"))
    except ValueError:
        return None
