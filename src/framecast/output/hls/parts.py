"""What the parts of HLS are made of: MPEG-TS or MP4."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from framecast.core.packet import Packet
from framecast.wire import fmp4


class Container(Protocol):
    """How a part is made of pieces.

    Attributes:
        ending: Of the names of segments and parts.
        content_type: Of segments and parts.
    """

    ending: str
    content_type: str

    def pack(self, number: int, pieces: Sequence[Packet], end_ns: int) -> bytes:
        """A part.

        Args:
            number: Rises by one per part.
            pieces: Pictures, the first piece among them, and sound.
            end_ns: When the next picture is shown.
        """


class TsContainer:
    """MPEG-TS: the pieces as they are, one behind the other."""

    ending = "ts"
    content_type = "video/mp2t"

    def pack(self, number: int, pieces: Sequence[Packet], end_ns: int) -> bytes:
        """See `Container`."""
        return b"".join([piece.payload for piece in pieces])


class Mp4Container:
    """MP4: one fragment, in which each picture lasts exactly until the next one."""

    ending = "m4s"
    content_type = "video/mp4"

    def pack(self, number: int, pieces: Sequence[Packet], end_ns: int) -> bytes:
        """See `Container`."""
        pictures: list[tuple[int, bytes, bool]] = []
        sound: list[tuple[int, bytes]] = []
        last_ns = pieces[0].pts_ns
        for piece in pieces:
            for run in fmp4.read_fragment(piece.payload)[1]:
                at = run.decode_time
                for sample in run.samples:
                    if run.track_id == fmp4.VIDEO_ID:
                        pictures.append((at, sample.data, piece.key))
                        last_ns = piece.pts_ns
                    else:
                        sound.append((at, sample.data))
                    at += sample.duration
        end = pictures[-1][0] + fmp4.ticks(end_ns - last_ns, fmp4.VIDEO_TIMESCALE)
        times = [*(at for at, _, _ in pictures), end]
        lasts = [max(after - at, 1) for at, after in itertools.pairwise(times)]
        video = [fmp4.Sample(data, ticks, key) for (_, data, key), ticks in zip(pictures, lasts, strict=True)]
        runs = [fmp4.TrackRun(fmp4.VIDEO_ID, times[0], video)]
        if sound:
            # A block that is followed by a gap lasts until its end.
            lasts = [max(after[0] - block[0], 1) for block, after in itertools.pairwise(sound)]
            blocks = [fmp4.Sample(data, ticks) for (_, data), ticks in zip(sound, [*lasts, 1024], strict=True)]
            runs.append(fmp4.TrackRun(fmp4.AUDIO_ID, sound[0][0], blocks))
        return fmp4.fragment(number, runs)
