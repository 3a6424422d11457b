"""What a person sees who opened an address that leads nowhere; programs get JSON."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from aiohttp import web

from framecast.service.errors import ApiError
from framecast.web import page_policy

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nothing here – Framecast</title>
<link rel="icon" href="{root}static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}static/css/app.css">
</head>
<body>
<main class="panel-place">
  <div class="panel">
    <h1>Nothing here</h1>
    <p>{words}.</p>
    <p><a class="button" href="{root}">All cameras</a></p>
  </div>
</main>
</body>
</html>
"""


def is_for(request: web.BaseRequest, path: str, error: ApiError) -> bool:
    """Whether this is what somebody gets who typed an address into a browser; below ``/api/`` all is for programs.

    Args:
        path: As asked for, without what a proxy has in front of it.
    """
    return (
        error.status == 404
        and request.method in ("GET", "HEAD")
        and not path.startswith("/api/")
        and "text/html" in request.headers.get("Accept", "").lower()
    )


def page(path: str, error: ApiError, allowed_origins: Sequence[str]) -> web.Response:
    """The error as a page with a way to the wall, relative like all pages: a proxy may have us below a path."""
    root = "../" * (path.count("/") - 1) or "./"
    return web.Response(
        body=_PAGE.format(root=root, words=escape(error.message)).encode(),
        status=error.status,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": page_policy(allowed_origins),
            "Cache-Control": "no-store",
        },
    )
