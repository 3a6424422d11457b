"""Camera URLs: which there are, and how they are shown without their secrets."""

from __future__ import annotations

import difflib
import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from framecast.wire.urlsecrets import is_secret, masked_path, masked_query

ACCEPTED = (
    "a camera URL: http://…, https://…, rtsp://…, rtsps://…, push:, file:PATH, v4l2:/dev/video0 "
    "or mock:?fps=30&size=640x480"
)
MAX_URL_CHARS = 2048

_KINDS = {
    "http": "pull",
    "https": "pull",
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "push": "push",
    "file": "file",
    "v4l2": "v4l2",
    "mock": "mock",
}
# Space is left to file names.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(
    r"(?i)(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+|localhost|\[[0-9a-f:]+\])(?::\d+)?(?:/\S*)?"
)
_OF_THIS_MACHINE = ("file:", "v4l2:", "mock:", "push:")


def url_kind(url: str) -> str:
    """``pull push rtsp file v4l2 mock`` for a URL that was checked."""
    return _KINDS[url.partition(":")[0].lower()]


def check_camera_url(url: str) -> str:
    """``url`` itself, its scheme in lower case; raises ValueError, saying what would be accepted."""
    url = url.strip()
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme not in _KINDS and _ADDRESS.fullmatch(url):
        raise ValueError(
            f"a camera URL; for a bare address that is http://{url}, and framecast doctor finds its stream"
        )
    if scheme not in _KINDS and rest.startswith("//"):
        meant = _meant(scheme)
        if meant:
            raise ValueError(f"{scheme[:20]}:// is unknown; did you mean {meant}://?")
    if not colon or scheme not in _KINDS or len(url) > MAX_URL_CHARS or _CONTROL.search(url):
        raise ValueError(ACCEPTED)
    good = {
        "push": rest == "",
        "file": rest.strip("/") != "",
        "v4l2": re.fullmatch(r"/dev/[A-Za-z0-9_./:+-]+(\?[a-z0-9=&]+)?", rest) is not None and ".." not in rest,
        "mock": _is_mock(rest),
    }.get(scheme)
    if good is None:
        good = _has_host(url)
        if not good:
            raise ValueError(_what_is_wrong(url, scheme, rest))
    if not good or not _can_be_split(url):
        raise ValueError(ACCEPTED)
    return f"{scheme}:{rest}"


def _meant(scheme: str) -> str:
    """What somebody who mistyped it may have meant; empty for nothing."""
    # Letters that changed places come first: rtps is rtsp rather than rtsps.
    swapped = [known for known in _KINDS if sorted(known) == sorted(scheme)]
    close = swapped or difflib.get_close_matches(scheme, _KINDS, n=1, cutoff=0.6)
    return close[0] if close else ""


def _what_is_wrong(url: str, scheme: str, rest: str) -> str:
    """Why there is no host to be had of a URL that needs one; it repeats nothing of what may be a password."""
    if not rest.startswith("//"):
        return f"a camera URL: behind {scheme}: come two slashes, as in {scheme}://192.168.1.20/"
    if " " in url:
        return "a camera URL: there is a space in it; write %20 where one belongs there"
    try:
        parts = urlsplit(url)
        if not parts.hostname:
            return f"a camera URL: behind {scheme}:// comes an address, as in {scheme}://192.168.1.20/"
        _ = parts.port
    except ValueError:
        return "a camera URL: what stands behind the last colon of its host has to be a port, from 1 to 65535"
    return ACCEPTED


def check_sound_url(url: str) -> str:
    """``url`` itself, its scheme in lower case, or nothing; raises ValueError, saying what would be accepted."""
    url = url.strip()
    scheme, _, rest = url.partition(":")
    if not url:
        return ""
    if (
        scheme.lower() not in ("http", "https")
        or len(url) > MAX_URL_CHARS
        or _CONTROL.search(url)
        or not _has_host(url)
    ):
        raise ValueError("a URL of sound: http://… or https://…, answering with a WAV or raw PCM")
    return f"{scheme.lower()}:{rest}"


def mask_url(url: str) -> str:
    """``url`` with passwords and keys replaced by ``***``, for logs and pages."""
    if url.startswith(_OF_THIS_MACHINE):
        return url
    if "://" not in url:  # none yet, but what somebody typed as an address
        return f"***@{url.rpartition('@')[2]}" if "@" in url else url
    try:
        parts = urlsplit(url)
        netloc = parts.netloc
        if "@" in url:
            _ = parts.port  # raises when that is none: then it is some of a password that was not encoded
        if "@" in netloc:
            user, _, host = netloc.rpartition("@")
            netloc = f"{user.partition(':')[0]}:***@{host}" if ":" in user else f"***@{host}"
        path, query = masked_path(parts.path), masked_query(parts.query)
        return urlunsplit(parts._replace(netloc=netloc, path=path, query=query))
    except ValueError:
        return url.partition(":")[0] + ":***"


def query_values(query: str, *, every: bool = False) -> list[str]:
    """The values in a query that `mask_url` replaces, as they stand there; with ``every``, all values there are."""
    found = []
    for field in query.split("&"):
        name, equals, value = field.partition("=")
        if every or is_secret(field):
            found.append(value if equals else name)
    return found


def _can_be_split(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return False
    return bool(parts.hostname) and " " not in url and url.lower().startswith(f"{parts.scheme}://")


def _is_mock(rest: str) -> bool:
    if not rest:
        return True
    if not rest.startswith("?") or " " in rest:
        return False
    try:
        parse_qsl(rest[1:], strict_parsing=True)
    except ValueError:
        return rest == "?"
    return True
