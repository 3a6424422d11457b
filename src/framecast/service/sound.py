"""What one camera hears and says, as the service holds it."""

from __future__ import annotations

import asyncio
from typing import Literal

from framecast.core.stream import Stream
from framecast.ingest.sound import Microphone
from framecast.output.sound import Output
from framecast.output.talk import Talk

Duplex = Literal["half", "full"]
ECHO_S = 0.3
"""How much longer the microphone stays muted: the device still plays what it holds."""


class Sound:
    """A camera's microphone, its listeners and its speaker. It outlives the reader, as the stream does.

    Args:
        stream: The camera.
        duplex: ``half``: its microphone is muted while somebody talks to it.

    Attributes:
        microphone: Takes its sound.
        listeners: Who hears it over HTTP.
        talk: Who talks to it.
        speakers: Devices that play what is said.
    """

    def __init__(self, stream: Stream, duplex: Duplex) -> None:
        self.duplex = duplex
        self.microphone = Microphone(stream)
        self.listeners = Output(stream.audio)
        self.talk = Talk(stream.clock)
        self.speakers = Output(self.talk.track)
        self._echo: asyncio.TimerHandle | None = None
        self.talk.on_change.append(self._mute)

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
