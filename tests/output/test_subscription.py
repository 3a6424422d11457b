"""Coded video and sound over a page's socket: what is on the way, and what a page that is behind loses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from framecast.core.clock import ManualClock
from framecast.core.packet import Format, Packet
from framecast.core.track import Track
from framecast.core.viewer import new_viewer
from framecast.output.dashboard.channel import Channel
from framecast.output.dashboard.codedsubscription import CODED_CREDIT, LEAST_ON_THE_WAY_BYTES, CodedSubscription
from framecast.output.dashboard.page import MOST_BUFFERED_BYTES, Page
from framecast.output.dashboard.soundsubscription import LATE_S, MOST_DELAY_S, SoundSubscription
from framecast.wire import media
from tests.core.fakes import packet

SETS = bytes.fromhex("0000000167 42c01f 8c8d40501ef3 0000000168 ce3c80".replace(" ", ""))
H264 = Format("h264", 640, 480)
PCM = Format("pcm_s16le", sample_rate_hz=16_000, channels=1)
FRAME_NS = 33_333_333


def unit(number: int, size: int = 1000, *, key: bool = False, sets: bytes = SETS) -> Packet:
    """An access unit at 30 fps."""
    payload = (sets + b"\0\0\0\1\x65" if key else b"\0\0\0\1\x41") + bytes(size)
    return replace(packet(number, payload, key=key, at_ns=10**18 + number * FRAME_NS), format=H264)


def block(number: int, milliseconds: int = 64) -> Packet:
    """A block of sound."""
    return replace(packet(number, bytes(32 * milliseconds)), format=PCM)


class Camera:
    """A coded track, its channel and one page."""

    def __init__(self, *, native: bool = False, credit: int = CODED_CREDIT) -> None:
        self.track = Track("h264", ring_packets=600, since_key=True)
        self.asked = 0
        if not native:
            self.track.on_key_wanted = self._ask
        self.sound = Track("audio")
        self.now = 100.0
        self.written: list[media.Message] = []
        self.forms: list[str] = []
        self.buffered = 0
        self.page = Page(self._write, lambda: self.buffered)
        self.clock = ManualClock(10**18)
        self.channel = Channel(3, self.track, lambda: None, clock=self.clock)
        self.subscription = self.subscribe(credit)
        self.number = 0

    def subscribe(self, credit: int) -> CodedSubscription:
        viewer = new_viewer("websocket", "::1", ManualClock())
        subscription = CodedSubscription(self.page, viewer, credit=credit, now=lambda: self.now)
        subscription.on_form = lambda: self.forms.append(self.channel.codec)
        return subscription

    def join(self) -> None:
        self.channel.add(self.subscription)

    def publish(self, count: int = 1, *, key: bool = False, size: int = 1000) -> None:
        for _ in range(count):
            self.number += 1
            self.now += FRAME_NS / 1e9
            self.clock.advance(FRAME_NS / 1e9)
            self.track.publish(unit(self.number, size, key=key))

    @property
    def ids(self) -> list[int]:
        return [message.frame_id for message in self.written]

    def _ask(self) -> None:
        self.asked += 1

    def _write(self, data: bytes) -> None:
        skip = {126: 4, 127: 10}.get(data[1], 2)
        self.written.append(media.unpack(data[skip:]))


def test_access_units_go_out_as_they_are() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True)
    camera.publish()
    first, second = camera.written
    assert (first.kind, first.codec, first.key, second.key) == (media.Kind.VIDEO, media.Codec.H264, True, False)
    assert first.payload == unit(1, key=True).payload
    assert camera.forms == ["avc1.42C01F"], "before the first picture"


def test_a_newcomer_gets_what_came_since_the_last_key_picture() -> None:
    camera = Camera()
    camera.publish(key=True)
    camera.publish(4)
    camera.join()
    assert (camera.ids, camera.asked) == ([1, 2, 3, 4, 5], 0)
    camera.publish()
    assert camera.ids[-1] == 6


def test_where_that_is_much_a_key_picture_is_asked_for() -> None:
    camera = Camera()
    camera.publish(key=True)
    camera.publish(40)
    camera.join()
    assert (camera.ids, camera.asked) == ([], 1)
    camera.publish()
    assert camera.ids == [], "it can't be decoded"
    camera.publish(key=True)
    camera.publish()
    assert camera.ids == [43, 44]


def test_where_none_can_be_asked_for_all_of_it_goes() -> None:
    camera = Camera(native=True)
    camera.publish(key=True)
    camera.publish(40)
    camera.join()
    assert camera.ids == list(range(1, 42))


def test_what_it_began_with_takes_no_credit_from_what_comes() -> None:
    camera = Camera(native=True, credit=5)
    camera.publish(key=True)
    camera.publish(40)
    camera.join()
    camera.publish(3)
    assert camera.ids == list(range(1, 45))
    camera.subscription.ack(20)
    camera.publish(2)
    assert camera.ids == list(range(1, 47))
    camera.publish()
    assert (camera.ids[-1], camera.subscription.viewer.behind) == (46, True), "five of what came are on the way"
    camera.subscription.ack(46)
    camera.publish(key=True)
    camera.publish()
    assert camera.ids[-2:] == [48, 49]


def test_where_the_track_is_made_on_demand_all_of_it_comes_a_moment_later() -> None:
    camera = Camera(native=True, credit=5)
    camera.join()
    camera.number = 40
    camera.clock.advance(40 * FRAME_NS / 1e9)
    for number in range(1, 41):
        camera.track.publish(unit(number, key=number == 1))
    assert camera.ids == list(range(1, 41))
    camera.publish()
    assert camera.ids == list(range(1, 42))
    camera.publish()
    assert (camera.ids[-1], camera.subscription.viewer.behind) == (41, True), "the last four of them count"


def test_on_a_silent_camera_all_of_it_goes_too() -> None:
    camera = Camera()
    camera.publish(key=True)
    camera.publish(40)
    camera.clock.advance(60)
    camera.join()
    assert camera.ids == list(range(1, 42))


def test_a_round_trip_of_300_ms_loses_nothing() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True, size=30_000)
    for number in range(2, 200):
        camera.publish(size=6000)
        if number > 10:
            camera.subscription.ack(number - 9)
    assert camera.ids == list(range(1, 200))
    assert camera.subscription.viewer.drops == 0


def test_who_is_behind_loses_everything_up_to_the_next_key_picture() -> None:
    camera = Camera(credit=4)
    camera.join()
    camera.publish(key=True)
    camera.publish(9)
    viewer = camera.subscription.viewer
    assert (camera.ids, viewer.behind, viewer.drops) == ([1, 2, 3, 4], True, 6)
    camera.subscription.ack(1)
    camera.publish(2)
    assert camera.ids == [1, 2, 3, 4], "the next one would not decode"
    asked = camera.asked
    camera.subscription.ack(2)
    assert camera.asked == asked + 1, "half of the credit is there again"
    camera.subscription.ack(4)
    assert camera.asked == asked + 1, "asked for once"
    camera.publish(key=True)
    camera.publish()
    assert camera.ids == [1, 2, 3, 4, 13, 14]
    assert (viewer.behind, viewer.sent, viewer.drops) == (False, 6, 8)


def test_a_key_picture_that_comes_without_room_is_asked_for_again() -> None:
    camera = Camera(credit=2)
    camera.join()
    camera.publish(key=True)
    camera.publish(2)
    camera.publish(key=True)
    assert camera.ids == [1, 2]
    camera.subscription.ack(2)
    asked = camera.asked
    assert asked >= 1
    camera.publish(key=True)
    assert camera.ids == [1, 2, 5]


def test_it_is_bounded_in_bytes_too() -> None:
    camera = Camera(credit=30)
    camera.join()
    camera.publish(key=True, size=20_000)
    camera.publish(29, size=5000)
    sent = sum(len(message.payload) for message in camera.written)
    assert sent < 20_000 + 0.45 * 5000 * 30 * 1.5 + LEAST_ON_THE_WAY_BYTES
    assert len(camera.ids) < 29


def test_a_large_key_picture_does_not_stop_what_follows_it() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True, size=400_000)
    camera.publish(8)
    assert camera.ids == list(range(1, 10))


def test_a_full_socket_gets_nothing_until_it_has_drained() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True)
    camera.buffered = MOST_BUFFERED_BYTES + LEAST_ON_THE_WAY_BYTES
    camera.publish(3)
    camera.subscription.ack(1)
    assert (camera.ids, camera.asked) == ([1], 1)
    camera.buffered = 0
    camera.subscription.ack(1)
    assert camera.asked == 2
    camera.publish(key=True)
    assert camera.ids == [1, 5]


def test_a_page_that_can_not_decode_asks_for_a_key_picture() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True)
    camera.subscription.restart()
    camera.publish()
    assert (camera.ids, camera.asked) == ([1], 2)
    camera.publish(key=True)
    assert camera.ids == [1, 3]


def test_after_a_mask_was_set_it_begins_anew() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True)
    camera.publish()
    camera.track.clear()
    camera.publish(2)
    assert camera.ids == [1, 2]
    camera.publish(key=True)
    assert camera.ids == [1, 2, 5]


def test_another_codec_is_told_before_its_first_picture() -> None:
    camera = Camera()
    camera.join()
    camera.publish(key=True)
    camera.publish(key=True)
    camera.track.publish(unit(9, key=True, sets=SETS.replace(b"\x42\xc0\x1f", b"\x64\x00\x28")))
    assert camera.forms == ["avc1.42C01F", "avc1.640028"]


class Fragmented:
    """What fragments come with."""

    init: bytes | None = b"init"
    mime = 'video/mp4; codecs="avc1.42C01F,mp4a.40.2"'
    base_ns = 77


def test_fragments_come_after_their_initialisation_segment() -> None:
    camera, prelude = Camera(), Fragmented()
    camera.channel = Channel(3, camera.track, lambda: None, prelude=prelude)
    camera.join()

    def fragment(number: int, key: bool) -> Packet:
        return replace(unit(number, key=key), format=Format("mp4", 640, 480))

    camera.track.publish(fragment(1, True))
    camera.track.publish(fragment(2, False))
    camera.track.publish(fragment(3, True))
    prelude.init = b"another"
    camera.track.publish(fragment(4, True))
    kinds = [(message.init, message.key, message.payload[:4]) for message in camera.written]
    plain = unit(2).payload[:4]
    assert kinds == [
        (True, False, b"init"),
        (False, True, plain),
        (False, False, plain),
        (False, True, plain),
        (True, False, b"anot"),
        (False, True, plain),
    ]
    assert {message.kind for message in camera.written} == {media.Kind.FRAGMENT}
    assert {message.codec for message in camera.written} == {media.Codec.FMP4}
    assert camera.written[0].pts_ns == 77, "where media time begins"
    assert camera.forms == ["avc1.42C01F", "avc1.42C01F"]


class Listening(Camera):
    """A page that hears, too."""

    def __init__(self) -> None:
        super().__init__()
        self.voice = Channel(3, self.sound, lambda: None)
        self.ear = SoundSubscription(self.page, self.subscription, now=lambda: self.now)
        self.join()
        self.voice.add(self.ear)

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self.sound.publish(block(number))

    @property
    def heard(self) -> list[int]:
        return [message.frame_id for message in self.written if message.kind is media.Kind.AUDIO]


def test_sound_comes_as_the_device_sent_it() -> None:
    page = Listening()
    page.say(1, 2)
    message = page.written[0]
    assert (message.kind, message.codec) == (media.Kind.AUDIO, media.Codec.PCM_S16LE)
    assert (message.sample_rate_hz, message.channels, message.payload) == (16_000, 1, bytes(2048))
    assert page.heard == [1, 2]


def test_a_newcomer_does_not_hear_what_was_said_before() -> None:
    page = Listening()
    page.ear.leave()
    page.say(1, 2)
    page.voice.add(page.ear)
    page.say(3)
    assert page.heard == [3]


@pytest.mark.parametrize("why", ["full", "late"])
def test_a_little_sound_waits_and_the_oldest_goes(why: str) -> None:
    page = Listening()
    page.publish(key=True)
    if why == "full":
        page.buffered = MOST_BUFFERED_BYTES + 1
    else:
        page.now += LATE_S + MOST_DELAY_S + 0.1
    page.say(*range(1, 101))
    assert page.heard == []
    page.buffered = 0
    page.subscription.ack(1)
    page.ear.pump()
    assert page.heard == list(range(95, 101)), "6 blocks of 64 ms"
    assert (page.ear.sent, page.ear.drops) == (6, 94)
    page.say(101)
    assert page.heard[-1] == 101


def test_sound_that_was_cleared_is_not_heard() -> None:
    page = Listening()
    page.buffered = MOST_BUFFERED_BYTES + 1
    page.say(1)
    page.sound.clear()
    page.buffered = 0
    page.say(2)
    assert page.heard == [2]


def test_who_left_hears_and_sees_nothing() -> None:
    page = Listening()
    page.ear.leave()
    page.ear.leave()
    page.subscription.leave()
    page.publish(key=True)
    page.say(1)
    page.ear.pump()
    page.subscription.pump()
    page.subscription.ack(1)
    assert page.written == []
    assert not page.sound.wanted and not page.track.wanted
