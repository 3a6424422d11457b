"""Closing what must be closed, even when whoever does it is told to stop once more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def see_through(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run ``coroutine`` to its end; being cancelled meanwhile counts only afterwards. It has to end by itself, soon."""
    task = asyncio.ensure_future(coroutine)
    told: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancelled:
            if task.cancelled():
                raise
            told = cancelled
    if told is not None:
        raise told
