"""The kinds of values that settings take, each checked and put into one form when it is read."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from framecast.service.config.addresses import parse_address, parse_base_path, parse_host
from framecast.service.config.eventurls import check_contact, check_mqtt_url, check_topic, check_webhook_url
from framecast.service.config.iceurls import check_ice_server
from framecast.service.config.restreamurls import check_restream_url
from framecast.service.config.urls import check_camera_url, check_sound_url

_LABEL = re.compile(r"[^\W_]([\w .:'+/-]{0,62}[\w.'+)])?")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CAMERA_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+")


def _camera_id(value: str) -> str:
    if value and not CAMERA_ID.fullmatch(value):
        raise ValueError("a camera id: 1 to 63 of a-z, 0-9, - and _, starting with a letter or digit")
    return value


def _address_text(value: str) -> str:
    return str(parse_address(value))


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError('a network such as "192.168.1.0/24" or one address') from None


def _proxy(value: str) -> str:
    network = ipaddress.ip_network(_network(value))
    if network.prefixlen == 0:
        raise ValueError("an address or network that is narrower than all there is: whoever it names is believed")
    return str(network)


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value.rstrip("/")):
        raise ValueError('an origin such as "https://example.org", without a path')
    return value.rstrip("/").lower()


def _mask(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = value
    beyond = max(x + width, y + height) > 1 + 1e-6
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1 and 0 < height <= 1) or beyond:
        raise ValueError(
            "[x, y, width, height] as fractions of the picture, 0 to 1, x + width and y + height at most 1"
        )
    return value


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        raise ValueError('an IP address such as "192.168.1.10"') from None


def _port_range(value: str) -> str:
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", value.strip())
    if not value.strip():
        return ""
    if match is None or not 1024 <= int(match[1]) <= int(match[2]) <= 65_535:
        raise ValueError('UDP ports such as "50000-50199", from 1024 to 65535, or empty')
    return f"{int(match[1])}-{int(match[2])}"


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError('what a model finds, such as "person", of at most 64 letters')
    return value


def _model_name(value: str) -> str:
    if value and not _MODEL.fullmatch(value):
        raise ValueError('the name of a model such as "yolox_nano", or empty')
    return value


def check_host_name(value: str) -> str:
    """A name on the internet, in small letters; empty stays empty. Raises ValueError, saying what would be accepted."""
    if value and not _HOST_NAME.fullmatch(value.lower()):
        raise ValueError('a name such as "cams.example.net", without a scheme, port or path')
    return value.lower()


CameraId = Annotated[str, AfterValidator(_camera_id)]
Host = Annotated[str, AfterValidator(parse_host)]
AddressText = Annotated[str, AfterValidator(_address_text)]
HostName = Annotated[str, AfterValidator(check_host_name)]
Network = Annotated[str, AfterValidator(_network)]
Proxy = Annotated[str, AfterValidator(_proxy)]
BasePath = Annotated[str, AfterValidator(parse_base_path)]
Origin = Annotated[str, AfterValidator(_origin)]
Mask = Annotated[tuple[float, float, float, float], AfterValidator(_mask)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
IceServerText = Annotated[str, AfterValidator(check_ice_server)]
PortRange = Annotated[str, AfterValidator(_port_range)]
Label = Annotated[str, AfterValidator(_label)]
ModelName = Annotated[str, AfterValidator(_model_name)]
RestreamUrl = Annotated[str, AfterValidator(check_restream_url)]
CameraUrl = Annotated[str, AfterValidator(check_camera_url)]
SoundUrl = Annotated[str, AfterValidator(check_sound_url)]
WebhookUrl = Annotated[str, AfterValidator(check_webhook_url)]
MqttUrl = Annotated[str, AfterValidator(check_mqtt_url)]
Topic = Annotated[str, AfterValidator(check_topic)]
Contact = Annotated[str, AfterValidator(check_contact)]
