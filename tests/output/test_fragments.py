"""Fragments of MP4 from coded pictures and sound, read back by FFmpeg."""

from __future__ import annotations

import io
from typing import cast

import av
import pytest

from framecast.core.clock import ManualClock
from framecast.core.packet import Format, Packet
from framecast.core.rendition import H264, Rendition
from framecast.core.repeat import STEP_NS
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output.containers.fragments import MOST_KEPT, FragmentHub, Fragments
from framecast.wire import blockcode
from tests.core.fakes import START_NS, Collector
from tests.wire.coded import CLOCK_HZ, Unit, pictures, sound

RATE = 16_000
BLOCK_NS = 1024 * 1_000_000_000 // RATE


class Camera:
    """As much of a stream as fragments need: two tracks and a clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        self.camera_id = "cam"
        self.audio = Track("audio")
        self.state_since_ns = START_NS - 60_000_000_000
        self.video = Track("h264", ring_packets=100, since_key=True)
        self.sound = Track("aac")
        self.key_wishes = 0
        self.video.on_key_wanted = self._wish
        self._pictures = 0
        self._blocks = 0

    def _wish(self) -> None:
        self.key_wishes += 1

    def track(self, rendition: Rendition) -> Track:
        return self.sound if rendition.is_sound else self.video

    def show(self, unit: Unit, *, late_ns: int = 0) -> None:
        pts_ns = START_NS + unit.pts * 1_000_000_000 // CLOCK_HZ + late_ns
        self.clock.advance(max(0.0, (pts_ns - self.clock.now_ns()) / 1e9))
        form = Format("h264", 160, 96)
        self.video.publish(Packet(unit.data, form, self._pictures, self._pictures, 1, pts_ns, pts_ns, unit.key))
        self._pictures += 1

    def speak(self, block: bytes, at_ns: int, *, channels: int = 1) -> None:
        form = Format("aac", sample_rate_hz=RATE, channels=channels)
        received_ns = self.clock.now_ns()
        self.sound.publish(Packet(block, form, self._blocks, self._blocks, 1, START_NS + at_ns, received_ns))
        self._blocks += 1


def watched(camera: Camera) -> tuple[Fragments, Collector]:
    fragments = Fragments(cast(Stream, camera), H264)
    viewer = Collector()
    fragments.track.attach(viewer)
    return fragments, viewer


def file_of(fragments: Fragments, viewer: Collector) -> bytes:
    assert fragments.init is not None
    return fragments.init + b"".join(each.payload for each in viewer.packets)


def test_each_picture_is_a_fragment_at_once_and_at_its_own_time() -> None:
    camera = Camera()
    times = [0, 3000, 9000, 9900, 30_000, 33_000]
    fragments, viewer = watched(camera)
    for number, unit in enumerate(pictures(times)):
        camera.show(unit)
        assert len(viewer.packets) == number + 1
    assert [each.frame_id for each in viewer.packets] == list(range(len(times)))
    assert fragments.mime.startswith('video/mp4; codecs="avc1.')
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        shown = [(frame.pts, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert [pts for pts, _ in shown] == times
    codes = [blockcode.read(image) for _, image in shown]
    assert [None if code is None else code.frame_id for code in codes] == list(range(len(times)))


def test_a_newcomer_is_given_what_the_encoder_kept() -> None:
    camera = Camera()
    for unit in pictures([0, 3000, 6000]):
        camera.show(unit)
    _, viewer = watched(camera)
    assert [(each.frame_id, each.key) for each in viewer.packets] == [(0, True), (1, False), (2, False)]


def test_wishes_for_a_key_picture_are_the_encoders_where_there_is_one() -> None:
    camera = Camera()
    fragments, _ = watched(camera)
    before = camera.key_wishes
    fragments.track.want_key()
    assert (camera.key_wishes, fragments.track.gives_keys) == (before + 1, True)
    camera.video.on_key_wanted = None
    assert not fragments.track.gives_keys, "a camera that codes by itself"


def test_a_picture_that_was_first_seen_when_it_came_again_can_come_anew() -> None:
    camera = Camera()
    (unit,) = pictures([0])
    camera.show(unit, late_ns=STEP_NS)
    fragments, viewer = watched(camera)
    fragments.track.detach(viewer)
    camera.video.clear()
    _, viewer = fragments, Collector()
    fragments.track.attach(viewer)
    camera.show(unit)
    assert len(viewer.packets) == 1
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        assert [frame.pts for frame in container.decode(video=0)] == [0]


def test_a_picture_that_comes_again_is_shown_no_shorter() -> None:
    camera = Camera()
    fragments, viewer = watched(camera)
    first, second, third = pictures([0, 9000, 18_000])
    camera.show(first)
    camera.show(second)
    camera.show(first._replace(pts=9000), late_ns=STEP_NS)
    lengths = [fragments._interval_ns]
    camera.show(third)
    assert len(viewer.packets) == 4
    assert lengths == [100_000_000]


def test_sound_goes_with_the_pictures_and_lies_where_it_was_captured() -> None:
    camera = Camera()
    blocks = sound(RATE, 1)
    camera.speak(blocks[0], -BLOCK_NS)
    fragments, viewer = watched(camera)
    units = pictures([number * 3000 for number in range(30)])
    spoken = 0
    for unit in units:
        now_ns = unit.pts * 1_000_000_000 // CLOCK_HZ
        while (spoken + 1) * BLOCK_NS <= now_ns:
            camera.speak(blocks[spoken % len(blocks)], spoken * BLOCK_NS)
            spoken += 1
        camera.show(unit)
    assert fragments.has_sound
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        heard = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    assert heard == [number * 1024 for number in range(len(heard))]
    assert len(heard) >= spoken - 1


def test_sound_of_a_slow_camera_does_not_wait_for_its_picture() -> None:
    camera = Camera()
    blocks = sound(RATE, 1)
    camera.speak(blocks[0], -BLOCK_NS)
    fragments, viewer = watched(camera)
    first, *_ = pictures([0])
    camera.show(first)
    for number in range(10):
        camera.clock.advance(BLOCK_NS / 1e9)
        camera.speak(blocks[number], number * BLOCK_NS)
    assert fragments.has_sound
    assert len(viewer.packets) >= 3, "the picture, and sound that goes by itself"
    assert not any(each.key for each in viewer.packets[1:])


def test_sound_that_jumps_is_put_where_it_belongs() -> None:
    camera = Camera()
    blocks = sound(RATE, 1)
    camera.speak(blocks[0], -BLOCK_NS)
    fragments, viewer = watched(camera)
    units = pictures([number * 3000 for number in range(60)])
    camera.show(units[0])
    camera.speak(blocks[0], 0)
    camera.speak(blocks[1], BLOCK_NS)
    camera.speak(blocks[2], 1_000_000_000)
    for unit in units[1:]:
        camera.show(unit)
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        heard = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    assert heard == [0, 1024, RATE]


def test_sound_that_comes_later_begins_another_file() -> None:
    camera = Camera()
    fragments, viewer = watched(camera)
    began: list[int] = []
    fragments.on_generation.append(lambda: began.append(fragments.generation))
    units = pictures([number * 3000 for number in range(40)])
    for unit in units[:5]:
        camera.show(unit)
    assert (fragments.generation, fragments.has_sound) == (1, False)
    wishes = camera.key_wishes
    camera.speak(sound(RATE, 1)[0], 0)
    assert camera.key_wishes > wishes
    for unit in units[5:15]:
        camera.show(unit)
    assert (fragments.generation, fragments.has_sound) == (2, True)
    assert began == [1, 2]
    assert viewer.packets[0].key, "what went before was another file's"


def test_a_young_camera_may_still_begin_to_make_a_sound() -> None:
    camera = Camera()
    camera.state_since_ns = START_NS
    fragments, viewer = watched(camera)
    units = pictures([number * 3000 for number in range(40)], key_every=100)
    for unit in units[:10]:
        camera.show(unit)
    assert viewer.packets == []
    camera.speak(sound(RATE, 1)[0], 300_000_000)
    camera.show(units[10])
    assert (fragments.generation, fragments.has_sound) == (1, True)
    assert [each.frame_id for each in viewer.packets if each.format.width_px] == list(range(11))


def test_a_young_camera_without_sound_is_not_waited_for_long() -> None:
    camera = Camera()
    camera.state_since_ns = START_NS
    fragments, viewer = watched(camera)
    for unit in pictures([number * 3000 for number in range(30)], key_every=100):
        camera.show(unit)
    assert [each.frame_id for each in viewer.packets] == list(range(30))
    assert not fragments.has_sound


def test_another_size_begins_another_file_on_the_same_timeline() -> None:
    camera = Camera()
    fragments, viewer = watched(camera)
    for unit in pictures([0, 3000]):
        camera.show(unit)
    base_ns = fragments.base_ns
    for unit in pictures([6000, 9000], width=320, height=192):
        camera.show(unit)
    assert (fragments.generation, fragments.base_ns) == (2, base_ns)
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        assert [frame.pts for frame in container.decode(video=0)] == [6000, 9000]


def test_asking_for_ever_other_renditions_leaves_nothing_behind() -> None:
    class Anything(Camera):
        def check(self, rendition: Rendition) -> None: ...

    hub, camera = FragmentHub(), cast(Stream, Anything())
    watched_one = hub.get(camera, H264)
    watched_one.track.attach(Collector())
    for fps in range(1, 3 * MOST_KEPT):
        hub.get(camera, Rendition("h264", fps=fps))
    assert len(hub._made) <= MOST_KEPT
    assert hub.get(camera, H264) is watched_one


def test_nothing_runs_when_nobody_watches() -> None:
    camera = Camera()
    fragments, viewer = watched(camera)
    assert camera.video.wanted
    assert camera.sound.wanted
    fragments.track.detach(viewer)
    assert not camera.video.wanted
    assert not camera.sound.wanted
    assert fragments.init is None


@pytest.mark.parametrize("back_ns", [1, 500_000_000])
def test_a_small_step_back_in_time_is_smoothed_over(back_ns: int) -> None:
    camera = Camera()
    fragments, viewer = watched(camera)
    for unit in pictures([90_000, 93_000]):
        camera.show(unit)
    first, second = pictures([93_000, 96_000])
    camera.show(first, late_ns=-back_ns)
    camera.show(second)
    with av.open(io.BytesIO(file_of(fragments, viewer))) as container:
        shown = [frame.pts for frame in container.decode(video=0)]
    assert shown == sorted(set(shown))
    assert len(shown) == 4
