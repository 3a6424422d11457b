"""A camera's H.264 and sound as fragmented MP4, made once for everybody: a fragment for each picture.

Theory of operation. `Fragments` is a sink of two tracks, the coded pictures and the AAC sound, and gives its fragments
to a third one, to which viewers attach; it is attached to its sources only while somebody is. Each picture goes out at
once, so its duration is a guess (the last interval); that does no harm, since every fragment says exactly when it
begins. Sound travels with the next picture, or by itself when none comes soon.

What was said in the init segment (parameter sets, whether there is sound) may change. Then a new *generation* begins,
with a key picture: another init segment, times that go on. A file over HTTP ends there, HLS marks a discontinuity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from framecast.core.derived import CODED_BYTES, CODED_PACKETS
from framecast.core.packet import Format, Packet
from framecast.core.rendition import AAC, Rendition
from framecast.core.repeat import STEP_NS
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output.containers.firstpictures import FirstPictures, has_recent
from framecast.wire import fmp4, h264

SOUND_WAITS_NS = 130_000_000
"""Sound older than this goes out by itself: two blocks of AAC at 16 kHz."""
JITTER_S = 0.002
"""A block of sound that is no farther from the end of the last one follows it exactly."""
LONGEST_NS = 1_000_000_000
"""Most that is guessed for a picture's duration."""
BACK_NS = 1_000_000_000
"""A step back in time by more begins a new generation; less is smoothed over."""


