"""Faults of a device that have their time, rather than befalling a frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from framecast.mock.faults import Fault, Value


class Troubled(Protocol):
    """The device, as its troubles see it."""

    stall_s: float
    down_s: float
    log: Callable[[str], None]

    def hang(self) -> None:
        """Silent from now on."""

    def freeze(self) -> None:
        """Stop half-way through the next picture."""

    def recover(self) -> None:
        """Go on."""

    def jump(self, seconds: float | None = None) -> None:
        """Move the device's own clock."""

    async def leave(self, down_s: float) -> None:
        """Lose the network for a while."""

    async def reboot(self, down_s: float = 0.0) -> None:
        """Start again."""

    async def go_online(self) -> None:
        """Answer, or dial, from now on."""


async def suffer(device: Troubled, fault: Fault, first_sent: asyncio.Event) -> None:
    """Let a fault that has its time befall the device, counted from the first frame."""
    if fault.name == "refuse":
        await asyncio.sleep(fault.value)
        await device.go_online()
        return
    if fault.kind.value not in (Value.AFTER_S, Value.EVERY_S):
        return
    await first_sent.wait()
    while True:
        await asyncio.sleep(fault.value)
        device.log(f"Fault: {fault.name}")
        match fault.name:
            case "stall":
                device.hang()
                await asyncio.sleep(device.stall_s)
                device.recover()
            case "hang":
                device.hang()
            case "freeze-mid-frame":
                device.freeze()
            case "jump":
                device.jump()
            case "wifi-loop":
                await device.leave(device.down_s)
            case "reboot":
                await device.reboot(device.down_s)
        if fault.kind.value is Value.AFTER_S:
            return
