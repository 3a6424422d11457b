"""Where names lead, looked up so that a name nobody answers for keeps no other waiting.

The event loop's own look-ups share few threads with each other, or with all that blocks: uvloop gives them two of its
four, and a name such as ``cam.local`` that the name server is mute about holds one for 10 s and more, whoever asked
for it having gone long since. Two such cameras, trying again and again, would keep all others from being found.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

AT_ONCE = 32
"""Names looked up at a time: they wait, and do not work. More wait for their turn, each for as long as it is wanted."""


class _Question:
    def __init__(self) -> None:
        self.answer: Future[list[str]] = Future()
        # Running from the start: those who wait for it can be cancelled, it can't.
        self.answer.set_running_or_notify_cancel()
        self.wanted = 0


class Names:
    """Looks names up in threads of its own, each name once at a time, however many ask. Nobody waits for the threads
    at the end.

    Args:
        look_up: What a thread calls, as `socket.getaddrinfo`.
        at_once: Most threads.
    """

    def __init__(self, look_up: Callable[..., Any] = socket.getaddrinfo, at_once: int = AT_ONCE) -> None:
        self._look_up = look_up
        self._at_once = at_once
        self._lock = threading.Lock()
        self._questions: dict[str, _Question] = {}
        self._waiting: deque[str] = deque()
        self._threads = 0

    async def addresses(self, host: str) -> list[str]:
        """The IP addresses of ``host``, each once; an IP address is its own, and nobody is asked. Cancel-safe.

        Raises:
            OSError: It has none.
            UnicodeError: Such a name can't be asked for.
        """
        try:
            return _unique(socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        except socket.gaierror:
            question = self._ask(host)
        try:
            return await asyncio.wrap_future(question.answer)
        finally:
            with self._lock:
                question.wanted -= 1

    def _ask(self, host: str) -> _Question:
        with self._lock:
            question = self._questions.get(host)
            if question is None:
                if self._threads < self._at_once:
                    try:
                        threading.Thread(target=self._work, name="names", daemon=True).start()
                    except RuntimeError as error:
                        raise OSError(f"no thread to look up {host}: {error}") from None
                    self._threads += 1
                question = self._questions[host] = _Question()
                self._waiting.append(host)
            question.wanted += 1
            return question

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                host = self._waiting.popleft()
                question = self._questions[host]
                if not question.wanted:
                    del self._questions[host]
                    continue
            found: list[str] = []
            failure: OSError | UnicodeError | None = None
            try:
                found = _unique(self._look_up(host, 0, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                failure = error
            with self._lock:
                del self._questions[host]
            if failure is not None:
                question.answer.set_exception(failure)
            else:
                question.answer.set_result(found)


def _unique(found: Any) -> list[str]:
    return list(dict.fromkeys(_text(entry[4]) for entry in found))


def _text(address: tuple[Any, ...]) -> str:
    """An address in words, with the zone of one that holds on one link only: without it, it leads nowhere."""
    return f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0])


SHARED = Names()
"""This process's: how many threads wait for names is counted once."""
