"""MQTT, with a real Mosquitto: what stays there when things change, and what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.service.events import courier, mqtt
from framecast.service.events.mqtt import Seen
from tests.service.events.broker import Broker, Listener
from tests.service.events.telling import happening, office
from tests.service.serving import until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nobody has to wait for."""
    monkeypatch.setattr(mqtt, "FIRST_S", 0.01)
    monkeypatch.setattr(mqtt, "LOOK_S", 0.05)


@pytest.mark.parametrize("changed", ["prefix", "discovery_prefix"])
async def test_nothing_stays_where_topics_began_before(tmp_path: Path, changed: str) -> None:
    async with Broker.running(tmp_path) as broker, Listener.of(broker) as home:
        options = {"mqtt.url": broker.url}
        async with office(tmp_path / "data", options) as there:
            there.cameras["yard"] = Seen("Yard", True)
            there.deliveries.added("yard")
            await until(lambda: home.held.get("framecast/cameras/yard/status") == b"online")
            await there.announce(happening(), picture=b"\xff\xd8")
            await until(lambda: "framecast/events" in home.held and "framecast/cameras/door/image" in home.held)
            await until(lambda: "yard" in there.deliveries._retained.cameras())
        before = {topic for topic, payload in home.held.items() if payload} - {"framecast/events"}
        place = ("a/place", "homeassistant") if changed == "prefix" else ("framecast", "a/place")
        part = "cameras/door/person" if changed == "prefix" else "_person/config"
        gone = "framecast/" if changed == "prefix" else "homeassistant/"
        async with office(tmp_path / "data", {**options, f"mqtt.{changed}": "a/place"}) as there:  # without the yard
            left = {topic for topic in before if topic.startswith(gone)}
            assert len(left) >= 6
            await until(lambda: not any(home.held[topic] for topic in left))
            await until(lambda: not there.deliveries._retained.enter(place))
            moved = [topic for topic in home.held if topic.startswith("a/place/") and topic.endswith(part)]
            assert [bool(home.held[topic]) for topic in moved] == [True], "what holds now stays"


async def test_of_a_camera_that_was_removed_while_the_server_was_down_no_state_stays(tmp_path: Path) -> None:
    states = [f"framecast/cameras/old_yard/{what}" for what in ("status", "person", "motion")]
    async with Broker.running(tmp_path) as broker, Listener.of(broker) as home:
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            there.cameras["old_yard"] = Seen("Yard", True)
            await until(lambda: all(home.held.get(topic) for topic in states))
        async with office(tmp_path / "data", {"mqtt.url": broker.url}):
            await until(lambda: not any(home.held[topic] for topic in states))
            assert home.held["framecast/cameras/door/status"] == b"online"


async def test_a_picture_that_is_too_large_for_the_broker_holds_up_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mqtt, "CAP_S", 0.02)
    monkeypatch.setattr(courier, "FIRST_S", 0.01)
    image = "framecast/cameras/door/image"
    async with (
        Broker.running(tmp_path, most_bytes=4000) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        await there.announce(happening(0), picture=b"\xff\xd8 small")
        await until(lambda: home.held.get(image) == b"\xff\xd8 small")
        for number in (1, 2):
            await there.announce(happening(number), picture=b"\xff\xd8" + bytes(50_000))
        await until(lambda: [topic for topic, _ in home.heard].count("framecast/events") == 3)
        assert home.held[image] == b"", "none, rather than that of another event"
        await there.announce(happening(3), picture=b"\xff\xd8 small again")
        await until(lambda: home.held[image] == b"\xff\xd8 small again")
    assert [each.getMessage() for each in caplog.records if "cuts the connection" in each.getMessage()] == [
        f"{broker.url} cuts the connection over a picture of 50002 bytes; such pictures are not sent for 3600 s"
    ]
