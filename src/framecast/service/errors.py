"""What the API answers when it can't do what was asked."""

from __future__ import annotations

from framecast.core.errors import Misuse


class ApiError(Exception):
    """Becomes ``{"error": {"code", "message"}}`` with its status.

    Args:
        status: HTTP status, 4xx, 503 or 507.
        code: Short name for programs.
        message: What happened, why, and what to do, for people.
        close: Whether the connection can't be used for another request.
        headers: Further headers, such as Retry-After.
    """

    def __init__(
        self, status: int, code: str, message: str, *, close: bool = False, headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.close = close
        self.headers = headers or {}
        super().__init__(f"{status} {code}: {message}")


class Refused(Misuse):
    """What can't be done as asked, for a command as for the API, which answers it as `ApiError`.

    Args:
        status, code, message: As of `ApiError`.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        super().__init__(message)


def bad_request(message: str, code: str = "bad_request", *, close: bool = False) -> ApiError:
    """400."""
    return ApiError(400, code, message, close=close)


def closing() -> ApiError:
    """503, for the rest of this server's life."""
    return ApiError(503, "closing", "The server is about to stop", headers={"Retry-After": "5"})


def not_found(message: str = "There is nothing here") -> ApiError:
    """404."""
    return ApiError(404, "not_found", message)
