"""The pages, as a browser gets them: plain files, read once at start.

There is no build step. A page is an HTML file beside this module; whatever pages ask for lies under
``static/``. Pages refer to everything relative to themselves, so that the whole server may live under a
sub-path of somebody's proxy.

``load`` keeps every file in memory (some 200 KB together): a request then is a dictionary look-up, and no
path from outside ever reaches the file system.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent

PAGES = {
    "/": "index.html",
    "/cameras/{id}": "camera.html",
    "/mjpeg": "mjpeg.html",
    "/events": "events.html",
    "/people": "people.html",
    "/analytics": "analytics.html",
    "/access": "access.html",
    "/setup": "setup.html",
    "/docs": "docs.html",
}
"""Route of each page and the file that answers it."""

WORKER = "sw.js"
"""The service worker: a worker answers for what lies beside and below it, so it can't be among the static files."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
"""What a page may load: our own files and nothing else, nothing inline. ``page_policy`` adds ``frame-ancestors``."""

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the pages.

    Attributes:
        body: Its bytes.
        content_type: Whole value of the header.
        etag: Strong, with its quotes; changes with the content and with nothing else.
    """

    body: bytes
    content_type: str
    etag: str


def page_policy(allowed_origins: Iterable[str]) -> str:
    """The policy of a page that pages of these origins, and our own, may show in a frame."""
    ancestors = " ".join(("'self'", *allowed_origins))
    return f"{CONTENT_SECURITY_POLICY}; frame-ancestors {ancestors}"


def version(assets: Mapping[str, Asset]) -> str:
    """Which pages these are: another one after any change of what a service worker keeps of them."""
    etags = (assets[path].etag for path in sorted(assets) if path != WORKER)
    return hashlib.sha256("".join(etags).encode()).hexdigest()[:20]


def load() -> dict[str, Asset]:
    """Every page and static file, by its path below this folder (``index.html``, ``static/js/wall.js``)."""
    assets: dict[str, Asset] = {}
    for path in sorted(FOLDER.rglob("*")):
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is None or not path.is_file():
            continue
        body = path.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        assets[path.relative_to(FOLDER).as_posix()] = Asset(body, content_type, etag)
    assets[WORKER] = _worker(assets)
    return assets


def _worker(assets: dict[str, Asset]) -> Asset:
    """The service worker, told what to keep; any change of any file makes it another one."""
    files = sorted(path for path in assets if path.startswith("static/"))
    shell = {
        "version": version(assets),
        "files": files,
        # One page serves every camera, so that one is kept for all.
        "pages": [path.removeprefix("/").replace("{id}", "any") or "./" for path in PAGES],
    }
    body = b"self.SHELL = " + json.dumps(shell).encode() + b";\n" + assets[WORKER].body
    return Asset(body, CONTENT_TYPES[".js"], f'"{hashlib.sha256(body).hexdigest()[:20]}"')
