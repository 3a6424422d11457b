"""A camera's sound that is fetched beside its pictures: a WAV that does not end, or raw PCM.

What it is shows in its first bytes, since many firmwares name the type wrongly. Raw samples say their form in headers
(`X-Sample-Rate`, `X-Channels`), in the Content-Type's parameters, or the URL says it: ``?rate=8000&channels=2``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Literal
from urllib.parse import parse_qs

from framecast.core.errors import DeviceError, Misuse, ProtocolError, Replaced, Stalled, Unreachable
from framecast.core.supervise import Backoff
from framecast.ingest.http_client import Client, Options, Response
from framecast.ingest.sound import Microphone
from framecast.ingest.status import refusal
from framecast.ingest.target import Target
from framecast.wire import pcm, wav
from framecast.wire.pcm import PcmError

log = logging.getLogger("framecast.ingest.sound")

LOOK_S = 0.25
LEAST_S, MOST_S = 0.02, 0.1
"""Length of the chunks that are cut from what comes."""
RAW_TYPES = frozenset({"", "application/octet-stream", "audio/pcm", "audio/raw", "audio/x-raw", "audio/x-pcm", pcm.L16})
WAV_TYPES = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"})

Policy = Literal["on_demand", "always"]


class Cutter:
    """Cuts bytes as they come into chunks of whole samples.

    Args:
        rate_hz: Of raw samples; a WAV says its own.
        channels: Of raw samples.
        swapped: Raw samples come with their high byte first.
    """

    def __init__(self, rate_hz: int = pcm.DEFAULT_RATE_HZ, channels: int = 1, *, swapped: bool = False) -> None:
        self.sample_rate_hz = rate_hz
        self.channels = channels
        self._swapped = swapped
        self._head: bytes | None = b""
        self._wav: wav.Parser | None = None
        self._held = bytearray()

    @property
    def ended(self) -> bool:
        """All that was announced has come."""
        return self._wav is not None and self._wav.ended

    def feed(self, data: bytes) -> list[bytes]:
        """The chunks that are whole now.

        Raises:
            PcmError: It is a WAV that can't be taken.
        """
        if self._head is not None:
            data = self._head = self._head + data
            if len(data) < 12 and b"RIFF".startswith(data[:4]):
                return []
            self._head = None
            if wav.is_wav(data):
                self._wav = wav.Parser()
                self._swapped = False
        if self._wav is not None:
            data = self._wav.feed(data)
            self.sample_rate_hz, self.channels = self._wav.sample_rate_hz, self._wav.channels
            if not self.channels:
                return []
        self._held += data
        frame_bytes = 2 * self.channels
        least, most = (round(span * self.sample_rate_hz) * frame_bytes for span in (LEAST_S, MOST_S))
        chunks: list[bytes] = []
        while len(self._held) >= least:
            size = min(len(self._held) // frame_bytes * frame_bytes, most)
            chunk = bytes(self._held[:size])
            chunks.append(pcm.turned(chunk) if self._swapped else chunk)
            del self._held[:size]
        return chunks


class HttpSound:
    """One URL of sound.

    Args:
        url: Where; user and password may stand in it.
        user: Instead of the URL's, where it has none.
        password: Instead of the URL's.
        options: How to connect.

    Raises:
        Misuse: The URL can't be used.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "", options: Options | None = None) -> None:
        target = Target.parse(url)
        if user and not target.user:
            target = replace(target, user=user, password=password)
        self.target = target
        self._client = Client(options)
        query = parse_qs(target.path.partition("?")[2])
        self._asked = {name: values[-1] for name, values in query.items() if name in ("rate", "channels")}
        try:
            pcm.form_of(self._asked, "rate", "channels")
        except PcmError as error:
            raise Misuse(f"The URL of the sound can't be used: {error}") from None

    async def run(self, microphone: Microphone) -> None:
        """Connect, and feed until the device ends.

        Raises:
            DeviceError: It can't be reached, refuses, or sends no sound; or another device sends this camera's sound.
            Misuse: Its address is forbidden.
        """
        try:
            response = await self._client.get(self.target)
            try:
                await self._consume(response, microphone)
            finally:
                response.close()
        finally:
            microphone.leave(self)
            self._client.close()

    async def _consume(self, response: Response, microphone: Microphone) -> None:
        cutter = self._cutter(response)
        microphone.check_in(self, address=response.target.address)
        failure: list[DeviceError] = []

        def take(data: bytes) -> None:
            try:
                microphone.check_in(self)
                for chunk in cutter.feed(data):
                    microphone.chunk(chunk, sample_rate_hz=cutter.sample_rate_hz, channels=cutter.channels)
            except PcmError as error:
                failure.append(ProtocolError(f"{response.target.shown}: {error}"))
            except Replaced as error:
                failure.append(error)
            if failure or cutter.ended:
                response.close()

        try:
            await response.pump(take)
        except DeviceError:
            if not failure and not cutter.ended:
                raise
        if failure:
            raise failure[0]

    def _cutter(self, response: Response) -> Cutter:
        """What cuts an answer's body.

        Raises:
            DeviceError: The answer can't be sound.
        """
        if response.status != 200:
            raise refusal(response)
        kind = response.media_type
        if kind not in RAW_TYPES and kind not in WAV_TYPES:
            raise ProtocolError(f"{response.target.shown} is {kind}; a WAV or raw PCM is read here")
        parameters = pcm.parameters(response.head.get("content-type"))
        said = {name: value for name in ("rate", "channels") if (value := parameters.get(name))}
        for name, header in (("rate", "x-sample-rate"), ("channels", "x-channels")):
            if value := response.head.get(header):
                said[name] = value
        try:
            rate_hz, channels = pcm.form_of({**said, **self._asked}, "rate", "channels")
        except PcmError as error:
            raise ProtocolError(f"{response.target.shown}: {error}") from None
        return Cutter(rate_hz, channels, swapped=kind == pcm.L16)


