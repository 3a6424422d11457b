"""Child processes under measurement: pinned to a core, their CPU and memory as the kernel counts them (Linux)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self


def cores() -> tuple[int, int]:
    """`(tools, server)`: cameras and viewers share one core, the server under measurement has another to itself."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def cpu_s(pid: int) -> float:
    """CPU seconds used by one process, all threads, user and system: the kernel's clock of it, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


class Child:
    """A child process whose stdout is read line by line; ended with the context."""

    def __init__(self, command: Iterable[object], *, core: int, log: Path, env: dict[str, str] | None = None) -> None:
        self.command = [str(word) for word in command]
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **(env or {})},
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        self._pending = b""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def line(self, within_s: float) -> str:
        """The next line of its output. Raises `RuntimeError` when it ends or says nothing for `within_s`."""
        until = time.monotonic() + within_s
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise RuntimeError(f"{self.command[0]} said nothing for {within_s:g} s; see {self._log}")
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            if not data:
                raise RuntimeError(f"{' '.join(self.command)} ended with {self._process.wait()}; see {self._log}")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def line_with(self, text: str, within_s: float) -> str:
        """The next line that contains `text`; others are read past."""
        until = time.monotonic() + within_s
        while True:
            line = self.line(max(until - time.monotonic(), 0.01))
            if text in line:
                return line

    def drain(self) -> None:
        """Throws away what it has printed, so that a talkative process never blocks on a full pipe."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0)[0]:
            if not os.read(self._process.stdout.fileno(), 1 << 20):
                return
        self._pending = b""

    def say(self, text: str) -> None:
        """Writes one line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def _family(self) -> list[int]:
        family, found = [self.pid], 0
        while found < len(family):
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{family[found]}/task").iterdir():
                    family += [int(pid) for pid in (task / "children").read_text().split()]
            found += 1
        return family

    def cpu_s(self) -> float:
        """CPU seconds so far, children included."""
        total = 0.0
        for pid in self._family():
            with contextlib.suppress(OSError):
                total += cpu_s(pid)
        return total

    def rss_bytes(self) -> int:
        """Resident memory, children included."""
        total = 0
        for pid in self._family():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def fds(self) -> int:
        """Open descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        """Threads."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def stop(self, sig: int = signal.SIGTERM) -> str:
        """Ends it and returns what it printed last; it is killed when it takes longer than 8 s."""
        if self.running():
            self._process.send_signal(sig)
        with contextlib.suppress(BrokenPipeError):
            try:
                out, _ = self._process.communicate(timeout=8)
            except subprocess.TimeoutExpired:
                self._process.kill()
                out, _ = self._process.communicate()
            return (self._pending + out).decode(errors="replace")
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
