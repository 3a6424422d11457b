"""What one camera hears and says, as the service holds it."""

from __future__ import annotations

import asyncio
from typing import Literal

from framecast.core.packet import Packet
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.synced import synced_frame
from framecast.ingest.http_client import Options
from framecast.ingest.http_sound import HttpSound, SoundReader
from framecast.ingest.sound import Microphone
from framecast.ingest.target import Target
from framecast.output.sound import Output
from framecast.output.talk import Talk
from framecast.service.cameras.reach import check_address
from framecast.service.config import CameraConfig, StreamOptions
from framecast.service.config.sections import NetworkSettings

Duplex = Literal["half", "full"]
ECHO_S = 0.3
"""How much longer the microphone stays muted: the device still plays what it holds."""


def open_sound(config: CameraConfig, network: NetworkSettings, origin: str) -> HttpSound | None:
    """Where a camera's sound is fetched; None where it has no URL of its own.

    Args:
        origin: Who gave that URL; one given over the API may not lead everywhere.

    Raises:
        Misuse: It can't be used.
    """
    if not config.audio_url:
        return None
    options = Options(check_address=check_address(network) if origin == "api" else None, verify_tls=config.verify_tls)
    user, password = "", ""
    if config.kind == "pull" and Target.parse(config.url).host == Target.parse(config.audio_url).host:
        user, password = config.username, config.password
    return HttpSound(config.audio_url, user=user, password=password, options=options)


class Sound:
    """A camera's microphone, its listeners and its speaker. It outlives the reader, as the stream does.

    Args:
        stream: The camera.
        duplex: ``half``: its microphone is muted while somebody talks to it.

    Attributes:
        microphone: Takes its sound.
        listeners: Who hears it over HTTP.
        reader: Fetches its sound, where that has a URL of its own.
        talk: Who talks to it.
        speakers: Devices that play what is said.
    """

    def __init__(self, stream: Stream, duplex: Duplex) -> None:
        self.duplex = duplex
        self.microphone = Microphone(stream)
        self.listeners = Output(stream.audio, stream)
        self.talk = Talk(stream.clock)
        self.speakers = Output(self.talk.track)
        self.reader: SoundReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._echo: asyncio.TimerHandle | None = None
        self.talk.on_change.append(self._mute)

    def start(self, source: HttpSound | None, options: StreamOptions, supervisor: Supervisor) -> None:
        """Fetch the sound from ``source`` from now on, if there is one."""
        if source is None:
            return
        self.reader = SoundReader(
            self.microphone,
            source,
            policy=options.policy,
            grace_s=options.grace_s,
            stall_timeout_s=options.stall_timeout_s,
        )
        self._task = supervisor.keep(f"sound:{self.microphone.stream.camera_id}", self.reader.run)

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = self.reader = None

    @property
    def heard_by(self) -> int:
        """Who listens: over HTTP, over the dashboard's socket; those of one coded form count as one."""
        others = self.microphone.stream.audio.sinks - bool(len(self.listeners))
        return len(self.listeners) + others

    def synced_frame(self, audio_timestamp_ns: int) -> Packet | None:
        """The picture captured nearest to a sound, None when none was within 500 ms; see `core.synced`."""
        return synced_frame(self.microphone.stream.video, audio_timestamp_ns)

    def close(self) -> None:
        """Drop everybody."""
        self.listeners.close()
        self.speakers.close()
        self._end_echo()

    def _mute(self) -> None:
        self._end_echo()
        if self.talk.taken:
            self.microphone.muted = self.duplex == "half"
        elif self.microphone.muted:
            self._echo = asyncio.get_running_loop().call_later(ECHO_S, self._unmute)

    def _unmute(self) -> None:
        self._echo = None
        self.microphone.muted = False

    def _end_echo(self) -> None:
        if self._echo is not None:
            self._echo.cancel()
            self._echo = None
