"""Where a camera may be pushed on to: which URLs there are, and how they are shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from framecast.service.config.urls import MAX_URL_CHARS, mask_url

ACCEPTED = (
    "rtmp://HOST/APP/KEY, rtmps://…, rtsp://USER:PASSWORD@HOST/PATH, rtsps://…, "
    "whip+https://:TOKEN@HOST/PATH or whip+http://…"
)
_UNUSUAL = re.compile(r"[\x00-\x20\x7f]")


def check_restream_url(url: str) -> str:
    """``url`` itself, ``whip:https://`` written as ``whip+https://``; raises ValueError, saying what is accepted."""
    url = url.strip()
    if url.lower().startswith(("whip:http://", "whip:https://")):
        url = "whip+" + url[5:]
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        raise ValueError(ACCEPTED) from None
    scheme = parts.scheme.lower()
    good = bool(parts.hostname) and "://" in url and len(url) <= MAX_URL_CHARS and not _UNUSUAL.search(url)
    if scheme in ("rtmp", "rtmps"):
        # Names and passwords have no place in RTMP; servers that want them take them as part of the key.
        good = good and "@" not in parts.netloc and len(parts.path.strip("/").split("/")) >= 2
    elif scheme not in ("rtsp", "rtsps", "whip+http", "whip+https"):
        good = False
    if not good:
        raise ValueError(ACCEPTED)
    return scheme + url[len(scheme) :]


def http_url(url: str) -> str:
    """The HTTP URL of a ``whip+…`` one; others as they are."""
    return url.removeprefix("whip+")


def mask_restream_url(url: str) -> str:
    """``url`` with passwords, tokens and RTMP's stream key replaced by ``***``."""
    if not url.startswith(("rtmp://", "rtmps://")):
        return mask_url(url)
    place, _, _ = mask_url(url).partition("?")
    return place.rpartition("/")[0] + "/***"
