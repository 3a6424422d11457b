"""Webhooks: each announcement by POST, signed as the Standard Webhooks specification says.

``webhook-signature: v1,BASE64`` is the HMAC-SHA256 of ``ID.TIMESTAMP.BODY``, where ``webhook-id`` is the same in every
repeat and ``webhook-timestamp`` is when this attempt was made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from framecast import __version__
from framecast.service.config.eventurls import mask_webhook_url
from framecast.service.events.courier import GIVE_UP_S
from framecast.service.events.poster import Poster
from framecast.service.store.events import Event, Phase
from framecast.service.store.outbox import Delivery

KIND = "webhook"
PREFIX = "whsec_"
"""In front of a secret that is Base64, by that specification."""


def webhook_id(url: str) -> str:
    """The same for a URL ever after."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def new_secret() -> str:
    """A secret that nobody knows yet."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


class WebhookSink:
    """One receiver.

    Args:
        url: What is asked, without a secret.
        secret: What messages are signed with; empty for none.
        poster: Sends.
        origin: ``config`` or ``api``: who named it.
        now_s: Unix time.
    """

    kind = KIND
    lasts_s = GIVE_UP_S

    def __init__(
        self, url: str, secret: str, poster: Poster, *, origin: str, now_s: Callable[[], float] = time.time
    ) -> None:
        self.id = webhook_id(url)
        self.name = f"{KIND}-{self.id}"
        self.label = mask_webhook_url(url)
        self.origin = origin
        self._url = url
        self._secret = secret
        self._poster = poster
        self._now_s = now_s

    @property
    def is_signed(self) -> bool:
        """Whether its messages are."""
        return bool(self._secret)

    def wants(self, event: Event, phase: Phase) -> bool:
        """All of them."""
        return True

    async def send(self, delivery: Delivery) -> None:
        """POST it."""
        message_id, timestamp = f"{delivery.event_id}-{delivery.seq}", int(self._now_s())
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"framecast/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._secret:
            headers["webhook-signature"] = signature(self._secret, message_id, timestamp, body)
        await self._poster.post(self._url, body, headers)


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:  # binascii.Error is one; so is what letters that are not ASCII raise
            pass
    return secret.encode()
