"""The pages that Espressif's CameraWebServer has beside its pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer."""

    status: str = "200 OK"
    content_type: str = "text/html"
    body: bytes = b""


NOT_FOUND = Answer("404 Not Found", body=b"Nothing matches the given URI")
FAILED = Answer("500 Internal Server Error", body=b"Server has encountered an unexpected error")

# Name, value after start; as /status reports them and /control sets them.
_SETTINGS = {
    "xclk": 20,
    "pixformat": 4,
    "framesize": 8,
    "quality": 10,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "sharpness": 0,
    "special_effect": 0,
    "wb_mode": 0,
    "awb": 1,
    "awb_gain": 1,
    "aec": 1,
    "aec2": 0,
    "ae_level": 0,
    "aec_value": 168,
    "agc": 1,
    "agc_gain": 0,
    "gainceiling": 0,
    "bpc": 0,
    "wpc": 1,
    "raw_gma": 1,
    "lenc": 1,
    "vflip": 0,
    "hmirror": 0,
    "dcw": 1,
    "colorbar": 0,
    "led_intensity": 0,
}
_ONLY_REPORTED = {"xclk", "pixformat"}


class EspressifControls:
    """``/status``, ``/control`` and the pages for registers; settings are kept and reported, and change nothing."""

    def __init__(self) -> None:
        self.settings = dict(_SETTINGS)

    def answer(self, path: str, query: str) -> Answer:
        """What the firmware answers to a request that is for no picture."""
        if path == "/status":
            body = json.dumps(self.settings, separators=(",", ":")).encode()
            return Answer(content_type="application/json", body=body)
        if path == "/control":
            return self._control(dict(parse_qsl(query, keep_blank_values=True)))
        if path in ("/xclk", "/reg", "/pll", "/resolution"):
            return Answer() if query else NOT_FOUND
        if path == "/greg":
            return Answer(body=b"0") if query else NOT_FOUND
        return NOT_FOUND

    def _control(self, values: dict[str, str]) -> Answer:
        if "var" not in values or "val" not in values:
            return NOT_FOUND
        name = values["var"]
        if name not in self.settings or name in _ONLY_REPORTED:
            return FAILED
        try:
            self.settings[name] = int(values["val"])
        except ValueError:
            self.settings[name] = 0  # C's atoi
        return Answer()
