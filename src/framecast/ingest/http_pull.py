"""An http(s) camera: its MJPEG stream in any dialect, or its picture polled.

What is parsed does not depend on what is recognised: the boundary comes from the response or from the body, and the
next connection starts from nothing, so a camera that was flashed with another firmware just goes on.

Where the URL names no path, the usual ones are tried, one after the other, since most such devices serve one client at
a time. The one that answered with pictures is tried first from then on; and where a search is cut short, the next
one goes on with the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from framecast.core.errors import BadStatus, DeviceError, ProtocolError
from framecast.core.source import Feed
from framecast.ingest import still
from framecast.ingest.http_client import Client, Options, Response
from framecast.ingest.http_connection import ConnectFailed
from framecast.ingest.recognise import PAGE_TYPES, PICTURE_TYPES, candidates, is_last_resort, stream_dialect
from framecast.ingest.status import refusal
from framecast.ingest.target import Target
from framecast.wire import multipart
from framecast.wire.jpeg import MAX_BYTES

_NO_STREAM_TYPES = ("text/", "application/json", "application/xml", "audio/")
_DENIED = frozenset({401, 403})
Recent = deque[bytes]

KEPT = 4
"""Pictures that a firmware may keep over a reconnect: as many as it has frame buffers."""

_ANSWERS = 1
"""Rank of a failure of a device that answers, though not with pictures."""


class HttpPull:
    """The source for ``http://`` and ``https://`` URLs.

    Args:
        url: Where; user and password may stand in it. Without a path the usual ones are tried.
        user: Instead of the URL's.
        password: Instead of the URL's.
        options: How to connect.
        interval_s: Between two requests, where it is a picture and not a stream.
        max_bytes: A larger picture is dropped unread.

    Raises:
        Misuse: The URL can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: str = "",
        options: Options | None = None,
        interval_s: float = still.INTERVAL_S,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        target = Target.parse(url)
        if user:
            target = replace(target, user=user, password=password)
        self._options = options or Options()
        self._client = Client(self._options)
        self._interval_s = interval_s
        self._max_bytes = max_bytes
        self._recent: Recent = deque(maxlen=KEPT)
        self._places = [target] if target.path else candidates(target)

    async def run(self, feed: Feed) -> None:
        """Connect and feed until the camera ends the stream.

        Raises:
            DeviceError: It can't be reached, refuses, or sends neither stream nor picture.
            Misuse: Its address is forbidden.
        """
        try:
            response = await self._open(feed)
            await consume(
                self._client,
                response,
                feed,
                interval_s=self._interval_s,
                max_bytes=self._max_bytes,
                recent=self._recent,
            )
        finally:
            self._client.close()

    async def _open(self, feed: Feed) -> Response:
        """The answer of the first place that has pictures."""
        failure: DeviceError | None = None
        tried = list(self._places)
        closed: set[int] = set()
        for place in tried:
            if place.port in closed:
                continue
            if len(tried) > 1:
                # Should this one take for ever, the next attempt begins with the others; pictures stay the last resort.
                self._places = [other for other in self._places if other != place] + [place]
                self._places.sort(key=is_last_resort)
            try:
                response = await self._client.get(place)
            except ConnectFailed as error:
                if error.reason in ("dns", "no_route"):
                    self._places = tried
                    raise
                closed.add(place.port)
                failure = better(failure, error)
                continue
            feed.alive()
            reason = judge(response)
            if reason is None:
                is_stream = response.media_type not in PICTURE_TYPES
                # A picture is what is left while the stream is taken: the next attempt is the stream's again.
                self._places = [place, *(other for other in tried if other != place)] if is_stream else tried
                return response
            response.close()
            if isinstance(reason, BadStatus) and reason.status in _DENIED:
                self._places = tried
                raise reason
            failure = better(failure, reason)
        assert failure is not None
        self._places = tried
        if len(tried) == 1 or _rank(failure) != _ANSWERS:
            raise failure
        raise ProtocolError(
            f"{tried[0].host} answers, but none of the usual paths has a stream: give the camera's full URL"
        )


def judge(response: Response) -> DeviceError | None:
    """Why an answer can't be a stream or a picture; None when it can."""
    if response.status != 200:
        return refusal(response)
    kind = response.media_type
    if kind in PAGE_TYPES:
        return ProtocolError(f"{response.target.shown} is a web page, not a stream")
    if kind.startswith(_NO_STREAM_TYPES):
        return ProtocolError(f"{response.target.shown} is {kind}, not a stream")
    return None


