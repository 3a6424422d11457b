"""A camera's refusal, in words."""

from __future__ import annotations

from framecast.core.errors import BadStatus
from framecast.ingest.http_client import Response

_WORDS = {
    401: "asks for a user and password, or does not take the ones it got",
    403: "forbids this address to us",
    404: "has nothing there",
    408: "gave up waiting",
    429: "is asked too often",
    500: "has trouble of its own; its sensor may have failed",
    501: "could not get a picture from its sensor",
    503: "is busy: another program may be watching, and such cameras serve one at a time",
}


def refusal(response: Response) -> BadStatus:
    """The error for an answer that is not 200."""
    status = response.status
    words = _WORDS.get(status) or ("has trouble of its own" if status >= 500 else "does not answer with a picture")
    return BadStatus(f"{response.target.shown}: the camera {words} (status {status})", status)
