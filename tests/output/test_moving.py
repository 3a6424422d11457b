"""A page's subscription goes over from one channel to another without a gap, and without a frame twice."""

from __future__ import annotations

from dataclasses import replace

from framecast.core.track import Track
from framecast.output.dashboard.channel import Channel
from tests.core.fakes import packet
from tests.output.test_dashboard import Wall
from tests.output.test_subscription import Camera, unit


class TwoWalls:
    """Two renditions of one camera, a page on the first."""

    def __init__(self, *, credit: int = 30) -> None:
        self.one, self.other = Wall(), Wall()
        self.socket, self.subscription = self.one.join(credit=credit)
        self.moved = 0

    def move(self, fps: float = 0.0) -> None:
        self.subscription.move(self.other.channel, fps, self._count)

    def _count(self) -> None:
        self.moved += 1


def test_pictures_go_on_until_the_other_channel_has_one() -> None:
    walls = TwoWalls()
    walls.one.publish(1, 2)
    walls.move()
    assert walls.subscription.moving and walls.other.track.wanted
    walls.one.publish(3)
    walls.other.publish(2)
    assert walls.moved == 0, "the other one has not come as far"
    walls.one.publish(4)
    walls.other.publish(3)
    assert walls.moved == 0
    walls.other.publish(4)
    assert walls.moved == 1
    walls.one.publish(5)
    walls.other.publish(5, 6)
    assert walls.socket.ids == [1, 2, 3, 4, 5, 6], "none twice, none missing"
    assert (walls.moved, walls.subscription.moving, walls.one.track.wanted) == (1, False, False)
    assert walls.subscription.viewer.drops == 0


def test_one_that_is_always_behind_is_taken_all_the_same() -> None:
    walls = TwoWalls(credit=100)
    walls.one.publish(1)
    walls.move()
    for number in range(2, 30):
        walls.one.publish(number)
        walls.other.publish(number - 1)
    assert walls.moved == 1
    ids = walls.socket.ids
    assert ids == sorted(set(ids))
    assert ids[-1] == 28


def test_what_the_other_channel_has_already_is_taken_at_once_where_it_is_newer() -> None:
    walls = TwoWalls()
    walls.one.publish(1)
    walls.other.publish(2)
    walls.move()
    assert (walls.socket.ids, walls.moved) == ([1, 2], 1)


def test_a_picture_that_waits_gives_way() -> None:
    walls = TwoWalls(credit=1)
    walls.one.publish(1, 2)
    walls.move()
    walls.other.publish(2)
    walls.subscription.ack(1)
    assert walls.socket.ids == [1, 2]
    assert walls.subscription.viewer.drops == 1


def test_another_rate_on_the_same_channel_needs_no_move() -> None:
    walls = TwoWalls()
    walls.subscription.move(walls.one.channel, 10, walls._count)
    assert (walls.moved, walls.subscription.moving) == (1, False)
    for number in range(30):
        walls.one.track.publish(packet(number + 1, at_ns=number * 33_333_333))
    assert len(walls.socket.ids) == 10


def test_changing_its_mind_leaves_nothing_behind() -> None:
    walls = TwoWalls()
    walls.one.publish(1)
    walls.move()
    walls.subscription.move(walls.one.channel, 0, walls._count)
    assert not walls.other.track.wanted
    walls.move()
    walls.subscription.leave()
    assert not walls.other.track.wanted and not walls.one.track.wanted
    walls.other.publish(9)
    assert walls.socket.ids == [1]


def test_coded_video_goes_over_at_a_key_picture_which_is_asked_for() -> None:
    camera = Camera()
    other = Track("h264/320", ring_packets=600, since_key=True)
    asked: list[bool] = []
    other.on_key_wanted = lambda: asked.append(True)
    channel = Channel(3, other, lambda: None)
    camera.join()
    camera.publish(key=True)
    camera.publish(3)
    other.publish(unit(3, key=True))
    camera.subscription.move(channel, 0, lambda: None)
    assert asked == [True], "the old one is of no use"
    other.publish(unit(4))
    camera.publish()
    other.publish(unit(5, key=True))
    camera.publish()
    other.publish(unit(6))
    assert [(each.frame_id, each.key) for each in camera.written] == [
        (1, True),
        (2, False),
        (3, False),
        (4, False),
        (5, True),
        (6, False),
    ], "the other one came later, and yet nothing is missing and nothing is there twice"
    assert camera.subscription.channel is channel
    assert not camera.track.wanted
    assert len(camera.forms) == 2, "said again before the first picture of the other one"


def test_the_same_picture_once_more_is_a_beginning_where_no_other_comes() -> None:
    camera = Camera()
    other = Track("h264/320", ring_packets=600, since_key=True)
    asked: list[bool] = []
    other.on_key_wanted = lambda: asked.append(True)
    channel = Channel(3, other, lambda: None)
    camera.join()
    camera.publish(key=True)
    camera.subscription.move(channel, 0, lambda: None)
    other.publish(unit(1, key=True))
    assert camera.subscription.moving and asked == [True, True]
    again = unit(1, key=True)
    other.publish(replace(again, pts_ns=again.pts_ns + 1))
    assert camera.subscription.channel is channel


def test_a_key_picture_of_what_was_sent_before_is_no_beginning() -> None:
    camera = Camera()
    other = Track("h264/320", ring_packets=600, since_key=True)
    asked: list[bool] = []
    other.on_key_wanted = lambda: asked.append(True)
    camera.join()
    camera.publish(key=True)
    camera.publish(3)
    camera.subscription.move(Channel(3, other, lambda: None), 0, lambda: None)
    camera.publish(2)
    assert camera.ids == [1, 2, 3, 4, 5], "the newest waits for the other one"
    other.publish(unit(5, key=True))
    assert (camera.subscription.moving, len(asked)) == (True, 2)
    other.publish(unit(6))
    camera.publish()
    other.publish(unit(7, key=True))
    assert camera.ids == [1, 2, 3, 4, 5, 6, 7], "never back"
    assert not camera.subscription.moving


def test_what_waits_goes_on_when_it_stays_where_it_is() -> None:
    camera = Camera()
    other = Channel(3, Track("h264/320", ring_packets=600, since_key=True), lambda: None)
    camera.join()
    camera.publish(key=True)
    camera.subscription.move(other, 0, lambda: None)
    camera.publish()
    assert camera.ids == [1]
    camera.subscription.move(camera.channel, 0, lambda: None)
    camera.publish()
    assert camera.ids == [1, 2, 3]


def test_a_key_picture_for_which_there_is_no_room_is_asked_for_again() -> None:
    camera = Camera(credit=4)
    other = Track("h264/320", ring_packets=600, since_key=True)
    asked: list[bool] = []
    other.on_key_wanted = lambda: asked.append(True)
    camera.join()
    camera.publish(key=True)
    camera.publish(5)
    camera.subscription.move(Channel(3, other, lambda: None), 0, lambda: None)
    other.publish(unit(7, key=True))
    assert not camera.track.wanted, "it goes over all the same: what it had was too much"
    camera.subscription.ack(4)
    assert len(asked) == 2
    other.publish(unit(8))
    other.publish(replace(unit(9), key=True))
    assert camera.ids == [1, 2, 3, 4, 9]
