"""MQTT, with a real Mosquitto: where what holds is held, when the configuration says otherwise than before."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.service.events import mqtt
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
