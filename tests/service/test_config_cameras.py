"""What may stand for a camera, and what of it may be shown."""

from __future__ import annotations

import pytest

from framecast.core.errors import ConfigError
from framecast.service import config
from framecast.service.config import mask_url


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.20:81/stream",
        "HTTPS://cam.example/",
        "http://user:p%40ss@[fe80::1]:81/",
        "rtsp://10.0.0.1/live",
        "rtsps://10.0.0.1/live",
        "push:",
        "file:/films/a b.mp4",
        "v4l2:/dev/video0",
        "v4l2:/dev/v4l/by-id/usb-cam",
        "v4l2:/dev/video0?width=640&height=480&fps=15",
        "mock:",
        "mock:?fps=30&size=640x480&audio=1&show_frame_id=1",
    ],
)
def test_camera_urls(url: str) -> None:
    assert config.check_camera({"url": url}).url.lower() == url.lower()


@pytest.mark.parametrize(
    "url",
    ["", "192.168.1.20", "http://", "http:/x", "http://h:99999/", "http://a b/", "push:x", "file:", "v4l2:video0",
     "file://[x", "v4l2:/dev/../etc", "mock:fps", "mock:?fps", "gopher://x", "http://h/\r\nX: y",
     "http://" + "a" * 3000],
)  # fmt: skip
def test_what_is_no_camera_url(url: str) -> None:
    with pytest.raises(ConfigError, match="a camera URL"):
        config.check_camera({"url": url})


@pytest.mark.parametrize(
    ("url", "meant"), [("htp://1.2.3.4", "http"), ("rstp://h/live", "rtsp"), ("rtps://h/live", "rtsp")]
)
def test_a_scheme_with_a_typo_is_told_what_was_meant(url: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"{url[:3]}\w*:// is unknown; did you mean {meant}://\?"):
        config.check_camera({"url": url})


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http:/10.0.0.1/s", "two slashes, as in http://192.168.1.20/"),
        ("rtsp://", "comes an address, as in rtsp://192.168.1.20/"),
        ("http://me:pw@10.0.0.1 /s", "a space in it; write %20"),
        ("http://me:pw@10.0.0.1:eighty/s", "has to be a port, from 1 to 65535"),
        ("https://me:pw@10.0.0.1:80000/s", "has to be a port, from 1 to 65535"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong) as caught:
        config.check_camera({"url": url})
    assert "pw" not in str(caught.value)


def test_secrets_are_masked() -> None:
    assert mask_url("http://admin:pw@10.0.0.1:81/s?user=a&pwd=b#c") == "http://admin:***@10.0.0.1:81/s?user=a&pwd=***#c"
    assert mask_url("http://10.0.0.1/") == "http://10.0.0.1/"
    assert mask_url("file:/a@b.mp4") == "file:/a@b.mp4"
    assert mask_url("rtsp://10.0.0.1/user=admin_password=pw_channel=1.sdp") == "rtsp://10.0.0.1/user=admin_password=***"
    assert mask_url("rtsp://10.0.0.1/user=admin&password=pw&channel=1") == (
        "rtsp://10.0.0.1/user=admin&password=***&channel=1"
    )
    assert mask_url("http://10.0.0.1/live.cgi?loginuse=a&loginpas=pw&x=1") == (
        "http://10.0.0.1/live.cgi?loginuse=a&loginpas=***&x=1"
    )
    assert mask_url("http://10.0.0.1/v?access_token=pw&passwd=pw") == "http://10.0.0.1/v?access_token=***&passwd=***"
    for typed in ("admin:pw@10.0.0.1", "admin:pw@10.0.0.1:81/s", "//admin:pw@cam/", "http:/admin:pw@cam", "pw@cam"):
        assert mask_url(typed).startswith("***@"), "an address as people type it"
        assert "pw" not in mask_url(typed)
    for typed in ("http://admin:p#pw@cam/", "http://admin:p/pw@cam/", "http://admin:p?pw@cam/"):
        assert mask_url(typed) == "http:***", "what should have been percent-encoded"
    with pytest.raises(ConfigError) as caught:
        config.check_camera({"url": "http://admin:pw@h:99999/"})
    assert "pw" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config.check_camera({"url": "push:", "password": "x" * 1000})
    assert "xxx" not in str(caught.value)


def test_untrusted_fields_are_checked() -> None:
    for fields, key in [
        ({"url": "push:", "colour": 1}, "colour"),
        ({"url": "push:", "rotate": 45}, "rotate"),
        ({"url": 7}, "url"),
        ({}, "url"),
        ({"url": "push:", "masks": "all"}, "masks"),
    ]:
        with pytest.raises(ConfigError) as caught:
            config.check_camera(fields)
        assert caught.value.key == key
