"""Webhooks and browsers that were added while the server runs, in the state file."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.service.store.database import Database


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that was added over the API.

    Attributes:
        id: Its name in paths.
        url: What is asked, without a secret.
        secret: What its messages are signed with.
        trusted: Whether the operator gave it on this machine, so that it may point anywhere.
    """

    id: str
    url: str
    secret: str
    trusted: bool
    created_s: float


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser that wants to be told (RFC 8030).

    Attributes:
        id: Its name in paths.
        endpoint: Where its push service takes messages for it.
        p256dh: Its public key, an uncompressed point of P-256.
        auth: What the two share, 16 bytes.
        holder: Whose browser it is (`Grant.name`).
        stamp: Tells that holder from a later one of the same name or with another password
            (`Keyring.stamp_of_secret`).
        agent: What it calls itself.
    """

    id: str
    endpoint: str
    p256dh: bytes
    auth: bytes
    holder: str
    stamp: str
    agent: str
    created_s: float


class Receivers:
    """The tables of those that were added while the server runs. Blocking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def webhooks(self) -> list[Webhook]:
        """All of them, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, url, secret, trusted, created_s FROM webhooks ORDER BY created_s, id"
            ).fetchall()
        return [Webhook(key, url, secret, bool(trusted), created_s) for key, url, secret, trusted, created_s in rows]

    def add_webhook(self, webhook: Webhook) -> None:
        """Keep one, in place of another of its id."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO webhooks (id, url, secret, trusted, created_s) VALUES (?, ?, ?, ?, ?)",
                (webhook.id, webhook.url, webhook.secret, webhook.trusted, webhook.created_s),
            )

    def remove_webhook(self, webhook_id: str) -> None:
        """Forget one."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))

    def subscriptions(self) -> list[Subscription]:
        """All of them, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, endpoint, p256dh, auth, holder, stamp, agent, created_s"
                " FROM push_subscriptions ORDER BY created_s, id"
            ).fetchall()
        return [Subscription(*row) for row in rows]

    def add_subscription(self, subscription: Subscription) -> None:
        """Keep one, in place of another of its id."""
        row = (
            subscription.id, subscription.endpoint, subscription.p256dh, subscription.auth, subscription.holder,
            subscription.stamp, subscription.agent, subscription.created_s,
        )  # fmt: skip
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO push_subscriptions"
                " (id, endpoint, p256dh, auth, holder, stamp, agent, created_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def remove_subscriptions_of(self, holder: str) -> None:
        """Forget all of one holder."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM push_subscriptions WHERE holder = ?", (holder,))

    def remove_subscription(self, subscription_id: str) -> None:
        """Forget one."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM push_subscriptions WHERE id = ?", (subscription_id,))
