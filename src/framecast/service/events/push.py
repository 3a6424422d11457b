"""Browsers that want to be told though no page is open: one sink each.

A subscription belongs to whoever made it. What the browser is told of is looked up each time, so who may watch a camera
no longer hears of it no longer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from framecast.service.errors import ApiError, bad_request
from framecast.service.events import webpush
from framecast.service.events.courier import Undelivered
from framecast.service.events.poster import Poster, Refusal
from framecast.service.store.events import Event, Phase
from framecast.service.store.outbox import Delivery
from framecast.service.store.receivers import Subscription

KIND = "push"
TTL_S = 4 * 3600
"""How long a message is news: here while it can't be sent, and at the push service for a phone that is off."""
MOST_TEXT = 200
MOST_ENDPOINT = 2048
_UNUSUAL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Holders:
    """What is known of those whose browsers are told. Asked on the state's thread, too.

    Attributes:
        exists: Whether this holder, told from a later one of its name by its stamp, is still there.
        may_watch: Whether it may watch a camera now.
    """

    exists: Callable[[str, str], bool]
    may_watch: Callable[[str, str, str], bool]


def sink_name(endpoint: str) -> str:
    """The same for a browser ever after."""
    return f"{KIND}-{hashlib.sha256(endpoint.encode()).hexdigest()[:16]}"


class PushSink:
    """One browser.

    Args:
        subscription: Where it is.
        poster: Sends.
        vapid: Returns the header that says who sends to this endpoint; blocking.
        holders: Knows whose it is.
    """

    kind = KIND
    lasts_s = float(TTL_S)

    def __init__(
        self, subscription: Subscription, poster: Poster, vapid: Callable[[str], str], holders: Holders
    ) -> None:
        self.subscription = subscription
        self.name = subscription.id
        whose = subscription.holder.partition(":")[2] or subscription.holder or "this machine"
        self.label = f"{whose}, by {urlsplit(subscription.endpoint).hostname}"
        self._poster = poster
        self._vapid = vapid
        self._holders = holders

    def wants(self, event: Event, phase: Phase) -> bool:
        """That something begins, before a camera that its owner may watch."""
        mine = self.subscription
        return phase is Phase.START and self._holders.may_watch(mine.holder, mine.stamp, event.camera)

    async def send(self, delivery: Delivery) -> None:
        """Have its push service take it."""
        mine = self.subscription
        if not self._holders.exists(mine.holder, mine.stamp):
            raise Undelivered("whose it was is no more", gone=True)
        if delivery.camera and not self._holders.may_watch(mine.holder, mine.stamp, delivery.camera):
            return
        why = webpush.missing()
        if why:
            raise Undelivered(why)
        sealed, authorization = await asyncio.to_thread(self._seal, message(delivery))
        headers = {
            "Authorization": authorization,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(TTL_S),
            "Urgency": "high",
        }
        try:
            await self._poster.post(mine.endpoint, sealed, headers)
        except Refusal as error:
            if error.status in (404, 410):  # RFC 8030, 7.3: it has ended
                raise Undelivered("the browser wants none any more", gone=True) from None
            raise

    def _seal(self, text: bytes) -> tuple[bytes, str]:
        mine = self.subscription
        return webpush.encrypt(text, mine.p256dh, mine.auth), self._vapid(mine.endpoint)


def message(delivery: Delivery) -> bytes:
    """What the service worker gets: JSON, the same bytes every time."""
    event = json.loads(delivery.body)["event"]
    what = words(event)
    told = {
        "event_id": delivery.event_id,
        "camera": delivery.camera,
        "title": _short(event["camera_name"]) or "Framecast",
        "text": _short(what),
        "at": event["start"],
        "path": f"events#{delivery.event_id}" if delivery.camera else "events",
        "picture": event["picture"],
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def words(event: dict[str, Any]) -> str:
    """What happened, for people."""
    kind, label = event["kind"], event["label"] or "something"
    known = [name for name in event["names"] if name != "unknown"]
    who = ", ".join(known) or ("somebody unknown" if event["names"] else label)
    where = f" in {event['zone']}" if event["zone"] else ""
    said = {
        "line": f"{who} crossed {event['zone'] or 'a line'}",
        "motion": f"motion{where}",
        "no_motion": f"no motion any more{where}",
        "offline": "the camera can't be reached",
        "test": "this is a test: notifications arrive here",
    }.get(kind, f"{who}{where}")
    return said[:1].upper() + said[1:]


def subscription_of(fields: dict[str, Any], *, allow_private: bool) -> tuple[str, bytes, bytes]:
    """Endpoint, public key and secret in what a browser's `PushSubscription.toJSON()` gave.

    Raises:
        ApiError: They can't be used.
    """
    endpoint, keys = fields.get("endpoint"), fields.get("keys")
    if not isinstance(endpoint, str) or not isinstance(keys, dict):
        raise bad_request("A subscription has endpoint and keys, as PushSubscription.toJSON() gives them", "bad_value")
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # raises when it is no port
    except ValueError:
        parts = urlsplit("")
    good = parts.scheme == "https" or (allow_private and parts.scheme == "http")
    odd = len(endpoint) > MOST_ENDPOINT or _UNUSUAL.search(endpoint) or "@" in parts.netloc
    if not good or not parts.hostname or odd:
        raise bad_request("endpoint has to be the https:// URL of a push service", "bad_value")
    try:
        p256dh, auth = (webpush.from_text(str(keys.get(name, ""))) for name in ("p256dh", "auth"))
    except ValueError:
        raise bad_request("keys.p256dh and keys.auth have to be Base64", "bad_value") from None
    why = webpush.missing()
    if why:
        raise ApiError(503, "not_installed", why)
    if not webpush.is_point(p256dh) or len(auth) != webpush.AUTH_BYTES:
        raise bad_request("keys.p256dh has to be a point of P-256, and keys.auth 16 bytes", "bad_value")
    return endpoint, p256dh, auth


def _short(text: str) -> str:
    return text[:MOST_TEXT]
