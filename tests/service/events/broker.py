"""A real Mosquitto, and somebody who listens to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from tests.support.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or "mosquitto"
PASSWORD = "open sesame"


class Broker:
    """One that can be ended and started again, at the same port. It keeps what is retained while it runs."""

    def __init__(
        self, folder: Path, *, password: bool = False, certificate: Path | None = None, most_bytes: int = 0
    ) -> None:
        self.port = free_port()
        self.url = f"{'mqtts' if certificate else 'mqtt'}://127.0.0.1:{self.port}"
        self._file = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not password).lower()}", "user root"]
        if certificate is not None:
            lines += [f"certfile {certificate}", f"keyfile {certificate}"]
        if most_bytes:
            lines.append(f"max_packet_size {most_bytes}")
        if password:
            kept = folder / "passwords"
            tool = Path(MOSQUITTO).with_name("mosquitto_passwd")
            command = shutil.which("mosquitto_passwd") or str(tool)
            subprocess.run([command, "-b", "-c", str(kept), "me", PASSWORD], check=True, capture_output=True)
            lines.append(f"password_file {kept}")
        self._file.write_text("\n".join(lines) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def running(
        cls, folder: Path, *, password: bool = False, certificate: Path | None = None, most_bytes: int = 0
    ) -> AsyncIterator[Broker]:
        """One that runs."""
        broker = cls(folder, password=password, certificate=certificate, most_bytes=most_bytes)
        await broker.start()
        try:
            yield broker
        finally:
            await broker.stop()

    async def start(self) -> None:
        """Let it run, and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self._file), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.01)
                    continue
                writer.close()
                await writer.wait_closed()
                return

    def fall_silent(self) -> None:
        """Its connections stand, and it answers nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def break_down(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@dataclass
class Listener:
    """Whoever hears everything, as Home Assistant would.

    Attributes:
        held: What is retained, by topic, the latest of each.
        heard: Every message, in order.
    """

    held: dict[str, bytes] = field(default_factory=dict)
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def of(cls, broker: Broker, **options: str) -> AsyncIterator[Listener]:
        """One that listens."""
        listener = cls()
        async with aiomqtt.Client("127.0.0.1", broker.port, **options) as client:  # type: ignore[arg-type]
            await client.subscribe("#", 1)

            async def listen() -> None:
                async for message in client.messages:
                    topic, payload = str(message.topic), bytes(message.payload or b"")  # type: ignore[arg-type]
                    listener.held[topic] = payload
                    listener.heard.append((topic, payload))

            task = asyncio.create_task(listen())
            try:
                yield listener
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
