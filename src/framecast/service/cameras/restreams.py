"""Restreams of all cameras: begun, ended and begun anew as the settings say, at once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from framecast.core.clock import Clock
from framecast.core.supervise import Supervisor
from framecast.output.restream.dial import CheckAddress
from framecast.output.restream.restream import Restream, RestreamError, Session
from framecast.output.restream.rtmpsession import RtmpSession
from framecast.output.restream.rtspsession import RtspSession
from framecast.service.cameras.cameras import Camera
from framecast.service.cameras.peering import Peering
from framecast.service.config.restreamurls import hide_secrets, http_url, mask_restream_url


@dataclass(slots=True)
class _Running:
    restream: Restream
    task: asyncio.Task[None]
    is_checked: bool


class Restreams:
    """What pushes cameras on.

    Args:
        peering: Has WebRTC's libraries and settings.
        check_for: Returns the check that the addresses of a camera's restream to a URL have to pass, None for none.
    """

    def __init__(
        self, peering: Peering, supervisor: Supervisor, check_for: Callable[[Camera, str], CheckAddress | None]
    ) -> None:
        self._peering = peering
        self._supervisor = supervisor
        self._check_for = check_for
        self._running: dict[str, dict[str, _Running]] = {}

    def of(self, camera: Camera) -> Iterator[Restream]:
        """The camera's, in the order of its settings."""
        for each in self._running.get(camera.camera_id, {}).values():
            yield each.restream

    def apply(self, camera: Camera) -> None:
        """Let run what the camera's settings name, and nothing else; what stays is not disturbed."""
        before = self._running.get(camera.camera_id, {})
        after: dict[str, _Running] = {}
        for url in camera.config.restream:
            check = self._check_for(camera, url)
            known = before.get(url)
            if known is not None and known.is_checked == (check is not None):
                after[url] = before.pop(url)
            elif url not in after:
                restream = Restream(
                    camera.stream,
                    mask_restream_url(url),
                    partial(self._open, url, check, camera.stream.clock),
                    partial(hide_secrets, url),
                )
                task = self._supervisor.keep(f"restream:{camera.camera_id}", restream.run)
                after[url] = _Running(restream, task, check is not None)
        self._running[camera.camera_id] = after
        for ended in before.values():
            ended.task.cancel()

    def forget(self, camera: Camera) -> None:
        """End all of the camera's."""
        for each in self._running.pop(camera.camera_id, {}).values():
            each.task.cancel()

    async def _open(self, url: str, check: CheckAddress | None, clock: Clock) -> Session:
        if find_spec("av") is None:
            raise RestreamError("H.264 needs further packages here: pip install 'framecast[media]'")
        if url.startswith("rtmp"):
            return RtmpSession(url, check)
        if url.startswith("rtsp"):
            return RtspSession(url, check)
        return await self._open_whip(http_url(url), check, clock)

    async def _open_whip(self, url: str, check: CheckAddress | None, clock: Clock) -> Session:
        try:
            await asyncio.to_thread(importlib.import_module, "framecast.output.webrtc.icedtls")
            library: Any = await asyncio.to_thread(importlib.import_module, "framecast.output.restream.whipsession")
        except (ImportError, OSError):
            raise RestreamError("WHIP needs further packages here: pip install 'framecast[webrtc]'") from None
        session: Session = library.WhipSession(url, check, await self._peering.options(), clock)
        return session


def summary(restream: Restream) -> dict[str, Any]:
    """One restream as the API shows it."""
    retry_in_s = None
    if restream.retry_at is not None:
        with contextlib.suppress(RuntimeError):
            retry_in_s = round(max(0.0, restream.retry_at - asyncio.get_running_loop().time()), 1)
    return {
        "url": restream.label,
        "state": restream.state,
        "since": round(restream.since_ns / 1e9, 3),
        "last_error": restream.last_error,
        "retry_in_s": retry_in_s,
        "connects": restream.connects,
        "frames": restream.frames,
        "bytes": restream.bytes,
        "drops": restream.drops,
    }
