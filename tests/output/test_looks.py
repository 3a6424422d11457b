"""What is seen, to pages: texts made once for all, the newest for who is behind, and nothing from before a mask."""

from __future__ import annotations

import json
from typing import Any

import pytest

from framecast.core.clock import ManualClock
from framecast.core.packet import Format, Packet
from framecast.core.stream import State, Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.output.dashboard.looks import LookReader, Looks
from framecast.output.dashboard.page import MOST_BUFFERED_BYTES, Page
from framecast.output.looks import newest
from framecast.wire.detections import Look, pack

START_NS = 1_700_000_000_000_000_000


class Socket:
    """A page's socket, which takes nothing while it is ``stuck``."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.stuck = False
        self.gone = False
        self.page = Page(self.write, lambda: MOST_BUFFERED_BYTES + 1 if self.stuck else 0)

    def write(self, data: bytes) -> None:
        if self.gone:
            raise RuntimeError("the handler is closed")
        self.written.append(data)

    @property
    def heard(self) -> list[dict[str, Any]]:
        """The texts, out of their frames: of 126 to 65,535 bytes."""
        for frame in self.written:
            assert frame[:2] == b"\x81\x7e"
            assert int.from_bytes(frame[2:4]) == len(frame) - 4
        return [json.loads(frame[4:]) for frame in self.written]

    @property
    def ids(self) -> list[int]:
        return [text["frame_id"] for text in self.heard]


class Desk:
    """Looks of one camera."""

    def __init__(self) -> None:
        self.track = Track("detections")
        self.emptied = 0
        self.looks = Looks("door", 7, self.track, self._count)

    def _count(self) -> None:
        self.emptied += 1

    def join(self, socket: Socket, latest: Packet | None = None) -> LookReader:
        return self.looks.add(socket.page, latest)

    def say(self, number: int) -> None:
        look = Look(number, 1, START_NS, state="black", reason="it is “dark”")
        self.track.publish(Packet(pack(look), Format("detections"), number, number, 1, START_NS, START_NS))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_all_get_the_same_text(desk: Desk) -> None:
    sockets = [Socket() for _ in range(3)]
    for socket in sockets:
        desk.join(socket)
    desk.say(1)
    (text,) = sockets[0].heard
    assert (text["type"], text["id"], text["camera"], text["frame_id"]) == ("detections", "door", 7, 1)
    assert (text["state"], text["reason"], text["pts_ns"]) == ("black", "it is “dark”", str(START_NS))
    assert sockets[0].written[0] is sockets[1].written[0] is sockets[2].written[0]


def test_who_is_behind_gets_the_newest(desk: Desk) -> None:
    behind, other = Socket(), Socket()
    reader = desk.join(behind)
    desk.join(other)
    behind.stuck = True
    for number in range(1, 5):
        desk.say(number)
    assert (behind.ids, other.ids) == ([], [1, 2, 3, 4])
    behind.stuck = False
    behind.page.release()
    assert behind.ids == [4]
    desk.say(5)
    assert behind.ids == [4, 5]
    assert (reader.sent, reader.drops) == (2, 3)


def test_what_waits_is_forgotten_when_a_mask_is_set(desk: Desk) -> None:
    socket = Socket()
    desk.join(socket)
    socket.stuck = True
    desk.say(1)
    desk.track.clear()
    socket.stuck = False
    socket.page.release()
    assert socket.ids == []


def test_a_newcomer_gets_the_latest(desk: Desk) -> None:
    first, second = Socket(), Socket()
    desk.join(first)
    desk.say(1)
    desk.join(second, desk.track.latest)
    assert (first.ids, second.ids) == ([1], [1])


@pytest.mark.anyio
async def test_the_latest_is_what_is_young_or_of_the_picture_that_is_still_shown(desk: Desk) -> None:
    clock = ManualClock(START_NS)
    async with Supervisor() as supervisor:
        stream = Stream("door", 7, supervisor, clock=clock)
        assert newest(stream, desk.track) is None
        stream.set_state(State.LIVE)
        publisher = stream.open_publisher("test")
        picture = publisher.publish(b"jpeg", Format("mjpeg"), START_NS, START_NS)
        assert picture is not None
        look = Packet(b"{}", Format("detections"), picture.frame_id, 0, picture.epoch, START_NS, START_NS)
        desk.track.publish(look)
        assert newest(stream, desk.track) is look
        clock.advance(60)
        assert newest(stream, desk.track) is look, "the camera gives a picture every few minutes"
        stream.set_state(State.OFFLINE)
        assert newest(stream, desk.track) is None
        stream.set_state(State.LIVE)
        publisher.publish(b"jpeg", Format("mjpeg"), clock.now_ns(), clock.now_ns())
        assert newest(stream, desk.track) is None, "another one is looked at now"


def test_with_the_last_page_the_track_is_let_go(desk: Desk) -> None:
    readers = [desk.join(Socket()) for _ in range(2)]
    assert desk.track.wanted
    readers[0].leave()
    readers[0].leave()
    assert (desk.track.wanted, desk.emptied) == (True, 0)
    readers[1].leave()
    assert (desk.track.wanted, desk.emptied) == (False, 1)


def test_a_socket_that_is_gone_is_left_out(desk: Desk) -> None:
    gone, other = Socket(), Socket()
    desk.join(gone)
    desk.join(other)
    gone.gone = True
    desk.say(1)
    desk.say(2)
    assert other.ids == [1, 2]
    assert desk.emptied == 0
