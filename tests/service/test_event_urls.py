"""URLs of webhooks and of an MQTT server as texts: read, refused with words, and shown without their secrets."""

from __future__ import annotations

import pytest

from framecast.core.errors import ConfigError
from framecast.service.config import report
from framecast.service.config.eventurls import mask_webhook_url, split_webhook_url
from framecast.service.config.resolve import defaults


@pytest.mark.parametrize(
    ("url", "asked", "secret", "shown"),
    [
        ("https://:s%40c@example.org/hook?a=b", "https://example.org/hook?a=b", "s@c", "https://:***@example.org/***"),
        ("HTTP://word@[::1]:80", "http://[::1]:80", "word", "http://:***@[::1]:80/"),
        ("https://example.org/kept-secret", "https://example.org/kept-secret", "", "https://example.org/***"),
    ],
)
def test_a_webhook(url: str, asked: str, secret: str, shown: str) -> None:
    (url,) = defaults({"events.webhooks": [url]}).settings.events.webhooks
    assert split_webhook_url(url) == (asked, secret)
    assert mask_webhook_url(url) == shown
    rows = {row.key: row.toml for row in report.effective(defaults({"events.webhooks": [url]}))}
    assert shown in rows["events.webhooks"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("events.webhooks", ["ftp://:secret@host/"], "https://:SECRET@HOST/PATH"),
        ("events.webhooks", ["https:///path"], "https://:SECRET@HOST/PATH"),
        ("events.webhooks", ["https://host:99999/"], "https://:SECRET@HOST/PATH"),
        ("events.webhooks", ["https://host/a\nb"], "https://:SECRET@HOST/PATH"),
        ("events.webhooks", ["https://host/#part"], "https://:SECRET@HOST/PATH"),
        ("events.webhooks", ["https://[::1]:@host[::99999]/"], "https://:SECRET@HOST/PATH"),
        ("mqtt.url", "http://host", "mqtt://"),
        ("mqtt.url", "mqtt://me:secret@host", "settings of their own"),
        ("mqtt.url", "mqtt://host/topic", "settings of their own"),
        ("mqtt.prefix", "a/#", "a topic"),
        ("mqtt.prefix", "", "a topic"),
        ("mqtt.discovery_prefix", "$SYS", "a topic"),
        ("push.contact", "me@example.org", "mailto:"),
    ],
)
def test_what_can_not_be_used_is_refused_with_words_and_without_secrets(key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError, match="can't be used") as caught:
        defaults({key: value})
    assert words in str(caught.value)
    assert ":secret@host/" not in str(caught.value)