class Fragments:
    """One camera's fragments of one rendition.

    Args:
        stream: The camera.
        rendition: Of its pictures; ``h264``, in any size.
        audio: Whether sound is wanted, where there is some.

    Attributes:
        track: The fragments; the ring begins at a key picture, its ``want_key`` is the encoder's.
        init: The init segment of the current generation; None before the first picture.
        mime: What a player has to be asked whether it can play, with codecs; empty before the first picture.
        generation: Rises when another init segment holds; from 1.
        base_ns: Capture time (Unix ns of our clock) at which media time 0 lies.
        has_sound: Whether this generation has a track of sound.
        on_generation: Called after a new generation has begun, before its first fragment goes out.
    """

    bulk = True

    def __init__(self, stream: Stream, rendition: Rendition, *, audio: bool = True) -> None:
        self.stream = stream
        self.rendition = rendition
        self.init: bytes | None = None
        self.mime = ""
        self.generation = 0
        self.base_ns = 0
        self.has_sound = False
        self.on_generation: list[Callable[[], None]] = []
        self.track = Track(
            f"mp4/{rendition.name}",
            ring_packets=2 * CODED_PACKETS,
            ring_bytes=CODED_BYTES,
            on_demand=self._demand,
            since_key=True,
        )
        self._audio = audio
        self._video: Track | None = None
        self._sound: Track | None = None
        self._ear = Ear(self._hear)
        self._sets: h264.ParameterSets | None = None
        self._sound_form: Format | None = None
        self._last_video_ns = 0
        self._interval_ns = 0
        self._blocks: list[Packet] = []
        self._first = FirstPictures(stream)
        self._sound_at: int | None = None
        self._sequence = 0

    # Its readers come and go.

    def _demand(self, wanted: bool) -> None:
        if wanted:
            self._video = self.track.upstream = self.stream.track(self.rendition)
            if self._audio:
                self._sound = self.stream.track(AAC)
                self._sound.attach(self._ear)
            for packet in self._video.backlog:
                self.push(packet)
            self._video.attach(self)
            self._video.want_key()
        else:
            if self._video is not None:
                self._video.detach(self)
            if self._sound is not None:
                self._sound.detach(self._ear)
            self._video = self._sound = self.track.upstream = None
            self._forget()
            self.track.clear()

    def clear(self) -> None:
        """Forget everything (see `Track.clear`)."""
        self._forget()
        self.track.clear()

    def _forget(self) -> None:
        self.init = None
        self.mime = ""
        self._sets = None
        self._sound_form = None
        self._blocks.clear()
        self._first.forget()
        self._sound_at = None
        self._last_video_ns = 0

    # What comes in.

    def push(self, packet: Packet) -> None:
        """A picture."""
        for each in self._first.take(packet, self._sound) if self.init is None else (packet,):
            self._cut(each)

    def _cut(self, packet: Packet) -> None:
        if packet.key:
            self._look_at(packet)
        if self.init is None:
            return
        if packet.pts_ns <= self._last_video_ns:
            packet = replace(packet, pts_ns=self._last_video_ns + 1_000_000)
        elif self._last_video_ns:
            interval_ns = packet.pts_ns - self._last_video_ns
            if interval_ns > STEP_NS:  # else it is the same picture again
                self._interval_ns = min(interval_ns, LONGEST_NS)
        self._last_video_ns = packet.pts_ns
        at = fmp4.ticks(packet.pts_ns - self.base_ns, fmp4.VIDEO_TIMESCALE)
        duration = fmp4.ticks(self._interval_ns or 33_333_333, fmp4.VIDEO_TIMESCALE)
        sample = fmp4.Sample(h264.to_avcc(packet.payload), duration, packet.key)
        runs = [fmp4.TrackRun(fmp4.VIDEO_ID, at, [sample])]
        sound = self._take_sound()
        if sound is not None:
            runs.append(sound)
        self._give(packet, runs)

    def _hear(self, packet: Packet) -> None:
        """A block of sound."""
        if self.init is None:
            return
        if self._sound_form is None or packet.format != self._sound_form:
            # It begins with the next key picture, which has to be a new generation's.
            if self._sound_form is None or self.has_sound:
                self._sets = None
                self.track.want_key()
            self._sound_form = packet.format
            return
        if not self.has_sound or packet.pts_ns < self.base_ns:
            return
        rate = packet.format.sample_rate_hz
        at = fmp4.ticks(packet.pts_ns - self.base_ns, rate)
        expected = None if self._sound_at is None else self._sound_at + 1024 * len(self._blocks)
        if expected is not None and abs(at - expected) > JITTER_S * rate:
            self._flush_sound()
            if at < self._sound_after:
                return  # overlaps what went out: its time is taken
            expected = None
        if not self._blocks:
            self._sound_at = at if expected is None else expected
        self._blocks.append(packet)
        oldest_ns = self._blocks[0].pts_ns
        if self.stream.clock.now_ns() - oldest_ns > SOUND_WAITS_NS and packet.pts_ns - oldest_ns > SOUND_WAITS_NS // 2:
            self._flush_sound()

    # What goes out.

    def _look_at(self, packet: Packet) -> None:
        """Begin a new generation with this key picture if the last one's init segment does not hold for it."""
        sets = h264.parameter_sets(packet.payload) or self._sets
        if sets is None:
            return
        back = self._last_video_ns - packet.pts_ns > BACK_NS
        if self.init is not None and sets == self._sets and not back:
            return
        newest = self._sound.latest if self._sound is not None else None
        audio = None
        if newest is not None and has_recent(self.stream, self._sound):
            form = newest.format
            self._sound_form = form
            audio = fmp4.AudioTrack("aac", form.sample_rate_hz, form.channels)
        video = fmp4.VideoTrack(sets)
        self._sets = sets
        self._blocks.clear()
        self._sound_at = None
        self.has_sound = audio is not None
        self.init = fmp4.init_segment(video, audio)
        self.mime = fmp4.mime(video, audio)
        self.generation += 1
        if not self.base_ns or back or packet.pts_ns < self.base_ns:
            self.base_ns = packet.pts_ns
            self._sequence = 0
        if back:
            self._last_video_ns = 0
        self.track.clear()
        for listener in tuple(self.on_generation):
            listener()

    @property
    def _sound_after(self) -> int:
        return 0 if self._sound_at is None else self._sound_at

    def _take_sound(self) -> fmp4.TrackRun | None:
        if not self._blocks or self._sound_at is None:
            return None
        run = fmp4.TrackRun(fmp4.AUDIO_ID, self._sound_at, [fmp4.Sample(block.payload, 1024) for block in self._blocks])
        self._sound_at += 1024 * len(self._blocks)
        self._blocks = []
        return run

    def _flush_sound(self) -> None:
        latest = self.track.latest
        blocks = self._blocks
        run = self._take_sound()
        if run is not None and latest is not None:
            self._give(replace(latest, key=False, pts_ns=blocks[0].pts_ns, received_ns=blocks[-1].received_ns), [run])

    def _give(self, packet: Packet, runs: list[fmp4.TrackRun]) -> None:
        self._sequence += 1
        form = Format("mp4", packet.format.width_px, packet.format.height_px)
        payload = fmp4.fragment(self._sequence, runs)
        self.track.publish(replace(packet, payload=payload, format=form, seq=self._sequence))


class Ear:
    """A sink for sound, beside the one for pictures."""

    bulk = True

    def __init__(self, hear: Callable[[Packet], None]) -> None:
        self.push = hear

    def clear(self) -> None:
        """Nothing is kept here."""


MOST_KEPT = 256
"""Fragments that nobody watches are kept for the next one who does, unless people ask for ever other ones."""


class FragmentHub:
    """All fragments of the server, so that everybody who wants the same gets the same bytes."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Rendition, bool], Fragments] = {}

    def get(self, stream: Stream, rendition: Rendition, *, audio: bool = True) -> Fragments:
        """The fragments of ``rendition``; made when first asked for.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        stream.check(rendition)
        key = (stream.camera_id, rendition, audio)
        made = self._made.get(key)
        if made is None or made.stream is not stream:
            if len(self._made) >= MOST_KEPT:
                self._made = {each: kept for each, kept in self._made.items() if kept.track.wanted}
            made = self._made[key] = Fragments(stream, rendition, audio=audio)
        return made

    def forget(self, camera_id: str) -> None:
        """A camera is gone."""
        for key in [key for key in self._made if key[0] == camera_id]:
            del self._made[key]
