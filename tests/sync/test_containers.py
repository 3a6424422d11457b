"""Flash and click are together in what viewers decode, for ten minutes of a clock that is 200 millionths off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import av
import numpy as np
import pytest

from framecast.core.packet import Packet
from framecast.core.rendition import AAC, H264, OPUS
from framecast.output.containers.fragments import Fragments
from framecast.output.containers.transportstream import TransportStream
from tests.support.claps import Witness, first_channel, luma_of, watch
from tests.sync.house import House, Tap, Way, doorbell, house, stamped
from tests.sync.virtual import Arrival, Device

pytestmark = pytest.mark.anyio

TEN_MINUTES_S = 600.0
MOST_S = 0.040


@dataclass
class Recorded:
    """What viewers of each container got, from their first key picture on; and the packets that WebRTC sends."""

    mp4: bytearray = field(default_factory=bytearray)
    mpegts: bytearray = field(default_factory=bytearray)
    packets: list[Packet] = field(default_factory=list)

    def witness(self, form: str) -> Witness:
        if form != "packets":
            return watch(BytesIO(bytes(getattr(self, form))), form=form)
        witness = Witness()
        decoders = {"h264": av.CodecContext.create("h264", "r"), "opus": av.CodecContext.create("libopus", "r")}
        for packet in self.packets:
            at_s = packet.pts_ns / 1e9
            for frame in decoders[packet.format.codec].decode(av.Packet(packet.payload)):
                if isinstance(frame, av.VideoFrame):
                    witness.see(at_s, luma_of(frame))
                else:
                    witness.hear(at_s, first_channel(frame), frame.sample_rate)
        return witness


async def record(device: Device, way: Way) -> Recorded:
    """One encode, all containers."""
    recorded = Recorded()
    async with house() as camera:
        fragments, transport = Fragments(camera.stream, H264), TransportStream(camera.stream, H264)

        def begin() -> None:
            recorded.mp4[:] = fragments.init or b""  # what came before is another file

        fragments.on_generation.append(begin)
        fragments.track.attach(Tap(collector(recorded.mp4)))
        transport.track.attach(Tap(collector(recorded.mpegts)))
        pictures, sound, opus = Tap(recorded.packets.append), Tap(lambda packet: None), Tap(recorded.packets.append)
        camera.stream.track(H264).attach(pictures)
        camera.stream.track(AAC).attach(sound)
        camera.stream.track(OPUS).attach(opus)
        await camera.play(device, way, lambda arrival: settled(camera, arrival, pictures, (sound, opus)))
    return recorded


def collector(data: bytearray) -> Callable[[Packet], None]:
    def take(packet: Packet) -> None:
        data.extend(packet.payload)

    return take


async def settled(camera: House, arrival: Arrival, pictures: Tap, sounds: tuple[Tap, ...]) -> None:
    """Wait until the encoders have done with what arrived (virtual time would outrun them)."""
    if arrival.sound:
        newest = camera.stream.audio.latest
        for sound in sounds:
            if newest is not None and sound.latest is not None:
                await sound.until(lambda sound=sound: newest.pts_ns - sound.latest.pts_ns < 300_000_000)
    else:
        newest = camera.stream.video.latest
        await pictures.until(lambda: pictures.latest is not None and pictures.latest.frame_id == newest.frame_id)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "ppm", "seconds"), [(stamped, 200, TEN_MINUTES_S), (doorbell, -200, 180.0)])
async def test_together_to_the_end(way: Way, ppm: float, seconds: float) -> None:
    recorded = await record(Device(seconds, ppm=ppm, fps=5), way)
    for form in ("mp4", "mpegts", "packets"):
        witness = recorded.witness(form)
        offsets = np.array(witness.offsets())
        print(f"{form} {way.__name__} {ppm}: {witness.report()}, gaps {witness.gaps[:5]}")
        assert len(offsets) >= seconds - 15
        assert np.abs(offsets).max() <= MOST_S
        # It does not wander off either: the last minutes are as the first.
        assert abs(np.median(offsets[:100]) - np.median(offsets[-100:])) < 0.005
