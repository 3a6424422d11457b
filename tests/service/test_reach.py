"""Which camera URLs may come in over the API."""

from __future__ import annotations

import pytest

from framecast.service.cameras.reach import address_refusal, url_refusal
from framecast.service.config.sections import NetworkSettings

NETWORK = NetworkSettings()


@pytest.mark.parametrize(
    "url",
    ["http://192.168.1.20:81/stream", "rtsp://10.0.0.1/", "http://cam.local/", "http://8.8.8.8/", "push:", "mock:",
     "v4l2:/dev/video0", "http://[fd12::1]/", "http://100.64.0.1/"],
)  # fmt: skip
def test_welcome(url: str) -> None:
    assert url_refusal(url, NETWORK) == ""


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:8080/", "http://x.localhost/", "http://LOCALHOST./", "http://[::1]/",
     "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/", "http://[::]/", "http://169.254.169.254/latest/meta-data",
     "http://[fe80::1%25eth0]/", "http://[fd00:ec2::254]/", "http://224.0.0.1/", "http://255.255.255.255/",
     "http://[2002:7f00:1::]/", "file:/etc/passwd"],
)  # fmt: skip
def test_refused(url: str) -> None:
    assert url_refusal(url, NETWORK)


def test_configured() -> None:
    bold = NetworkSettings(allow_loopback=True, allow_link_local=True, allow_files=True)
    for url in ("http://127.0.0.1/", "http://169.254.169.254/", "file:/film.mp4"):
        assert url_refusal(url, bold) == ""
    shy = NetworkSettings(allow_private=False, allow_public=False)
    assert "network.allow_private" in address_refusal("192.168.1.1", shy)
    assert "network.allow_private" in address_refusal("100.64.0.1", shy)
    assert "network.allow_public" in address_refusal("8.8.8.8", shy)


def test_addresses_only() -> None:
    with pytest.raises(ValueError, match="camera"):
        address_refusal("camera", NETWORK)
