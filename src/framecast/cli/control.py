"""Speaking to the server that runs with the same data folder: HTTP over its Unix socket."""

from __future__ import annotations

import http.client
import json
import select
import shlex
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from framecast.cli import console
from framecast.core.errors import FramecastError
from framecast.service.front import control

# A probe tries several addresses, some of which never answer.
_TIMEOUT_S = 60.0
_SILENT_S = 1.0
"""Who has not answered so long is asked whether it is there at all."""


def demo_folder() -> Path:
    """The data folder of ``framecast demo``."""
    import platformdirs

    return platformdirs.user_data_path("framecast") / "demo"


def elsewhere(folder: Path) -> str:
    """A word on the demo that runs with its own data folder, where a command looked into ``folder`` in vain."""
    demo = demo_folder()
    if folder == demo or Server.find(demo) is None:
        return ""
    return f" The demo is running; to speak to it, add: --data {shlex.quote(str(demo))}"


class CommandError(FramecastError):
    """A command could not be done; the message says why."""


class HeldError(CommandError):
    """No server runs, and none may start just now; the message says why."""


class _Connection(http.client.HTTPConnection):
    """HTTP on a socket that is connected already."""

    def __init__(self, folder: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self.sock = control.connect(folder, _TIMEOUT_S)

    def connect(self) -> None:
        """Nothing: one request a connection is all that is asked."""


class Server:
    """A running server; use ``Server.find``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The server running with this data folder, if there is one."""
        try:
            return cls(folder) if control.is_there(folder) else None
        except PermissionError:
            raise CommandError(
                f"the server's data folder {folder} belongs to another user; run this as that user"
            ) from None

    @property
    def url(self) -> str:
        """Where its pages are; empty when it does not say."""
        try:
            return str(self.call("GET", "/api/v1/system").get("url", ""))
        except HeldError:
            raise
        except CommandError:
            return ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the server answers (None for 204); raises CommandError with its message when it refuses.

        Args:
            method: HTTP's.
            path: With the query.
            body: Goes as JSON; bytes go as they are.
        """
        with self._request(method, path, body) as response:
            data = response.read()
        return json.loads(data) if data else None

    def lines(self, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """The JSON lines of an answer, as they come."""
        with self._request(method, path, body) as response:
            for line in response:
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError:
                        raise CommandError("the server broke off in the middle of its answer") from None

    @contextmanager
    def _request(self, method: str, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
        is_file = isinstance(body, bytes)
        payload = body if is_file or body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if is_file else "application/json"
        headers = {"Content-Type": kind} if payload is not None else {}
        try:
            with closing(_Connection(self._folder)) as connection:
                connection.request(method, path, payload, headers)
                if not _answers(connection.sock, _SILENT_S) and not self._is_there():
                    console.note(
                        f"The server with {self._folder} does not answer; waiting for it up to {_TIMEOUT_S:.0f} s"
                    )
                response = connection.getresponse()
                if response.status >= 400:
                    raise _refusal(response)
                yield response
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"the server doesn't answer: {error}") from None

    def _is_there(self) -> bool:
        """Whether it answers the least that can be asked."""
        with closing(_Connection(self._folder)) as connection:
            connection.request("GET", "/healthz")
            return _answers(connection.sock, _SILENT_S)


def _answers(connection: socket.socket, timeout_s: float) -> bool:
    """Whether something can be read from it by then."""
    return bool(select.select([connection], [], [], timeout_s)[0])


def _refusal(response: http.client.HTTPResponse) -> CommandError:
    data = response.read()
    try:
        error = json.loads(data)["error"]
        return (HeldError if error["code"] == control.HELD else CommandError)(str(error["message"]))
    except (ValueError, TypeError, KeyError):
        return CommandError(f"the server answers {response.status} {response.reason}")
