"""Browsers as they subscribe to be told, and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from framecast.core.errors import StateError
from framecast.service.config.sections import PushSettings
from framecast.service.errors import ApiError
from framecast.service.events import webpush
from framecast.service.events.courier import Blocking, Sink
from framecast.service.events.poster import Poster, check_public
from framecast.service.events.push import Holders, PushSink, sink_name, subscription_of
from framecast.service.store import secrets
from framecast.service.store.database import Database
from framecast.service.store.receivers import Receivers, Subscription

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

VAPID = "vapid"
"""Name of the key's seed among the secrets."""
MOST_OF_ONE = 20
"""Browsers one holder may have; the oldest go."""
MOST = 500
"""Browsers there may be."""


class Browsers:
    """All of them.

    Args:
        database: The state file.
        settings: As they are at the start.
        receivers: Where they are kept.
        blocking: Runs a call on the state's thread.
        holders: Knows whose they are.
        add: Has a sink told.
        forget: Has a sink told no more.
    """

    def __init__(
        self,
        database: Database,
        settings: PushSettings,
        receivers: Receivers,
        *,
        blocking: Blocking,
        holders: Holders,
        add: Callable[[Sink], object],
        forget: Callable[[Sink], object],
    ) -> None:
        self._database = database
        self._settings = settings
        self._receivers = receivers
        self._blocking = blocking
        self._holders = holders
        self._add = add
        self._forget = forget
        self._poster = Poster(check_public(settings.allow_private))
        self._changing = asyncio.Lock()
        self._sinks: dict[str, PushSink] = {}
        self._seed = b""
        self._key: EllipticCurvePrivateKey | None = None

    async def start(self) -> None:
        """Tell those there are."""
        if not self._settings.enabled:
            return
        kept: list[Subscription] = await self._blocking(self._receivers.subscriptions)
        if kept:
            await self._learn_seed()
        for subscription in kept:
            self._begin(subscription)

    async def close(self) -> None:
        """Let connections go."""
        await self._poster.close()

    async def key(self) -> str:
        """What browsers need to know this server by.

        Raises:
            ApiError: Nobody can be told here.
        """
        self._see_that_it_works()
        await self._learn_seed()
        return await asyncio.to_thread(lambda: webpush.to_text(webpush.public_point(self._private_key())))

    async def subscribe(
        self,
        fields: dict[str, Any],
        *,
        holder: str,
        stamp: str,
        agent: str,
        now_s: float,
        check: Callable[[], object] = lambda: None,
    ) -> str:
        """Tell a browser from now on; its id. One that is told already is told as this holder's.

        Args:
            check: Raises where the holder may not any more, by the time that it is kept.

        Raises:
            ApiError: It can't be.
        """
        self._see_that_it_works()
        read = partial(subscription_of, fields, allow_private=self._settings.allow_private)
        endpoint, p256dh, auth = await asyncio.to_thread(read)
        await self._learn_seed()
        made = Subscription(sink_name(endpoint), endpoint, p256dh, auth, holder, stamp, agent[:200], now_s)
        async with self._changing:
            check()
            await self._keep(made)
        return made.id

    async def _keep(self, made: Subscription) -> None:
        name = made.id
        if name not in self._sinks and len(self._sinks) >= MOST:
            raise ApiError(409, "too_many_subscriptions", f"{MOST} browsers are told already")
        known = self._sinks.get(name)
        if known is not None and _without_time(known.subscription) == _without_time(made):
            return
        await self._blocking(self._receivers.add_subscription, made)
        if known is not None:
            self._end(known)
        self._begin(made)
        mine = [each for each in self._sinks.values() if each.subscription.holder == made.holder]
        for each in mine[:-MOST_OF_ONE]:
            await self._remove(each)

    async def unsubscribe(self, endpoint: Any, *, holder: str, is_owner: bool) -> None:
        """Tell a browser no more, if it is this holder's."""
        async with self._changing:
            sink = self._sinks.get(sink_name(endpoint)) if isinstance(endpoint, str) else None
            if sink is not None and (is_owner or sink.subscription.holder == holder):
                await self._remove(sink)

    async def unsubscribe_all(self, holder: str) -> None:
        """Tell none of this holder's browsers any more, at least until the next start where that can't be kept.

        Raises:
            StateError: It can't.
        """
        async with self._changing:
            for sink in [each for each in self._sinks.values() if each.subscription.holder == holder]:
                self._end(sink)
            await self._blocking(self._receivers.remove_subscriptions_of, holder)

    async def gone(self, sink: PushSink) -> None:
        """A push service says that there is no such browser any more."""
        self._sinks.pop(sink.name, None)
        try:
            await self._blocking(self._receivers.remove_subscription, sink.name)
        except StateError:
            pass  # it is asked again after the next start, and says the same

    async def _remove(self, sink: PushSink) -> None:
        await self._blocking(self._receivers.remove_subscription, sink.name)
        self._end(sink)

    def _begin(self, subscription: Subscription) -> None:
        sink = PushSink(subscription, self._poster, self._vapid, self._holders)
        self._sinks[sink.name] = sink
        self._add(sink)

    def _end(self, sink: PushSink) -> None:
        self._sinks.pop(sink.name, None)
        self._forget(sink)

    def _see_that_it_works(self) -> None:
        if not self._settings.enabled:
            raise ApiError(503, "not_installed", "Web Push is switched off here (push.enabled)")
        why = webpush.missing()
        if why:
            raise ApiError(503, "not_installed", why)

    async def _learn_seed(self) -> None:
        if not self._seed:
            self._seed = await self._blocking(secrets.get, self._database, VAPID)

    def _private_key(self) -> EllipticCurvePrivateKey:
        if self._key is None:
            self._key = webpush.private_key(self._seed)
        return self._key

    def _vapid(self, endpoint: str) -> str:
        return webpush.authorization(self._private_key(), endpoint, self._settings.contact)


def _without_time(subscription: Subscription) -> tuple[object, ...]:
    mine = subscription
    return mine.endpoint, mine.p256dh, mine.auth, mine.holder, mine.stamp
