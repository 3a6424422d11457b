"""Where events are told to: URLs of webhooks and of an MQTT server, and how they are shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

from framecast.service.config.urls import MAX_URL_CHARS

WEBHOOK = 'a URL of http:// or https://, its secret in front of the host: "https://:SECRET@HOST/PATH"'
MQTT = 'the URL of an MQTT server such as "mqtt://192.168.1.5:1883" or "mqtts://HOST", or empty'
CONTACT = 'an address such as "mailto:me@example.org" or "https://example.org", or empty'
TOPIC = 'a topic such as "framecast" or "home/framecast", without "+", "#" or a slash at an end'
_UNUSUAL = re.compile(r"[\x00-\x20\x7f]")
_CONTACT = re.compile(r"mailto:[^\s@<>]{1,64}@[A-Za-z0-9.-]{1,190}|https://[A-Za-z0-9.-]{1,190}")
_TOPIC = re.compile(r"[^\x00-\x20\x7f+#/$][^\x00-\x20\x7f+#/]*(?:/[^\x00-\x20\x7f+#/]+)*")


def check_webhook_url(url: str) -> str:
    """``url`` itself, its scheme in lower case; raises ValueError, saying what would be accepted."""
    return _checked(url, ("http", "https"), WEBHOOK)


def check_mqtt_url(url: str) -> str:
    """``url`` itself or nothing, its scheme in lower case; raises ValueError, saying what would be accepted."""
    url = _checked(url, ("mqtt", "mqtts"), MQTT) if url.strip() else ""
    if "@" in url or urlsplit(url).path.strip("/"):
        raise ValueError(f"{MQTT}; name and password stand in settings of their own")
    return url


def check_contact(text: str) -> str:
    """``text`` itself, or nothing; raises ValueError, saying what would be accepted."""
    if text and not _CONTACT.fullmatch(text):
        raise ValueError(CONTACT)
    return text


def check_topic(text: str) -> str:
    """``text`` itself; raises ValueError, saying what would be accepted."""
    if len(text) > 200 or not _TOPIC.fullmatch(text):
        raise ValueError(TOPIC)
    return text


def split_webhook_url(url: str) -> tuple[str, str]:
    """The URL that is asked, and the secret that stood in it; empty for none."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    _, colon, secret = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(secret if colon else user)


def mask_webhook_url(url: str) -> str:
    """The URL's scheme and host: it is often the path that lets in."""
    parts = urlsplit(url)
    secret, _, host = parts.netloc.rpartition("@")
    whole = f"{parts.path}{parts.query}".strip("/")
    return f"{parts.scheme}://{':***@' if secret else ''}{host}{'/***' if whole else '/'}"


def _checked(url: str, schemes: tuple[str, ...], accepted: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
        urlsplit("//" + parts.netloc.rpartition("@")[2])  # as it is asked: without what stands before the host
    except ValueError:
        raise ValueError(accepted) from None
    scheme = parts.scheme.lower()
    good = scheme in schemes and bool(parts.hostname) and "://" in url and not parts.fragment
    if not good or len(url) > MAX_URL_CHARS or _UNUSUAL.search(url):
        raise ValueError(accepted)
    return scheme + url[len(scheme) :]
