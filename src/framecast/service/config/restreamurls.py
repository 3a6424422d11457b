"""Where a camera may be pushed on to: which URLs there are, and how they are shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from framecast.service.config.urls import MAX_URL_CHARS, mask_url, query_values

ACCEPTED = (
    "rtmp://HOST/APP/KEY, rtmps://…, rtsp://USER:PASSWORD@HOST/PATH, rtsps://…, "
    "whip+https://:TOKEN@HOST/PATH or whip+http://…"
)
SHORT_CHARS = 6
"""A secret that is shorter is hidden where it stands alone only: it may be a part of many words."""
LEAST_CUT_CHARS = 4
"""So much of a secret at the end of words that were cut off is hidden, too."""
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
    """``url`` with passwords, tokens and RTMP's stream key replaced by ``***``.

    So is all of a WHIP URL's path where it has no token: it is the path then that lets in.
    """
    parts = urlsplit(url)
    if parts.scheme in ("rtmp", "rtmps"):
        app = parts.path.strip("/").rpartition("/")[0]
        return f"{parts.scheme}://{parts.netloc}/{app}/***"
    if _is_let_in_by_path(url):
        return f"{parts.scheme}://{parts.netloc}/***"
    return mask_url(url)


def hide_secrets(url: str, words: str) -> str:
    """``words``, of which some are the other end's, with what is secret in ``url`` replaced by ``***``."""
    for secret in _secrets(url):
        pattern = re.escape(secret)
        words = re.sub(pattern if len(secret) >= SHORT_CHARS else rf"(?<!\w){pattern}(?!\w)", "***", words)
        for chars in range(len(secret) - 1, LEAST_CUT_CHARS - 1, -1):
            if words.endswith(secret[:chars]):
                words = words[:-chars] + "***"
                break
    return words


def _is_let_in_by_path(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme.startswith("whip+") and not (parts.username or parts.password)


def _secrets(url: str) -> list[str]:
    """What is secret in ``url``, as it stands there and as it is meant; the longest first."""
    parts = urlsplit(url)
    is_rtmp, by_path = parts.scheme in ("rtmp", "rtmps"), _is_let_in_by_path(url)
    found = [parts.username or "", parts.password or "", *query_values(parts.query, every=is_rtmp or by_path)]
    segments = parts.path.strip("/").split("/")
    if is_rtmp:
        found += [segments[-1], f"{segments[-1]}?{parts.query}"]
    elif by_path:
        found += segments
    return sorted({form for each in found for form in (each, unquote(each)) if form}, key=len, reverse=True)
