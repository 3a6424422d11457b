"""The fan-outs of one camera's WebRTC viewers: one for each rendition in use, and one for sound."""

from __future__ import annotations

from collections.abc import Callable

from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output.webrtc.lipsync import Hold
from framecast.output.webrtc.rtpfanout import RtpFanout, whole
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import h264, rtp

MOST_LAG = 10
"""A rendition that is always behind the one before is taken over all the same after so many packets."""


class Fanouts:
    """One camera's, as its peers see them.

    Attributes:
        connects: Peers that got through so far.
        failures: Peers that came and did not get through.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.connects = 0
        self.failures = 0
        self._hold = Hold()
        self._fanouts: dict[tuple[Rendition, bool], RtpFanout] = {}
        self._key_requests = 0
        self._keys_asked = 0

    @property
    def key_requests(self) -> int:
        """Wishes of peers for a picture that can be decoded alone."""
        return self._key_requests + sum(fanout.key_requests for fanout in self._fanouts.values())

    @property
    def keys_asked(self) -> int:
        """What became of them: wishes handed on to the encoder."""
        return self._keys_asked + sum(fanout.keys_asked for fanout in self._fanouts.values())

    @property
    def profile(self) -> int:
        """profile_idc of the camera's own H.264 where that is passed on, as far as it is known; else ours."""
        newest = self.stream.native.ring
        if self.stream.passes_native and newest and newest[0].key:
            sets = h264.parameter_sets(newest[0].payload)
            if sets is not None and len(sets.sps) > 1:
                return sets.sps[1]
        return 66

    def join(self, rendition: Rendition, seat: RtpSeat, *, with_sound: bool) -> None:
        """Give a peer its place; pictures for one that hears are sent in step with the sound.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        self._fanout(rendition, with_sound).add(seat)

    def move(
        self, seat: RtpSeat, old: Rendition, new: Rendition, *, with_sound: bool, on_moved: Callable[[], None]
    ) -> Scout:
        """Let a peer have another rendition from its next key picture on; until then it has the one before.

        Raises:
            LimitReached: The camera has too many renditions already.
        """

        def begin(packet: Packet) -> None:
            self.leave(old, seat, with_sound=with_sound)
            fanout = self._fanout(new, with_sound)
            is_first = not len(fanout)
            fanout.add(seat, begins_now=True)
            if is_first:
                fanout.push(packet)  # it came to the track too late to be handed this one
            on_moved()

        fanout = self._fanouts.get((old, with_sound))
        return Scout(self.stream.track(new), begin, None if fanout is None else fanout.track)

    def leave(self, rendition: Rendition, seat: RtpSeat, *, with_sound: bool) -> None:
        """Take it back. Safe to call twice."""
        fanout = self._fanouts.get((rendition, with_sound))
        if fanout is not None:
            fanout.remove(seat)

    def want_key(self, rendition: Rendition, *, with_sound: bool) -> None:
        """A peer wants a picture that can be decoded alone."""
        fanout = self._fanouts.get((rendition, with_sound))
        if fanout is not None:
            fanout.want_key()

    def _fanout(self, rendition: Rendition, with_sound: bool) -> RtpFanout:
        key = rendition, with_sound
        fanout = self._fanouts.get(key)
        if fanout is None:
            track = self.stream.track(rendition)
            cut, clock_hz = (whole, rtp.SOUND_HZ) if rendition.is_sound else (rtp.h264_payloads, rtp.VIDEO_HZ)
            fanout = RtpFanout(
                track,
                cut,
                clock_hz,
                on_empty=lambda: self._end(key),
                hold=self._hold if with_sound else None,
                clock=self.stream.clock,
            )
            self._fanouts[key] = fanout
        return fanout

    def _end(self, key: tuple[Rendition, bool]) -> None:
        fanout = self._fanouts.pop(key)
        self._key_requests += fanout.key_requests
        self._keys_asked += fanout.keys_asked


class Scout:
    """Waits at a track for its next key picture, for a peer that is about to move there.

    One of a picture before the peer's last would take it back in time, RTP stamps and all: an encoder begins with what
    waited while it was made. Then another one is asked for. One of the same picture will do: where one core encodes,
    that is what comes.

    Args:
        on_key: Called with it, once, before fan-outs get it.
        before: The track that the peer has until then.
    """

    bulk = False

    def __init__(self, track: Track, on_key: Callable[[Packet], None], before: Track | None = None) -> None:
        self._track = track
        self._on_key = on_key
        self._before = before
        self._lag = 0
        track.attach(self)
        track.want_key()

    def push(self, packet: Packet) -> None:
        """See `Sink`."""
        self._lag += 1
        if not packet.key:
            return
        sent = None if self._before is None else self._before.latest
        if sent is None or (packet.frame_id, packet.pts_ns) >= (sent.frame_id, sent.pts_ns) or self._lag > MOST_LAG:
            self.cancel()
            self._on_key(packet)
        else:
            self._track.want_key()

    def clear(self) -> None:
        """See `Sink`."""

    def cancel(self) -> None:
        """Wait no more. Safe to call twice."""
        self._track.detach(self)
