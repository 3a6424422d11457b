"""The multipart body byte for byte, and what an output keeps for its viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framecast.core.clock import ManualClock
from framecast.core.errors import LimitReached
from framecast.core.rendition import SOURCE, Rendition
from framecast.core.stream import MOST_RENDITIONS, State, Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import Viewer, new_viewer
from framecast.output.mjpeg import CONTENT_TYPE, Output, Package, timestamp
from tests.core.fakes import JPEG, Collector, Workshop, a_few_turns, packet, until

pytestmark = pytest.mark.anyio

PTS_NS = 1_700_000_000_123_456_789
PICTURE = b"\xff\xd8jpeg\xff\xd9"
HEADERS = b"Content-Type: image/jpeg\r\nX-Frame-Id: 41\r\nX-Timestamp: 1700000000.123456\r\nContent-Length: 8\r\n\r\n"
EARLY = b"Content-Type: image/jpeg\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class TestPackage:
    """As DESIGN pins it: a boundary follows each picture at once, Content-Length is the last header."""

    @pytest.mark.parametrize("chunk", [False, True])
    def test_plain(self, chunk: bool) -> None:
        package, wrap = Package(chunked=chunk, advance=False), chunked if chunk else bytes
        picture = packet(41, PICTURE, at_ns=PTS_NS)
        assert package.opening() == wrap(b"--frame\r\n")
        assert package.first(picture) == wrap(HEADERS + PICTURE + b"\r\n--frame\r\n")
        assert package.next(picture) is package.first(picture)

    @pytest.mark.parametrize("chunk", [False, True])
    def test_with_the_next_parts_headers_sent_early(self, chunk: bool) -> None:
        package, wrap = Package(chunked=chunk, advance=True), chunked if chunk else bytes
        picture = packet(41, PICTURE, at_ns=PTS_NS)
        assert package.opening() == wrap(b"--frame\r\n")
        assert package.first(picture) == wrap(HEADERS + PICTURE + b"\r\n--frame\r\n" + EARLY)
        assert package.next(picture) == wrap(PICTURE + b"\r\n--frame\r\n" + EARLY)

    @pytest.mark.parametrize("advance", [False, True])
    def test_the_bytes_of_a_packet_are_made_once(self, advance: bool) -> None:
        package = Package(chunked=True, advance=advance)
        one, two = packet(1, PICTURE), packet(2, PICTURE)
        assert package.first(one) is package.first(one)
        assert package.next(one) is package.next(one)
        kept = package.next(one)
        package.next(two)
        assert package.next(one) == kept

    def test_what_a_browser_is_sent_is_one_well_formed_body(self) -> None:
        package = Package(chunked=False, advance=True)
        pictures = [packet(number, b"picture %d" % number, at_ns=PTS_NS) for number in range(3)]
        body = package.opening() + package.first(pictures[0]) + b"".join(map(package.next, pictures[1:]))
        parts = body.split(b"--frame\r\n")
        assert parts[0] == b""
        assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [b"picture %d\r\n" % n for n in range(3)]
        assert parts[-1] == EARLY

    @pytest.mark.parametrize(
        ("pts_ns", "text"),
        [
            (0, "0.000000"),
            (999, "0.000000"),
            (1_000_000_000, "1.000000"),
            (PTS_NS, "1700000000.123456"),
            (7_000, "0.000007"),
        ],
    )
    def test_stamps_have_six_decimals(self, pts_ns: int, text: str) -> None:
        assert timestamp(pts_ns) == text

    def test_the_media_type_has_no_quotes_and_the_boundary_last(self) -> None:
        assert CONTENT_TYPE == "multipart/x-mixed-replace; boundary=frame"


class Server(asyncio.Protocol):
    """The protocol that had the connection before."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Wire(asyncio.Transport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.server = Server()
        self.limits: tuple[int | None, int | None] = (None, None)
        self.closing = False
        self.dies_at_first_write = False
        self._protocol: asyncio.BaseProtocol = self.server

    def write(self, data: Any) -> None:
        if self.dies_at_first_write:
            self.abort()
        if not self.closing:
            self.written += data

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high, low)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(lambda: self._protocol.connection_lost(None))


