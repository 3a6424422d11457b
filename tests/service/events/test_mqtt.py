"""MQTT, with a real Mosquitto: what is announced, what holds, and what Home Assistant makes of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from framecast.service.config.sections import MqttSettings
from framecast.service.errors import ApiError
from framecast.service.events import courier, mqtt, mqttlink
from framecast.service.events.deliveries import Deliveries
from framecast.service.events.homeassistant import Topics, discovery, sensor
from framecast.service.events.mqtt import Seen
from framecast.service.front import authority
from framecast.service.front.tls import Files
from framecast.service.store.events import EventStore, Phase
from framecast.service.store.state import State
from tests.service.events.broker import PASSWORD, Broker, Listener
from tests.service.events.telling import START_S, happening, office
from tests.service.events.test_api import OPTIONS, in_sight, person, see
from tests.service.serving import jpeg, serving, until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

DOOR = "framecast/cameras/door"
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
DEVICE = {
    *("connections", "identifiers", "manufacturer", "model", "model_id", "name", "serial_number", "suggested_area"),
    *("sw_version", "hw_version", "via_device", "configuration_url"),
}
COMMON = {
    *("availability", "availability_mode", "availability_topic", "device", "origin", "name", "unique_id", "icon"),
    *("json_attributes_template", "json_attributes_topic", "enabled_by_default", "entity_category", "qos"),
}
KEYS = {
    "binary_sensor": COMMON
    | {"device_class", "expire_after", "force_update", "off_delay", "payload_on", "payload_off", "state_topic"}
    | {"payload_available", "payload_not_available", "value_template"},
    "camera": COMMON | {"topic", "image_encoding", "encoding"},
}
"""What Home Assistant's pages on `binary_sensor.mqtt` and `camera.mqtt` name; anything else makes it refuse all."""
REQUIRED = {"binary_sensor": "state_topic", "camera": "topic"}
CLASSES = {"motion", "occupancy", "presence", "problem", "connectivity"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nobody has to wait for."""
    monkeypatch.setattr(courier, "FIRST_S", 0.01)
    monkeypatch.setattr(mqtt, "FIRST_S", 0.01)
    monkeypatch.setattr(mqtt, "CAP_S", 0.05)
    monkeypatch.setattr(mqtt, "LOOK_S", 0.05)


def test_what_home_assistant_is_told_is_what_it_knows() -> None:
    told = dict(discovery(Topics("framecast", "homeassistant", "framecast_1f"), "door", "Front „door“"))
    unique = set()
    for topic, payload in told.items():
        first, component, node, entity, last = topic.split("/")
        assert (first, node, last) == ("homeassistant", "framecast_1f", "config")
        said = json.loads(payload)
        assert said.keys() <= KEYS[component]
        assert said[REQUIRED[component]].startswith(f"{DOOR}/")
        assert said["device"].keys() <= DEVICE and said["device"]["identifiers"] == ["framecast_1f_door"]
        assert said["device"]["name"] == "Front „door“"
        assert said["origin"].keys() <= {"name", "sw_version", "support_url"} and said["origin"]["name"]
        assert all(each.keys() <= AVAILABILITY for each in said["availability"])
        assert said["availability_mode"] in ("all", "any", "latest")
        assert said.get("device_class", "motion") in CLASSES
        assert entity.replace("-", "").replace("_", "").isalnum()
        unique.add(said["unique_id"])
    assert len(unique) == len(told) == 3
    once, again = (discovery(Topics("framecast", "homeassistant", "framecast_1f"), "door", "") for _ in range(2))
    assert once is again, "it is compared every second, for 256 cameras in 10 ms of the loop"


def test_which_sensor_an_event_is_for() -> None:
    def of(**fields: object) -> str:
        return sensor(happening(**fields).described())

    assert of() == of(kind="face", label="") == "person"
    assert of(kind="motion", label="") == "motion"
    assert of(label="car") == of(kind="line") == of(kind="offline", label="") == ""


async def test_events_and_what_holds_arrive(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker, Listener.of(broker) as home:
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            await until(lambda: home.held.get("framecast/status") == b"online")
            assert home.held[f"{DOOR}/person"] == home.held[f"{DOOR}/motion"] == b"OFF"
            assert home.held[f"{DOOR}/status"] == b"online"
            configs = [topic for topic in home.held if topic.endswith("/config")]
            assert len(configs) == 3
            event = happening()
            await there.announce(event, picture=b"\xff\xd8 a picture")
            await until(lambda: home.held.get(f"{DOOR}/person") == b"ON")
            await until(lambda: "framecast/events" in home.held)
            assert home.held[f"{DOOR}/image"] == b"\xff\xd8 a picture"
            body = home.held["framecast/events"]
            assert home.held[f"{DOOR}/event"] == body
            assert json.loads(body)["event"]["event_id"] == event.event_id
            await there.announce(happening(1, kind="motion", label=""))
            await until(lambda: home.held[f"{DOOR}/motion"] == b"ON")
            await there.announce(event, Phase.END)
            await until(lambda: home.held[f"{DOOR}/person"] == b"OFF")
            assert home.held[f"{DOOR}/motion"] == b"ON"
            there.cameras["door"] = Seen("Back door", False)
            await until(lambda: home.held[f"{DOOR}/status"] == b"offline")
            named = json.loads(home.held[configs[0]])["device"]["name"]
            assert named == "Back door"
            await there.deliveries.test("mqtt")
            await until(lambda: json.loads(home.held["framecast/events"])["phase"] == "test")
        await until(lambda: home.held["framecast/status"] == b"offline")
        # Whoever comes later knows it, too.
        async with Listener.of(broker) as later:
            await until(lambda: later.held.get("framecast/status") == b"offline")
        # A camera that is removed while nobody looks is taken back at the next start.
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            there.cameras.clear()
            await until(lambda: all(home.held[topic] == b"" for topic in configs))


async def test_what_is_announced_while_the_broker_is_away_arrives_once_it_is_back(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker, office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
        sink = there.deliveries._couriers["mqtt"]
        await there.announce(happening(0))
        await until(lambda: sink.delivered == 1)
        await broker.stop()
        events = [happening(number) for number in range(1, 4)]
        for event in events:
            await there.announce(event)
        await until(lambda: sink.last_error)
        await broker.start()
        async with Listener.of(broker) as home:
            await until(lambda: sink.delivered == 4 and sink.state == "idle")
            await until(lambda: home.held.get("framecast/status") == b"online")
        said = await there.sinks()
        assert (said["mqtt"]["state"], said["mqtt"]["waiting"]) == ("idle", 0)


async def test_what_is_on_its_way_as_the_broker_breaks_down_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqttlink, "TAKES_S", 3600.0)
    async with Broker.running(tmp_path) as broker, office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
        sink = there.deliveries._couriers["mqtt"]
        await there.announce(happening(0))
        await until(lambda: sink.delivered == 1 and sink.state == "idle")
        broker.fall_silent()
        await there.announce(happening(1))
        await until(lambda: sink.state == "sending")
        await broker.break_down()
        await broker.start()
        await until(lambda: sink.delivered == 2)


async def test_what_is_on_its_way_when_the_connection_is_closed_fails_and_is_not_cancelled(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        mqttlink.connected(MqttSettings(url=broker.url), "me", ("status", b"gone")) as link,
    ):
        await link.publish("status", b"here")
        broker.fall_silent()
        sending = asyncio.create_task(link.publish("status", b"here still"))
        await asyncio.sleep(0)
        await link.close()
        with pytest.raises(mqttlink.LinkError, match="ended"):
            await sending
        await broker.break_down()


async def test_a_server_that_dies_is_said_to_be_gone_by_the_broker(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        await until(lambda: home.held.get("framecast/status") == b"online")
        sink = there.deliveries._couriers["mqtt"].sink
        sink._link._client._client.socket().shutdown(2)  # type: ignore[attr-defined]
        await until(lambda: ("framecast/status", b"offline") in home.heard)
        await until(lambda: home.held["framecast/status"] == b"online")


async def test_a_password_is_given_and_a_wrong_one_is_told_of_without_it(tmp_path: Path) -> None:
    async with Broker.running(tmp_path, password=True) as broker:
        right = {"mqtt.url": broker.url, "mqtt.username": "me", "mqtt.password": PASSWORD}
        async with office(tmp_path / "data", right) as there:
            sink = there.deliveries._couriers["mqtt"].sink
            await until(lambda: sink._link is not None)  # type: ignore[attr-defined]
            await there.deliveries.test("mqtt")
        async with office(tmp_path / "data", {**right, "mqtt.password": "open barley"}) as there:
            await there.announce(happening())
            await until(lambda: there.deliveries._couriers["mqtt"].last_error not in ("", "it was not reached yet"))
            (said,) = (await there.sinks()).values()
            assert "uthoriz" in said["last_error"] and "barley" not in str(said)
            with pytest.raises(ApiError, match="uthoriz"):
                await there.deliveries.test("mqtt")


async def test_by_tls_a_certificate_has_to_be_signed_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    authority.init(tmp_path)
    async with Broker.running(tmp_path, certificate=Files.of(tmp_path).certificate) as broker:
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            sink = there.deliveries._couriers["mqtt"].sink
            await until(lambda: "certificate" in sink._trouble)  # type: ignore[attr-defined]
        async with office(tmp_path / "data", {"mqtt.url": broker.url, "mqtt.verify_tls": False}) as there:
            sink = there.deliveries._couriers["mqtt"].sink
            await until(lambda: sink._link is not None)  # type: ignore[attr-defined]
            await there.deliveries.test("mqtt")


async def test_an_event_that_is_deleted_does_not_last_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.events.deliveries.TIDY_S", 0.05)
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        event = happening()
        await there.announce(event)
        await until(lambda: home.held.get(f"{DOOR}/person") == b"ON")
        await there.log.delete(event.event_id)
        await there.announce(event, Phase.END)
        await until(lambda: home.held[f"{DOOR}/person"] == b"OFF")


async def test_one_that_accepts_and_says_nothing_keeps_nobody_from_stopping(tmp_path: Path) -> None:
    held: list[asyncio.StreamWriter] = []
    door = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    async with door:
        url = f"mqtt://127.0.0.1:{door.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(20), serving(tmp_path, options={"mqtt.url": url}) as server:
            await until(lambda: held)
            (sink,) = (await server.json("GET", "/api/v1/events/sinks"))["sinks"]
            assert (sink["sink"], sink["label"], sink["state"]) == ("mqtt", url, "idle")
            await server.error("POST", "/api/v1/events/sinks/mqtt/test", 503, "undelivered")
        for writer in held:
            writer.transport.abort()


async def test_without_the_package_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqttlink, "find_spec", lambda _: None)
    async with serving(tmp_path, options={"mqtt.url": f"mqtt://127.0.0.1:{free_port()}"}) as server:
        words = await server.error("POST", "/api/v1/events/sinks/mqtt/test", 503, "undelivered")
        assert "framecast[events]" in words


async def test_a_picture_that_waited_is_not_sent_once_a_mask_is_set(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker:
        await broker.stop()
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            await there.announce(happening(), picture=b"\xff\xd8 before")
            there.log.forget_pictures("door")
            await broker.start()
            async with Listener.of(broker) as home:
                await until(lambda: home.held.get(f"{DOOR}/event"))  # which stays there, after the picture
                assert not home.held.get(f"{DOOR}/image")
                await there.announce(happening(1), picture=b"\xff\xd8 after")
                await until(lambda: home.held.get(f"{DOOR}/image") == b"\xff\xd8 after")


async def test_nor_is_it_when_the_server_was_started_anew_meanwhile(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker:
        await broker.stop()
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            await there.announce(happening(), picture=b"\xff\xd8 before")
            there.deliveries.forget_picture("door")
            await until(lambda: bool(there.deliveries._retained.unsendable()))
        await broker.start()
        async with Listener.of(broker) as home, office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            await until(lambda: "framecast/events" in home.held)
            assert not home.held.get(f"{DOOR}/image")
            await there.announce(happening(1), picture=b"\xff\xd8 after")
            await until(lambda: home.held.get(f"{DOOR}/image") == b"\xff\xd8 after")


async def test_nor_when_the_mask_was_set_while_the_server_was_down(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker:
        await broker.stop()
        options = {"mqtt.url": broker.url}
        late = happening(5 * 365 * 86_400)  # the clock was ahead then
        async with office(tmp_path / "data", options) as there:
            await there.announce(late, picture=b"\xff\xd8 before")
        await broker.start()
        async with Listener.of(broker) as home, office(tmp_path / "data", options, shown=("masked",)) as there:
            await until(lambda: "framecast/events" in home.held)
            assert not home.held.get(f"{DOOR}/image")
            await there.announce(happening(1), picture=b"\xff\xd8 after")
            await until(lambda: home.held.get(f"{DOOR}/image") == b"\xff\xd8 after")
            await until(
                lambda: not there.deliveries._outbox.waiting()
            )  # what waits is taken for one of before the mask
        async with Listener.of(broker) as home, office(tmp_path / "data", options, shown=("masked",)) as there:
            await looked_through(there.deliveries)
            await until(lambda: f"{DOOR}/image" in home.held)
            assert home.held[f"{DOOR}/image"] == b"\xff\xd8 after", "once, and not at every start"


async def looked_through(deliveries: Deliveries) -> None:
    """Wait until what is no more was taken back."""
    sink = deliveries._couriers["mqtt"].sink
    assert isinstance(sink, mqtt.MqttSink)
    await until(lambda: sink._link is not None and not sink._is_stale)


IMAGE, EVENT = f"{DOOR}/image", f"{DOOR}/event"


async def held(broker: Broker) -> set[str]:
    """What is retained of the door's events, as somebody learns who comes now."""
    async with Listener.of(broker) as home:
        await until(lambda: "framecast/status" in home.held)
        return {IMAGE, EVENT} & home.held.keys()


async def test_what_is_retained_of_an_event_goes_with_it(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        first, shown, last, old = (happening(number, end_s=START_S) for number in (0, 1, 2, -1_000_000_000))
        for each in (first, shown):
            await there.announce(each, picture=b"\xff\xd8 " + each.event_id.encode())
        await there.announce(last)  # has no picture: that of the one before stays
        await until(lambda: [topic for topic, _ in home.heard].count("framecast/events") == 3)
        for each in (first, last):
            assert await there.log.delete(each.event_id)
        await until(lambda: not home.held[EVENT])
        assert await held(broker) == {IMAGE}
        assert await there.log.delete(shown.event_id)
        await until(lambda: not home.held[IMAGE])
        assert await held(broker) == set()
        await there.announce(old, picture=b"\xff\xd8 old")
        await until(lambda: home.held[EVENT] and home.held[IMAGE])
        await there.log.sweep()
        await until(lambda: not home.held[EVENT] and not home.held[IMAGE])


async def test_what_was_deleted_while_nobody_could_be_told_is_taken_back_later(tmp_path: Path) -> None:
    async with Broker.running(tmp_path) as broker, Listener.of(broker) as home:
        event = happening()
        async with office(tmp_path / "data", {"mqtt.url": broker.url}) as there:
            await there.announce(event, picture=b"\xff\xd8")
            await until(lambda: "framecast/events" in home.held)
        assert await held(broker) == {EVENT, IMAGE}
        with State.open(tmp_path / "data") as state:
            assert EventStore(state.database).delete(event.event_id)
        async with office(tmp_path / "data", {"mqtt.url": broker.url}):
            await until(lambda: not home.held[EVENT] and not home.held[IMAGE])
            assert await held(broker) == set()


async def test_no_sensor_stays_on_for_an_event_that_was_deleted(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        seen, moved = happening(), happening(1, kind="motion", label="")
        for each in (seen, moved):
            await there.announce(each)
        await until(lambda: home.held.get(f"{DOOR}/person") == home.held.get(f"{DOOR}/motion") == b"ON")
        assert await there.log.delete(seen.event_id)
        await until(lambda: home.held[f"{DOOR}/person"] == b"OFF")
        assert home.held[f"{DOOR}/motion"] == b"ON"


async def test_what_is_told_last_of_a_camera_that_is_gone_is_taken_back_too(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        office(tmp_path / "data", {"mqtt.url": broker.url}) as there,
    ):
        await until(lambda: home.held.get(f"{DOOR}/status") == b"online")
        there.cameras.clear()
        sink = there.deliveries._couriers["mqtt"].sink
        assert isinstance(sink, mqtt.MqttSink)
        await until(lambda: not home.held[f"{DOOR}/status"] and not sink._is_stale)
        await there.announce(happening(), picture=b"\xff\xd8")
        await until(lambda: "framecast/events" in home.held)
        await until(lambda: not home.held[EVENT] and not home.held[IMAGE])
        assert await held(broker) == set()


async def test_a_mask_takes_the_picture_back_and_who_removes_a_camera_takes_back_all(tmp_path: Path) -> None:
    async with (
        Broker.running(tmp_path) as broker,
        Listener.of(broker) as home,
        serving(tmp_path, {"door": "push:"}, options={**OPTIONS, "mqtt.url": broker.url}) as server,
    ):
        await in_sight(server)
        await see(server, person(), camera="door")
        await until(lambda: bool(home.held.get(EVENT)))
        assert home.held[IMAGE] == jpeg()
        await server.json("PATCH", "/api/v1/cameras/door", json={"masks": [[0, 0, 1, 1]]})
        await until(lambda: not home.held[IMAGE])
        assert [topic for topic, _ in home.heard].count(EVENT) == 1, "at once, not with the next announcement"
        assert await held(broker) == {EVENT}
        await server.service.administration.remove_camera("door")
        async with asyncio.timeout(20):
            while await held(broker):
                pass


@pytest.mark.parametrize("way", ["kept", "configured"])
async def test_a_mask_takes_the_picture_back_where_the_server_could_keep_nothing_but_the_mask(
    tmp_path: Path, way: str
) -> None:
    """It was killed right after that; or somebody wrote the mask into the file while it was down."""
    yard = IMAGE.replace("door", "yard")
    mask = {"masks": [[0.0, 0.0, 1.0, 1.0]]}
    cameras: dict[str, dict[str, object]] = {"door": {"url": "push:"}}
    async with Broker.running(tmp_path) as broker, Listener.of(broker) as home:
        options = {**OPTIONS, "mqtt.url": broker.url}
        async with serving(tmp_path, cameras, options=options) as server:
            await server.json("POST", "/api/v1/cameras", status=201, json={"id": "yard", "url": "push:"})
            await in_sight(server)
            for camera in ("door", "yard"):
                await see(server, person(), camera=camera)
            await until(lambda: bool(home.held.get(IMAGE) and home.held.get(yard)))
        if way == "configured":
            cameras["door"] |= mask
        else:
            with State.open(tmp_path / "data") as state:
                state.save_camera("door", mask, view=(0, "none"))
        async with serving(tmp_path, cameras, options=options) as server:
            deliveries = server.service.deliveries
            async with asyncio.timeout(20):
                while any(each["waiting"] for each in await deliveries.described()):
                    pass  # that the events are over is told now, or was told before
            await looked_through(deliveries)
            assert await held(broker) == {EVENT}
            assert home.held[yard], "nothing has changed there"
