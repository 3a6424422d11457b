"""Bodies of requests, read and bounded, and the forms of answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import HttpVersion10, web

from framecast.service.errors import ApiError

FIELDS = web.RequestKey("fields", dict[str, Any])
"""Key of a request under which its JSON object is found, once it was read."""


def see_that_none_has_begun(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Have the connection cut where an error comes too late to be told."""
    if request.writer.output_size > 0 and not response.prepared:
        raise ConnectionResetError("the answer had begun when it failed")


def json_response(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``data`` as JSON that nobody caches."""
    return web.Response(
        body=json.dumps(data, separators=(",", ":")).encode(),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The one form of an error."""
    return json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


async def read_json(request: web.BaseRequest, *, timeout_s: float) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        ApiError: It is none, is too large, or does not come.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError(415, "compressed", "Send it as it is: nothing compressed is taken here", close=True)
    body = await read_body(request, max_bytes=64 * 1024, timeout_s=timeout_s)
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ApiError(400, "bad_json", "The body is not JSON") from None
    if not isinstance(data, dict):
        raise ApiError(400, "bad_json", "The body has to be a JSON object")
    request[FIELDS] = data
    return data


async def read_body(request: web.BaseRequest, *, max_bytes: int, timeout_s: float) -> bytes:
    """The request's body.

    Raises:
        ApiError: It is larger than ``max_bytes``, or does not come.
    """
    length = request.content_length
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    try:
        if request.content.is_eof():
            body = request.content.read_nowait()  # it is all here: no timer, and no copy
            if not request.content.at_eof():  # it was unpacked only so far
                body += await request.read()
        else:
            async with asyncio.timeout(timeout_s):
                if request.headers.get("Expect", "").lower() == "100-continue" and request.version > HttpVersion10:
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request.writer.output_size = 0
                body = await request.read()
    except TimeoutError:
        raise ApiError(408, "timeout", f"The body did not come within {timeout_s:g} s", close=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(max_bytes) from None
    except web.RequestPayloadError:
        raise ApiError(400, "bad_body", "The body ended before its end", close=True) from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, "too_large", f"At most {max_bytes} bytes are taken here", close=True)