def better(one: DeviceError | None, other: DeviceError) -> DeviceError:
    """The failure that says more about the camera; the first of two that say as much."""
    return other if one is None or _rank(other) > _rank(one) else one


def _rank(failure: DeviceError) -> int:
    if isinstance(failure, ConnectFailed):
        return _ANSWERS + 2 if failure.reason == "silent" else 0
    return _ANSWERS + 1 if isinstance(failure, BadStatus) and failure.status >= 429 else _ANSWERS


async def consume(
    client: Client,
    response: Response,
    feed: Feed,
    *,
    interval_s: float = still.INTERVAL_S,
    max_bytes: int = MAX_BYTES,
    recent: Recent | None = None,
) -> None:
    """Feed what an answer that `judge` let pass brings, stream or picture, until it ends. Closes it.

    Args:
        client: Fetched it, and fetches the next picture.
        response: Its body is still unread.
        feed: Gets the pictures.
        interval_s: Between two requests, where it is a picture.
        max_bytes: A larger picture is dropped.
        recent: The last pictures of the connection before, and then of this one.

    Raises:
        DeviceError: The connection broke.
    """
    if response.media_type in PICTURE_TYPES:
        await still.poll(client, response, feed, interval_s=interval_s, max_bytes=max_bytes)
        return
    try:
        await _Stream(response, feed, max_bytes, deque(maxlen=KEPT) if recent is None else recent).run()
    finally:
        response.close()


class _Stream:
    """One multipart response on its way into a feed."""

    def __init__(self, response: Response, feed: Feed, max_bytes: int, recent: Recent) -> None:
        self._response = response
        self._feed = feed
        boundary = multipart.boundary_of(response.head.get("content-type"))
        self._parser = multipart.Parser(boundary, max_part_bytes=max_bytes)
        self._told: dict[str, int] = {}
        self._known = False
        self._recent = recent
        self._before = list(dict.fromkeys(recent))

    async def run(self) -> None:
        for quirk in self._response.quirks:
            self._feed.quirk(quirk)
        if self._response.head.get("x-framerate"):
            self._feed.quirk("framerate_constant")
        try:
            await self._response.pump(self._take)
        except DeviceError as error:
            # A camera that loses its power or network resets the connection: the end of the stream, if it had begun.
            if not self._known:
                raise
            if not isinstance(error, ConnectFailed):
                self._feed.fault(error.cause)
        self._give(self._parser.close())
        self._count()

    def _take(self, data: bytes) -> None:
        parts = self._parser.feed(data)
        if parts:
            self._give(parts)
        if self._parser.quirks or self._parser.faults:
            self._count()
        self._response.await_bytes(self._parser.awaited_bytes)

    def _give(self, parts: list[multipart.Part]) -> None:
        feed = self._feed
        for part in parts:
            if not self._known:
                self._introduce(part.headers)
            if part.is_text:
                continue
            body = part.body
            if self._before and self._is_old(body):
                continue
            self._recent.append(body)
            stamp = part.headers.get("x-timestamp")
            feed.jpeg(body, stamp_s=None if stamp is None else _seconds(stamp))

    def _is_old(self, body: bytes) -> bool:
        """Whether the firmware kept a picture over the reconnect that was shown already.

        Each comes once: what comes again is a picture that does not change, such as a grabber's without a signal.
        """
        if body in self._before:
            self._before.remove(body)
            self._feed.fault("duplicate")
            return True
        self._before.clear()
        return False

    def _introduce(self, headers: Mapping[str, str]) -> None:
        self._known = True
        dialect = stream_dialect(self._response.head, headers, self._parser.quirks)
        self._feed.connected(dialect, self._response.target.address)

    def _count(self) -> None:
        told = self._told
        for counter, tell in ((self._parser.quirks, self._feed.quirk), (self._parser.faults, self._feed.fault)):
            for code, count in counter.items():
                for _ in range(count - told.get(code, 0)):
                    tell(code)
                told[code] = count


def _seconds(stamp: str) -> float | None:
    try:
        return float(stamp)
    except ValueError:
        return None
