"""A camera's H.264 and sound as MPEG-TS, made once for everybody.

A sink of two tracks that gives whole transport packets to a third one, a picture or a few blocks of sound at a time.
What begins with a key picture begins with the tables, so a newcomer starts with what the track kept since the last one;
who missed something goes on at the next one, behind packets that say so (`resume`).
"""

from __future__ import annotations

from dataclasses import replace

from framecast.core.derived import CODED_BYTES, CODED_PACKETS
from framecast.core.packet import Format, Packet
from framecast.core.rendition import AAC, Rendition
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output.containers.firstpictures import FirstPictures, has_recent
from framecast.output.containers.fragments import Ear
from framecast.wire import mpegts

SOUND_WAITS_NS = 100_000_000
"""Blocks of sound travel together for so long: each piece costs a packet's stuffing."""


class TransportStream:
    """One camera's transport stream.

    Args:
        stream: The camera.
        rendition: Of its pictures; ``h264``, in any size.
        audio: Whether sound is wanted, where there is some.

    Attributes:
        track: Whole transport packets; the ring begins at a key picture, its ``want_key`` is the encoder's.
    """

    bulk = True

    def __init__(self, stream: Stream, rendition: Rendition, *, audio: bool = True) -> None:
        self.stream = stream
        self.rendition = rendition
        self.track = Track(
            f"mpegts/{rendition.name}",
            ring_packets=2 * CODED_PACKETS,
            ring_bytes=CODED_BYTES,
            on_demand=self._demand,
            since_key=True,
        )
        self._video: Track | None = None
        self._sound: Track | None = None
        self._ear = Ear(self._hear)
        self._hears = audio
        self._first = FirstPictures(stream)
        self._muxer: mpegts.Muxer | None = None
        self._version = 0
        self._audio: tuple[int, int] | None = None
        self._epoch = 0
        self._blocks: list[Packet] = []

    @property
    def has_sound(self) -> bool:
        """Whether sound goes with the pictures now."""
        return self._muxer is not None and self._audio is not None

    def _demand(self, wanted: bool) -> None:
        if wanted:
            self._video = self.track.upstream = self.stream.track(self.rendition)
            if self._hears:
                self._sound = self.stream.track(AAC)
                self._sound.attach(self._ear)
            for packet in self._video.backlog:
                self.push(packet)
            self._video.attach(self)
            return
        if self._video is not None:
            self._video.detach(self)
        if self._sound is not None:
            self._sound.detach(self._ear)
        self._video = self._sound = self.track.upstream = None
        self.clear()

    def clear(self) -> None:
        """Forget everything (see `Track.clear`)."""
        self._muxer = None
        self._first.forget()
        self._blocks.clear()
        self.track.clear()

    def push(self, packet: Packet) -> None:
        """A picture."""
        for each in self._first.take(packet, self._sound) if self._muxer is None else (packet,):
            self._mux(each)

    def _mux(self, packet: Packet) -> None:
        if packet.key:
            self._prepare(packet)
        muxer = self._muxer
        if muxer is None:
            return
        unit = muxer.video(packet.payload, _ticks(packet.pts_ns), key=packet.key)
        form = Format("mpegts", packet.format.width_px, packet.format.height_px)
        self.track.publish(replace(packet, payload=unit, format=form))

    def _prepare(self, packet: Packet) -> None:
        """Have the muxer that fits from this key picture on: with sound where there is some."""
        newest = self._sound.latest if self._sound is not None else None
        if newest is not None and has_recent(self.stream, self._sound):
            audio: tuple[int, int] | None = (newest.format.sample_rate_hz, newest.format.channels)
        else:
            audio = self._audio if self._muxer is not None else None
        if self._muxer is None or audio != self._audio:
            self._version = (self._version + 1) % 32
            self._muxer = mpegts.Muxer(audio, version=self._version)
            self._muxer.break_off()  # its counters begin anew, and viewers may have had those of another one
            self._audio = audio
            self._blocks.clear()
        elif packet.epoch != self._epoch:
            self._muxer.break_off()
        self._epoch = packet.epoch

    def _hear(self, packet: Packet) -> None:
        """A block of sound."""
        muxer, latest = self._muxer, self.track.latest
        if muxer is None or latest is None:
            return
        rate_hz = packet.format.sample_rate_hz
        if (rate_hz, packet.format.channels) != self._audio:
            if not self._blocks:
                self.track.want_key()  # it begins with the next key picture
            return
        self._blocks.append(packet)
        blocks = self._blocks
        if blocks[-1].pts_ns - blocks[0].pts_ns + 1024 * 1_000_000_000 // rate_hz < SOUND_WAITS_NS:
            return
        self._blocks = []
        unit = muxer.audio([block.payload for block in blocks], _ticks(blocks[0].pts_ns))
        self.track.publish(
            replace(latest, payload=unit, key=False, pts_ns=blocks[0].pts_ns, received_ns=packet.received_ns)
        )


def _ticks(pts_ns: int) -> int:
    """Ticks of 90 kHz."""
    return pts_ns * 9 // 100_000