class House:
    """A camera with an MJPEG output."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.clock = ManualClock()
        self.shop = Workshop()
        self.stream = Stream(
            "door", 1, supervisor, make_worker=self.shop.make, clock=self.clock, rendition_grace_s=0.01
        )
        self.publisher = self.stream.open_publisher("door")
        self.output = Output(self.stream, heartbeat_s=0)
        self.viewers: list[Viewer] = []

    def publish(self) -> None:
        self.clock.advance(0.1)
        now_ns = self.clock.now_ns()
        self.publisher.publish(b"<%d>" % self.stream.frame_ids.next, JPEG, now_ns, now_ns)

    async def join(
        self, rendition: Rendition = SOURCE, *, chunked: bool = False, advance: bool = False, fps: float = 0.0
    ) -> tuple[Wire, asyncio.Task[None]]:
        wire = Wire()
        viewer = new_viewer("mjpeg", "::1", self.clock)
        self.viewers.append(viewer)
        serving = asyncio.ensure_future(
            self.output.serve(wire, viewer, rendition=rendition, chunked=chunked, advance=advance, fps=fps)
        )
        await a_few_turns()
        return wire, serving


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with Supervisor() as supervisor:
        yield House(supervisor)


def ids(wire: Wire) -> list[int]:
    """Frame ids on the wire, by their headers."""
    return [int(part.partition(b"\r\n")[0]) for part in wire.written.split(b"X-Frame-Id: ")[1:]]


async def test_viewers_of_one_form_share_a_fanout_and_its_bytes(house: House) -> None:
    house.publish()
    one, other = (await house.join())[0], (await house.join())[0]
    house.publish()
    assert one.written == other.written
    assert ids(one) == [1, 2]
    assert len(house.output.fanouts) == 1
    await house.join(chunked=True)
    await house.join(fps=5)
    assert len(house.output.fanouts) == 3
    house.output.close()


async def test_forms_that_differ_in_rate_only_share_their_bytes(house: House) -> None:
    await house.join()
    await house.join(fps=30)
    assert len(house.output._packages) == 1
    house.output.close()


async def test_a_camera_without_a_picture_is_waited_for(house: House) -> None:
    wire, _ = await house.join()
    assert wire.written == b"--frame\r\n"
    house.publish()
    assert ids(wire) == [1]
    house.output.close()


async def test_everything_is_given_up_with_the_last_viewer(house: House) -> None:
    wires = [await house.join(SMALL) for _ in range(2)]
    house.publish()
    await a_few_turns()
    for wire, serving in wires:
        wire.abort()
        await serving
        assert wire.server.lost == [None], "the protocol that was replaced is told, or the server keeps it for ever"
    assert (house.output.fanouts, house.output._packages, house.output._tracks) == ({}, {}, {})
    await until(lambda: not house.stream.renditions and not house.stream.wanted)


async def test_a_viewer_that_died_before_is_not_waited_for(house: House) -> None:
    wire = Wire()
    wire.closing = True
    viewer = new_viewer("mjpeg", "::1", house.clock)
    await house.output.serve(wire, viewer, rendition=SOURCE, chunked=True, advance=False, fps=0)
    assert (wire.written, house.output.fanouts, house.stream.wanted) == (b"", {}, False)


async def test_a_viewer_that_dies_as_it_is_taken_over_leaves_nothing(house: House) -> None:
    wire = Wire()
    wire.dies_at_first_write = True
    viewer = new_viewer("mjpeg", "::1", house.clock)
    await house.output.serve(wire, viewer, rendition=SMALL, chunked=True, advance=False, fps=0)
    assert (house.output.fanouts, house.output._packages, house.output._tracks) == ({}, {}, {})
    await until(lambda: not house.stream.renditions and not house.stream.wanted)


async def test_a_dead_viewer_does_not_end_the_fanout_of_a_living_one(house: House) -> None:
    alive, _ = await house.join()
    dead = Wire()
    dead.dies_at_first_write = True
    await house.output.serve(
        dead, new_viewer("mjpeg", "::1", house.clock), rendition=SOURCE, chunked=False, advance=False, fps=0
    )
    house.publish()
    assert ids(alive) == [1]
    house.output.close()


async def test_a_handler_that_is_cancelled_takes_its_connection_along(house: House) -> None:
    wire, serving = await house.join()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await a_few_turns()
    assert wire.closing and wire.server.lost == [None]
    assert not house.stream.wanted


async def test_closing_drops_everybody(house: House) -> None:
    joined = [await house.join(), await house.join(fps=5)]
    house.output.close()
    await asyncio.gather(*(serving for _, serving in joined))
    assert all(wire.closing for wire, _ in joined)
    assert house.output.fanouts == {}


async def test_the_ninth_rendition_is_refused_before_anything_is_written(house: House) -> None:
    for number in range(MOST_RENDITIONS):
        house.stream.track(Rendition(quality=number + 1)).attach(Collector())
    with pytest.raises(LimitReached):
        house.output.check(SMALL)
    wire, serving = await house.join(SMALL)
    with pytest.raises(LimitReached):
        await serving
    assert wire.written == b""
    assert wire.get_protocol() is wire.server


@pytest.mark.parametrize(
    ("state", "age_s", "shown"), [(State.IDLE, 60, False), (State.IDLE, 5, True), (State.OFFLINE, 60, True)]
)
@pytest.mark.parametrize("rendition", [SOURCE, Rendition(width_px=320)], ids=["source", "rendition"])
async def test_a_camera_that_slept_shows_no_old_picture(
    house: House, rendition: Rendition, state: State, age_s: float, shown: bool
) -> None:
    house.publish()
    house.stream.set_state(state)
    house.clock.advance(age_s)
    wire, _ = await house.join(rendition)
    assert ids(wire) == ([1] if shown else [])
    house.publish()
    await a_few_turns()
    assert ids(wire) == ([1, 2] if shown else [2])
    house.output.close()


async def test_the_stamp_is_the_capture_time_for_all_and_in_repeats(house: House) -> None:
    house.output = Output(house.stream, heartbeat_s=5)
    one, _ = await house.join()
    house.publish()
    late, _ = await house.join()
    await until(lambda: len(ids(one)) == 2)
    stamps = {part.partition(b"\r\n")[0] for part in (one.written + late.written).split(b"X-Timestamp: ")[1:]}
    assert stamps == {timestamp(house.clock.now_ns()).encode()}
    house.output.close()


SMALL = Rendition(width_px=320)


async def test_a_viewer_that_comes_after_the_end_is_hung_up_on(house: House) -> None:
    house.publish()
    house.output.close()
    wire, serving = await house.join()
    assert wire.closing
    async with asyncio.timeout(5):
        await serving
    assert wire.written == b""
    assert (house.output.fanouts, house.output._connections) == ({}, set())
    assert not house.stream.wanted
