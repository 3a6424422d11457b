"""What Home Assistant is told over MQTT, so that each camera is a device there without anybody writing YAML.

After Home Assistant's own pages on MQTT discovery, `binary_sensor.mqtt` and `camera.mqtt`. Pure: topics and texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from framecast import __version__

ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"
SENSORS = {"person": ("Person", "occupancy"), "motion": ("Motion", "motion")}
"""What a camera has: its name in topics, for people, and its class there."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Where things are told.

    Attributes:
        prefix: First part of all topics.
        discovery: Where Home Assistant looks.
        node: This server's name there; no other one's.
    """

    prefix: str
    discovery: str
    node: str

    @property
    def status(self) -> str:
        """Whether this server is there; the broker says so when it is gone."""
        return f"{self.prefix}/status"

    @property
    def events(self) -> str:
        """All announcements."""
        return f"{self.prefix}/events"

    def of(self, camera_id: str, what: str) -> str:
        """Something of one camera."""
        return f"{self.prefix}/cameras/{camera_id}/{what}"

    def config(self, component: str, camera_id: str, what: str) -> str:
        """Where an entity is described."""
        return f"{self.discovery}/{component}/{self.node}/{camera_id}_{what}/config"

    @property
    def configs(self) -> str:
        """Where this server's entities are described, as a filter."""
        return f"{self.discovery}/+/{self.node}/+/config"

    def states(self, config: str) -> Iterator[str]:
        """Where it is told how that camera is of which an entity is described at ``config``."""
        camera_id = config.split("/")[-2].rpartition("_")[0]
        yield from (self.of(camera_id, what) for what in (*SENSORS, "status"))

    def held(self, camera_ids: Iterable[str]) -> Iterator[str]:
        """All topics where something may be held, where these are the cameras."""
        for camera_id in camera_ids:
            yield from (topic for topic, _ in _discovery(self, camera_id, ""))
            yield from (self.of(camera_id, what) for what in (*SENSORS, "status", "event", "image"))
        yield self.status


@lru_cache(maxsize=1024)
def discovery(topics: Topics, camera_id: str, name: str) -> tuple[tuple[str, bytes], ...]:
    """The messages that make a camera a device: topic and JSON. Kept, for they are compared every second."""
    return tuple(_discovery(topics, camera_id, name))


def _discovery(topics: Topics, camera_id: str, name: str) -> Iterator[tuple[str, bytes]]:
    device = {
        "identifiers": [f"{topics.node}_{camera_id}"],
        "name": name,
        "manufacturer": "Framecast",
        "model": "Camera",
        "sw_version": __version__,
    }
    common: dict[str, Any] = {
        "availability": [{"topic": topics.status}, {"topic": topics.of(camera_id, "status")}],
        "availability_mode": "all",
        "device": device,
        "origin": {"name": "Framecast", "sw_version": __version__},
    }
    for what, (title, device_class) in SENSORS.items():
        said = {
            "name": title,
            "unique_id": f"{topics.node}_{camera_id}_{what}",
            "device_class": device_class,
            "state_topic": topics.of(camera_id, what),
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
            **common,
        }
        yield topics.config("binary_sensor", camera_id, what), _json(said)
    said = {
        "name": "Last event",
        "unique_id": f"{topics.node}_{camera_id}_image",
        "topic": topics.of(camera_id, "image"),
        "json_attributes_topic": topics.of(camera_id, "event"),
        "json_attributes_template": "{{ value_json.event | tojson }}",
        **common,
    }
    yield topics.config("camera", camera_id, "image"), _json(said)


def sensor(event: Mapping[str, Any]) -> str:
    """Which sensor of its camera an event switches on while it lasts; empty for none."""
    if event["kind"] == "motion":
        return "motion"
    is_person = event["kind"] == "face" or event["label"] in ("person", "face")
    return "person" if is_person and event["kind"] in ("object", "face") else ""


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