class SoundReader:
    """Keeps a camera's sound coming while somebody listens, and for a grace after.

    Args:
        microphone: Gets the chunks.
        source: Where they come from.
        policy: Fetch always, or while somebody listens.
        grace_s: How long to go on when nobody listens.
        stall_timeout_s: Silence after which the connection is given up.

    Attributes:
        connects: Sessions so far.
        last_error: Why the last one ended, in words; empty while all is well.
    """

    def __init__(
        self,
        microphone: Microphone,
        source: HttpSound,
        *,
        policy: Policy = "on_demand",
        grace_s: float = 30.0,
        stall_timeout_s: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.connects = 0
        self.last_error = ""
        self._microphone = microphone
        self._source = source
        self._always = policy == "always"
        self._grace_s = grace_s
        self._stall_timeout_s = stall_timeout_s
        self._backoff = backoff or Backoff(first_s=0.25, cap_s=5.0)
        self._wake = asyncio.Event()
        self._unwanted_since: float | None = None
        self._published = 0
        self._sounded = False
        self._heard_at = 0.0

    async def run(self) -> None:
        """Read until cancelled. May be called again after a failure."""
        track = self._microphone.stream.audio
        before = track.on_demand

        def demand(wanted: bool) -> None:
            self._wake.set()
            if before is not None:
                before(wanted)

        track.on_demand = demand
        try:
            while True:
                while not self._wanted:
                    self._wake.clear()
                    await self._wake.wait()
                reason = await self._attempt()
                if reason is not None:
                    if reason != self.last_error:
                        log.warning("%s: sound: %s", self._microphone.stream.camera_id, reason)
                    self.last_error = reason
                    await asyncio.sleep(self._backoff.next_s())
        finally:
            track.on_demand = before

    @property
    def _wanted(self) -> bool:
        return self._always or self._microphone.stream.audio.wanted

    async def _attempt(self) -> str | None:
        """One session; why it ended, None for want of listeners."""
        self.connects += 1
        self._sounded = False
        self._unwanted_since = None
        self._published, self._heard_at = self._microphone.published, self._now()
        loop = asyncio.get_running_loop()
        session = loop.create_task(self._source.run(self._microphone), name="sound session")
        try:
            while True:
                done, _ = await asyncio.wait({session}, timeout=LOOK_S)
                if done:
                    session.result()
                    return "The device ended its sound"
                if self._look(self._now()):
                    return None
        except (DeviceError, Misuse) as error:
            if isinstance(error, DeviceError):
                self._microphone.refused[error.cause] += 1
            return str(error)
        finally:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)

    def _look(self, now: float) -> bool:
        """Whether the session has to end for want of listeners; raises when it is dead."""
        if self._microphone.published != self._published:
            self._published, self._heard_at = self._microphone.published, now
            self._sounded = True
            self.last_error = ""
            self._backoff.reset()
        silent_s = now - self._heard_at
        if silent_s > self._stall_timeout_s:
            if not self._sounded:
                raise Unreachable(f"No sound came within {silent_s:.0f} s")
            raise Stalled(f"No sound came for {silent_s:.0f} s although the connection is open", silent_s)
        if self._wanted:
            self._unwanted_since = None
            return False
        if self._unwanted_since is None:
            self._unwanted_since = now
        return now - self._unwanted_since >= self._grace_s

    def _now(self) -> float:
        return self._microphone.stream.clock.now_ns() / 1e9
