"""The Unix socket by which commands speak to a running server.

It lies in the data folder, readable by its owner only, so whoever can connect is the operator on this machine. The
HTTP API is spoken over it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from framecast.core.errors import ConfigError

SOCKET_NAME = "control.sock"
HELD = "held"
"""Code of the error that whoever asks is answered while no server runs and none may start."""
_BACKLOG = 16
_CONNECT_TIMEOUT_S = 5.0
# sun_path holds 108 bytes on Linux and 104 elsewhere, the final zero among them.
_MAX_PATH_BYTES = 100


def listen(folder: Path) -> socket.socket | None:
    """A listening socket in the data folder, mode 0600; None on a platform without Unix sockets.

    A socket that a crashed server left behind is replaced. The caller unlinks it at the end (``unlink``).

    Raises:
        ConfigError: Another server uses this folder, or it can't be written.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    see_that_none_runs(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unlink(folder)
        # Between bind and chmod the mode follows the umask, but the folder is 0700.
        with _address(folder) as address:
            listener.bind(address)
            os.chmod(address, 0o600)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            str(folder),
            "server.data",
            str(folder),
            f"the control socket can't be made there ({error.strerror or error})",
        ) from None
    return listener


def see_that_none_runs(folder: Path) -> None:
    """Refuse a second server on one data folder.

    Raises:
        ConfigError: One is running.
    """
    with contextlib.suppress(PermissionError):  # then nothing can be written there, either, which is told in its place
        if is_there(folder):
            raise ConfigError(
                str(folder),
                "server.data",
                str(folder),
                "another Framecast is running with this data folder; name another one",
            )


def is_there(folder: Path) -> bool:
    """Whether a server runs with this data folder, be it one that hangs.

    Raises:
        PermissionError: It is somebody else's.
    """
    try:
        connect(folder).close()
    except PermissionError:
        raise
    except OSError as error:
        # As many wait for it as may, of whom those who gave up count, too, until it takes them: it hangs.
        return isinstance(error, BlockingIOError | TimeoutError)
    return True


@contextlib.contextmanager
def held(folder: Path, why: str) -> Iterator[None]:
    """Keep servers from starting with this data folder, for the length of the block.

    Args:
        why: What commands are told that would speak to a server, a sentence.

    Raises:
        ConfigError: One is running, or the folder can't be written.
    """
    listener = listen(folder)
    if listener is None:
        yield
        return
    body = json.dumps({"error": {"code": HELD, "message": why}}).encode()
    head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    done = threading.Event()
    telling = threading.Thread(target=_tell_all, args=(listener, answer, done), daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        with contextlib.suppress(OSError):  # where that does not wake who waits, the timeout does
            listener.shutdown(socket.SHUT_RDWR)
        telling.join()
        listener.close()
        unlink(folder)


def _tell_all(listener: socket.socket, answer: bytes, done: threading.Event) -> None:
    """Answer whoever connects, until ``done``."""
    listener.settimeout(0.5)
    while not done.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            continue
        with connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            connection.recv(1 << 16)  # else its end would be a reset, and the answer lost
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)


def unlink(folder: Path) -> None:
    """Remove the socket, if there is one."""
    (folder / SOCKET_NAME).unlink(missing_ok=True)


def connect(folder: Path, timeout_s: float | None = _CONNECT_TIMEOUT_S) -> socket.socket:
    """A connection to the server that runs with this data folder; raises OSError when none does."""
    if not hasattr(socket, "AF_UNIX"):
        raise FileNotFoundError("this platform has no Unix sockets")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with _address(folder) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's path, or, where it is too long for one, a short way there."""
    path = folder / SOCKET_NAME
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
