"""A whole server that is killed with deliveries on their way, and starts again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.service.events.broker import Broker, Listener
from tests.service.events.telling import Receiver
from tests.service.events.test_crash import server
from tests.service.serving import until

pytestmark = pytest.mark.anyio

EVENTS = 4


async def test_what_was_announced_arrives_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path)
    async with Receiver.running() as receiver:
        monkeypatch.setenv("FRAMECAST_EVENTS_WEBHOOKS", receiver.url)
        monkeypatch.setenv("FRAMECAST_MQTT_URL", broker.url)
        receiver.statuses = iter([503] * 1000)
        async with server(tmp_path) as running:
            async with running.listening("0") as listener:
                for number in range(EVENTS):
                    rule = {"kind": "offline", "name": f"gone {number}", "cameras": ["door"]}
                    await running.json("POST", "/api/v1/rules", json=rule)
                heard = [await listener.next() for _ in range(EVENTS)]
            await until(lambda: receiver.told)
            waiting = (await running.json("GET", "/api/v1/events/sinks"))["sinks"]
            assert {each["kind"]: each["waiting"] for each in waiting} == {"webhook": EVENTS, "mqtt": EVENTS}
            await running.kill()
        tried = {told.body for told in receiver.told}
        assert tried == {heard[0][2]}, "the others wait behind it"
        receiver.told.clear()
        receiver.statuses = iter(())
        await broker.start()
        try:
            async with Listener.of(broker) as home, server(tmp_path):
                await until(lambda: len(receiver.told) >= EVENTS)
                await until(lambda: len([1 for topic, _ in home.heard if topic == "framecast/events"]) >= EVENTS)
        finally:
            await broker.stop()
    by_webhook = [told.body for told in receiver.told]
    by_mqtt = [payload for topic, payload in home.heard if topic == "framecast/events"]
    for bodies in (by_webhook, by_mqtt):
        # Whatever was told before comes first, in its order, in the same bytes; then what the start announced.
        assert [body for body in bodies if body in {body for *_, body in heard}] == [body for *_, body in heard]
        ids = [json.loads(body)["event"]["event_id"] for body in bodies]
        assert ids[:EVENTS] == [said["event"]["event_id"] for _, said, _ in heard]
