"""The dashboard's socket: one for a whole page."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast import __version__
from framecast.mock.device import FakeDevice
from framecast.service.api import board
from framecast.wire import media
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import STREAM, Page, mjpeg

pytestmark = pytest.mark.anyio


async def test_the_first_word_is_hello(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        hello = await page.hear("hello")
        assert hello["version"] == __version__
        assert abs(hello["server_ns"] - server.service.clock.now_ns()) < 5e9
        assert hello["heartbeat_s"] == 5.0
        assert hello["cameras"] == (await server.json("GET", "/api/v1/cameras"))["cameras"]


async def test_pictures_come_in_the_binary_layout(server: Server) -> None:
    sent = await server.push(jpeg(1))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        message = await page.see()
        camera = await server.json("GET", "/api/v1/cameras/cam")
        assert message == media.Message(
            kind=media.Kind.VIDEO,
            codec=media.Codec.JPEG,
            key=True,
            camera=camera["number"],
            width_px=96,
            height_px=64,
            epoch=camera["video"]["epoch"],
            frame_id=sent["frame_id"],
            pts_ns=message.pts_ns,
            payload=jpeg(1),
        )
        assert abs(message.pts_ns - server.service.clock.now_ns()) < 5e9


async def test_what_pages_wait_for_pictures_is_told(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        began_s = time.monotonic()
        for number in range(3):
            await server.push(jpeg(number))
            await page.ack(await page.see())
        told = (await server.json("GET", "/api/v1/cameras/cam"))["latency_ms"]
        assert 0 < told["p50"] <= told["p99"] < 1000 * (time.monotonic() - began_s)
    await until(lambda: not server.camera().stream.latencies)
    assert (await server.json("GET", "/api/v1/cameras/cam"))["latency_ms"] == {"p50": 0.0, "p99": 0.0}


async def test_credit_bounds_what_is_on_the_way(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", credit=2)
        await page.settle()
        ids = [(await server.push(jpeg(number)))["frame_id"] for number in range(6)]
        await page.settle()
        assert [message.frame_id for message in page.media] == ids[:2], "two unacknowledged frames, then none"
        first, second = page.media
        page.media.clear()
        await page.ack(first)
        assert (await page.see()).frame_id == ids[5], "the newest, not the next"
        await page.settle()
        assert page.media == []
        await page.ack(second)
        await page.settle()
        assert page.media == [], "frames are never repeated"
        assert (await server.push(jpeg(7)))["frame_id"] == (await page.see()).frame_id
        (viewer,) = server.camera().stream.viewers.values()
        assert (viewer.sent, viewer.drops) == (4, 3)


async def test_acknowledging_the_last_acknowledges_all_before(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", credit=3)
        await page.settle()
        for number in range(3):
            await server.push(jpeg(number))
        pictures = [await page.see() for _ in range(3)]
        await page.ack(pictures[2])
        await page.settle()
        for number in range(3):
            await server.push(jpeg(number))
        assert len([await page.see() for _ in range(3)]) == 3


async def test_every_camera_those_to_come_too(server: Server) -> None:
    await server.push(jpeg(1))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("*")
        assert (await page.see()).camera == server.camera().stream.number
        added = await server.json("POST", "/api/v1/cameras", json={"id": "later", "url": "push:"}, status=201)
        heard = (await page.hear("camera"))["camera"]
        while heard["id"] != "later":
            heard = (await page.hear("camera"))["camera"]
        assert heard["number"] == added["number"] != server.camera().stream.number
        await server.push(jpeg(2), "later")
        assert (await page.see()).camera == added["number"]
        await server.json("DELETE", "/api/v1/cameras/later", status=204)
        assert await page.hear("removed") == {"type": "removed", "id": "later", "number": added["number"]}
        again = await server.json("POST", "/api/v1/cameras", json={"id": "later", "url": "push:"}, status=201)
        assert again["number"] == added["number"], "a camera that comes back keeps its number"


async def test_a_page_that_is_slow_hears_that_a_camera_went_though_it_is_back(server: Server) -> None:
    await server.push(jpeg(1))
    cameras, camera = server.service.cameras, server.camera()
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        await page.ack(await page.see())
        page.texts.clear()
        cameras.on_removed[-1](camera)
        cameras.on_added[-1](camera)
        assert await page.hear("removed") == {"type": "removed", "id": "cam", "number": camera.stream.number}
        assert (await page.hear("camera"))["camera"]["id"] == "cam"
        await page.subscribe("cam")
        assert (await page.see()).camera == camera.stream.number


@pytest.mark.parametrize(("wishes", "code"), [(["*"], "limit_reached"), (["nobody", "other"], "not_found")])
async def test_one_camera_that_cannot_be_had_keeps_nobody_from_the_others(
    tmp_path: Path, wishes: list[str], code: str
) -> None:
    limit = {"limits.max_viewers_per_camera": 1}
    async with (
        serving(tmp_path, {"cam": "push:", "other": "push:"}, options=limit) as server,
        Page.opened(server.client, server.url) as first,
        Page.opened(server.client, server.url) as page,
    ):
        await server.push(jpeg(1), "other")
        await first.subscribe("cam")
        await first.settle()
        await page.subscribe(*wishes)
        assert (await page.hear("error"))["code"] == code
        assert (await page.see()).camera == server.camera("other").stream.number


async def test_unsubscribing_ends_it(server: Server) -> None:
    for target in ("cam", "*"):
        async with Page.opened(server.client, server.url) as page:
            await page.subscribe("*" if target == "*" else "cam")
            await page.settle()
            assert len(server.camera().stream.viewers) == 1
            await page.say(type="unsubscribe", cameras=[target])
            await page.settle()
            assert not server.camera().stream.viewers
            page.media.clear()
            await server.push(jpeg(1))
            await page.settle()
            assert page.media == []
            await page.say(type="unsubscribe", cameras=["cam", "unheard-of"])
            await page.settle()


async def test_subscribing_again_changes_the_wish(server: Server) -> None:
    await server.push(jpeg(1, (640, 480)))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        assert (await page.see()).width_px == 640
        await page.subscribe("cam", width=320, quality=50)
        assert (await page.see()).width_px == 320
        (viewer,) = server.camera().stream.viewers.values()
        assert viewer.kind == "websocket"
        assert "320" in viewer.rendition


async def test_a_change_that_is_refused_changes_nothing(server: Server) -> None:
    await server.push(jpeg(1, (640, 480)))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        await page.ack(await page.see())
        contexts = [mjpeg(server.port, f"{STREAM}?quality={quality}") for quality in (30, 40, 50, 60, 70, 80, 85, 90)]
        for context in contexts:
            assert (await context.__aenter__()).status == 200
        await page.subscribe("cam", width=160)
        assert (await page.hear("error"))["code"] == "limit_reached"
        await page.settle()
        page.media.clear()
        sent = await server.push(jpeg(2, (640, 480)))
        while (seen := await page.see()).frame_id != sent["frame_id"]:
            await page.ack(seen)
        assert seen.width_px == 640
        for context in contexts:
            await context.__aexit__(None, None, None)


async def test_the_last_word_on_a_camera_holds(server: Server) -> None:
    await server.push(jpeg(1, (640, 480)))
    async with Page.opened(server.client, server.url) as page:
        await page.say(type="subscribe", cameras=[{"id": "cam", "width": 160}, {"id": "cam", "width": 320}])
        assert (await page.see()).width_px == 320


async def test_states_and_changes_are_told(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, {"cam": device.url}) as server,
        Page.opened(server.client, server.url) as page,
    ):
        (camera,) = (await page.hear("hello"))["cameras"]
        assert (camera["state"], camera["video"]) == ("idle", None)
        await page.subscribe("cam")
        await page.state("cam", "connecting")
        await page.state("cam", "live")
        await page.see()
        device.drop()
        await device.leave(0)
        await page.state("cam", "live")


async def test_a_change_of_a_camera_is_told(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.hear("hello")
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "Front door", "rotate": 180})
        heard = (await page.hear("camera"))["camera"]
        assert (heard["name"], heard["transform"]["rotate"]) == ("Front door", 180)


async def test_statistics_come_as_often_as_asked(server: Server) -> None:
    await server.push(jpeg(1))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        await page.say(type="stats", interval_s=0.2)
        first = await page.hear("stats")
        second = await page.hear("stats")
        assert 0.1 < (second["server_ns"] - first["server_ns"]) / 1e9 < 10
        numbers = second["cameras"]["cam"]
        assert {
            "state",
            "reason",
            "viewers",
            "fps",
            "bitrate_bps",
            "bytes_per_frame",
            "frames",
            "drops",
            "age_s",
        } <= set(numbers)
        assert (numbers["state"], numbers["viewers"], numbers["frames"]) == ("live", 1, 1)
        assert numbers["mine"]["sent"] == 1
        await page.say(type="stats", interval_s=0)
        await page.settle()
        page.texts.clear()
        await asyncio.sleep(0.5)
        await page.settle()
        assert not [text for text in page.texts if text["type"] == "stats"]


async def test_what_all_pages_are_told_is_made_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "GOOD_FOR_S", 60.0)
    shared, camera = board.Board(server.service.cameras), server.camera()
    first = shared.numbers(camera)
    assert shared.numbers(camera) is first
    await server.push(jpeg(1))
    assert shared.numbers(camera)["state"] == "live", "a change of state shows at once"
    shown = shared.camera(camera)
    assert shared.camera(camera) is shown
    await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "Front door"})
    assert shared.camera(server.camera())["name"] == "Front door", "and so does a change of the camera"
    monkeypatch.setattr(board, "GOOD_FOR_S", 0.0)
    assert shared.camera(server.camera()) is not shared.camera(server.camera())


@pytest.mark.parametrize("stamp", [1, 2.5, "x", None])
async def test_ping_is_answered(server: Server, stamp: Any) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.say(type="ping", t=stamp)
        pong = await page.hear("pong")
        assert pong["t"] == stamp
        assert abs(pong["server_ns"] - server.service.clock.now_ns()) < 5e9


NONSENSE: list[tuple[str, str]] = [
    ("", "bad_json"),
    ("{", "bad_json"),
    ("[" * 60_000, "bad_json"),
    ('{"type":' + "9" * 5000 + "}", "bad_json"),
    ("[]", "bad_type"),
    ("null", "bad_type"),
    ('"ping"', "bad_type"),
    ("{}", "bad_type"),
    ('{"type": ["subscribe"]}', "bad_type"),
    ('{"type": {"a": 1}}', "bad_type"),
    ('{"type": "subscribe"}', "bad_value"),
    ('{"type": "subscribe", "cameras": "cam"}', "bad_value"),
    ('{"type": "subscribe", "cameras": ["cam"]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{}]}', "not_found"),
    ('{"type": "subscribe", "cameras": [{"id": ["cam"]}]}', "not_found"),
    ('{"type": "subscribe", "cameras": [{"id": "nobody"}]}', "not_found"),
    ('{"type": "subscribe", "cameras": [{"id": "\\ud800"}]}', "not_found"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "fps": -1}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "fps": 1e999}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "fps": NaN}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "fps": true}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "width": 1}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "credit": 0}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "credit": 1.5}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "credit": 10000}]}', "bad_value"),
    ('{"type": "subscribe", "cameras": [{"id": "cam", "overlay": "x"}]}', "bad_value"),
    (json.dumps({"type": "subscribe", "cameras": [{"id": "cam"}] * 300}), "bad_value"),
    ('{"type": "unsubscribe", "cameras": [1]}', "bad_value"),
    ('{"type": "unsubscribe"}', "bad_value"),
    ('{"type": "ack"}', "bad_value"),
    ('{"type": "ack", "camera": "1", "frame": 1}', "bad_value"),
    ('{"type": "ack", "camera": 1, "frame": 1.0}', "bad_value"),
    ('{"type": "ack", "camera": true, "frame": 1}', "bad_value"),
    ('{"type": "stats", "interval_s": "1"}', "bad_value"),
    ('{"type": "stats", "interval_s": -1}', "bad_value"),
    ('{"type": "stats", "interval_s": 0.001}', "bad_value"),
    ('{"type": "stats", "interval_s": NaN}', "bad_value"),
    ('{"type": "stats", "interval_s": true}', "bad_value"),
    ('{"type": "ping", "t": {}}', "bad_value"),
    ('{"type": "ping", "t": NaN}', "bad_value"),
    ('{"type": "ping", "t": 1e999}', "bad_value"),
]


async def test_nonsense_is_answered_and_harms_nobody(server: Server) -> None:
    await server.push(jpeg(1))
    async with Page.opened(server.client, server.url) as page, Page.opened(server.client, server.url) as other:
        await other.subscribe("cam")
        await other.see()
        for text, code in NONSENSE:
            await page.socket.send_str(text)
            heard = await page.hear("error")
            assert heard["code"] == code, (text[:100], heard)
            assert heard["message"]
        await page.socket.send_bytes(b"\x00\x01")
        assert (await page.hear("error"))["code"] == "bad_message"
        await page.say(type="ack", camera=65_535, frame=10**30)
        await page.settle()
        await page.subscribe("cam")
        await page.see()
        await page.say(type="ack", camera=1, frame=10**30)
        await page.settle()
        sent = await server.push(jpeg(2))
        assert (await page.see()).frame_id == (await other.see()).frame_id == sent["frame_id"]
        assert all(math.isfinite(text.get("server_ns", 0)) for text in page.texts)


async def test_a_message_that_is_too_large_ends_the_conversation(server: Server) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.hear("hello")
        await page.socket.send_str(" " * (1 << 20))
        with pytest.raises(EOFError):
            await page.hear("pong")
        assert page.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_page_that_vanishes_costs_the_others_nothing(tmp_path: Path) -> None:
    """Its connection is gone for a moment before its handler knows, and in this moment pictures come."""
    async with (
        serving(tmp_path, {"cam": "mock:?fps=240&size=64x64"}) as server,
        Page.opened(server.client, server.url) as stays,
    ):
        await stays.subscribe("cam", credit=30)
        for _ in range(20):
            async with Page.opened(server.client, server.url) as vanishes:
                await vanishes.subscribe("cam", credit=30)
                await vanishes.see()
                connection = vanishes.socket._response.connection
                assert connection is not None and connection.transport is not None
                linger = struct.pack("ii", 1, 0)
                connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.transport.abort()
            last = await stays.see()
            await stays.ack(last)
        await until(lambda: len(server.camera().stream.viewers) == 1)
        for _ in range(60):
            message = await stays.see()
            await stays.ack(message)
        assert message.frame_id > last.frame_id


async def test_no_trace_is_left_of_a_page_that_has_gone(server: Server) -> None:
    cameras = server.service.cameras
    stream = server.camera().stream
    listeners = len(cameras.on_added), len(cameras.on_changed), len(cameras.on_removed), len(stream.on_state)
    for _ in range(3):
        async with Page.opened(server.client, server.url) as page:
            await page.subscribe("*")
            await page.settle()
    await until(lambda: not stream.viewers and len(stream.on_state) == listeners[-1] and not stream.wanted)
    assert (len(cameras.on_added), len(cameras.on_changed), len(cameras.on_removed), len(stream.on_state)) == listeners


async def test_a_plain_request_is_told_what_to_do(server: Server) -> None:
    assert "Upgrade" in await server.error("GET", "/api/v1/ws", 400, "websocket_only")
