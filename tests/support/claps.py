"""Finds the claps of a mock camera (docs/mock-camera.md) in whatever a viewer gets, and says how far they are apart.

witness = watch("http://127.0.0.1:8080/api/v1/cameras/door/stream.mp4", seconds=10)
witness.offsets()     # seconds, click minus flash, one for each clap
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Any

import av
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from framecast.core.packet import Packet
from framecast.mock.clap import PATCH
from framecast.wire import blockcode

WHITE_LUMA = 215
"""Of limited range: white is 235 there."""

LOUD = 0.35
"""Of full scale: a click begins at 0.79, lossy codecs smear a little of it forward."""

QUIET_S = 0.25
NEAREST_S = 0.45
"""A click belongs to the flash that is no farther away; claps are 0.75 s apart at least."""


@dataclass
class Witness:
    """What was seen and heard, with presentation times in seconds.

    Attributes:
        flashes: Times of pictures with a flash, the first of each.
        clicks: Times of the first sample of each click.
        frame_ids: What the block codes of the pictures said, None where unreadable.
        picture_times: Of all pictures.
        sound_s: How much sound there was.
        gaps: Places where the sound's time did not go on from the block before: when, and by how much (s).
    """

    flashes: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    frame_ids: list[int | None] = field(default_factory=list)
    picture_times: list[float] = field(default_factory=list)
    sound_s: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    _white: bool = False
    _loud_s: float = float("-inf")
    _end_s: float | None = None

    def see(self, at_s: float, luma: NDArray[np.uint8]) -> None:
        """A picture is shown; (H, W) uint8, of either range."""
        height, width = luma.shape
        left, top, right, bottom = PATCH
        inside = luma[int(height * top) : int(height * bottom), int(width * left) : int(width * right)]
        white = float(inside.mean()) > WHITE_LUMA
        if white and not self._white:
            self.flashes.append(at_s)
        self._white = white
        self.picture_times.append(at_s)
        code = blockcode.read(luma)
        self.frame_ids.append(None if code is None else code.frame_id)

    def hear(self, at_s: float, samples: NDArray[Any], rate_hz: int) -> None:
        """Sound is played; one channel, floats of full scale 1 or s16."""
        if samples.dtype.kind == "i":
            samples = samples / 32_768
        if self._end_s is not None and abs(at_s - self._end_s) > 1e-3:
            self.gaps.append((at_s, at_s - self._end_s))
        self._end_s = at_s + len(samples) / rate_hz
        self.sound_s += len(samples) / rate_hz
        for index in np.flatnonzero(np.abs(samples) > LOUD):
            loud_s = at_s + int(index) / rate_hz
            if loud_s - self._loud_s > QUIET_S:
                self.clicks.append(loud_s)
            self._loud_s = loud_s

    def offsets(self) -> list[float]:
        """Click minus flash, seconds, for each flash that has its click within 0.45 s."""
        if not self.clicks:
            return []
        clicks = np.array(self.clicks)
        nearest = [float(clicks[np.argmin(np.abs(clicks - flash))] - flash) for flash in self.flashes]
        return [offset for offset in nearest if abs(offset) < NEAREST_S]

    def report(self) -> str:
        """One line for people."""
        offsets = np.array(self.offsets()) * 1_000
        if not len(offsets):
            return f"no claps ({len(self.flashes)} flashes, {len(self.clicks)} clicks)"
        return (
            f"{len(offsets)} claps, click after flash by {np.median(offsets):+.1f} ms "
            f"({offsets.min():+.1f} to {offsets.max():+.1f})"
        )


def watch(
    where: str | IO[bytes],
    *,
    seconds: float = float("inf"),
    form: str | None = None,
    options: dict[str, str] | None = None,
) -> Witness:
    """Decode a file or URL with FFmpeg's libraries until it ends or ``seconds`` of it are over."""
    witness = Witness()
    with av.open(where, format=form, options=options or {}) as container:
        streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        begin: float | None = None
        for packet in container.demux(streams):
            for frame in packet.decode():
                if frame.time is None:
                    continue
                begin = frame.time if begin is None else begin
                if isinstance(frame, av.VideoFrame):
                    witness.see(frame.time, luma_of(frame))
                elif isinstance(frame, av.AudioFrame):
                    witness.hear(frame.time, first_channel(frame), frame.sample_rate)
                if frame.time - begin > seconds:
                    return witness
    return witness


def watch_tracks(witness: Witness, packet: Packet) -> None:
    """A packet of a track, message or part: a JPEG or PCM, at its capture time."""
    at_s = packet.pts_ns / 1e9
    if packet.format.codec == "mjpeg":
        witness.see(at_s, simplejpeg.decode_jpeg(packet.payload, "GRAY")[:, :, 0])
    elif packet.format.codec == "pcm_s16le":
        samples = np.frombuffer(packet.payload, "<i2")[:: packet.format.channels]
        witness.hear(at_s, samples, packet.format.sample_rate_hz)


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The luma plane, (H, W), as it was coded."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


def first_channel(frame: av.AudioFrame) -> NDArray[Any]:
    """Samples of the first channel."""
    samples = frame.to_ndarray()
    return samples[0] if frame.format.is_planar else samples[0, :: frame.layout.nb_channels]
