"""Configuration: models, layers and the loader.

configuration = load(file=…, options={"server.port": 8080}, cameras=["door=http://…"])
configuration = configuration.with_changes(state.changes())
configuration.settings.stream.fps
"""

from framecast.service.config.addresses import Address, is_loopback, parse_address
from framecast.service.config.kinds import CAMERA_ID
from framecast.service.config.models import CameraConfig, Settings, StreamOptions
from framecast.service.config.resolve import Configuration, check_camera, check_settings, defaults, load
from framecast.service.config.sources import Changes, Given, Origin, absolute_file
from framecast.service.config.urls import mask_url

__all__ = [
    "CAMERA_ID",
    "Address",
    "CameraConfig",
    "Changes",
    "Configuration",
    "Given",
    "Origin",
    "Settings",
    "StreamOptions",
    "absolute_file",
    "check_camera",
    "check_settings",
    "defaults",
    "is_loopback",
    "load",
    "mask_url",
    "parse_address",
]
