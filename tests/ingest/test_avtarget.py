from __future__ import annotations

import pytest

from framecast.core.errors import Misuse
from framecast.ingest.avtarget import target_of


def test_rtsp_keeps_its_password_to_itself_and_goes_over_one_connection() -> None:
    target = target_of("rtsp://user:secret@[fe80::1]:8554/live?channel=1", 7)
    assert target.name == "rtsp://user:secret@[fe80::1]:8554/live?channel=1"
    assert target.address == "[fe80::1]:8554"
    assert target.live
    (options,) = target.options
    assert options["rtsp_transport"] == "tcp"
    assert options["timeout"] == "7000000"
    assert "file" not in options["protocol_whitelist"]
    assert "http" not in options["protocol_whitelist"]


@pytest.mark.parametrize(("url", "address"), [("rtsp://cam/x", "cam:554"), ("rtsps://cam/x", "cam:322")])
def test_rtsp_has_its_usual_ports(url: str, address: str) -> None:
    assert target_of(url, 7).address == address


def test_rtsp_takes_a_login_that_is_given_apart() -> None:
    assert target_of("rtsp://cam/x?a=1", 7, "me", "p@ss/w").name == "rtsp://me:p%40ss%2Fw@cam/x?a=1"
    assert target_of("rtsp://you:own@cam/x", 7, "me", "p").name == "rtsp://you:own@cam/x"


@pytest.mark.parametrize(
    ("url", "ip", "name"),
    [
        ("rtsp://u:p@cam/x?a=1", "10.0.0.7", "rtsp://u:p@10.0.0.7:554/x?a=1"),
        ("rtsps://cam:8554/x", "fe80::1", "rtsps://[fe80::1]:8554/x"),
    ],
)
def test_an_address_takes_the_place_of_the_name(url: str, ip: str, name: str) -> None:
    target = target_of(url, 7)
    assert target.at(ip).name == name
    assert target.at(ip).address == target.address


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:clip.avi", "file:clip.avi"),
        ("file:/a/b:c.mp4", "file:/a/b:c.mp4"),
        ("file:///a/b.mp4", "file:/a/b.mp4"),
        ("file://localhost/a/b.mp4", "file:/a/b.mp4"),
    ],
)
def test_files_are_only_ever_files(url: str, name: str) -> None:
    target = target_of(url, 7)
    assert target.name == name
    assert target.options == ({"protocol_whitelist": "file"},)
    assert not target.live


@pytest.mark.parametrize("url", ["rtsp://cam/\ud800", "rtsp://\ud800/", "file:/\ud800.mp4"])
def test_what_is_no_text_is_refused(url: str) -> None:
    with pytest.raises(Misuse, match="no text"):
        target_of(url, 7)


def test_a_file_may_have_a_name_that_is_none() -> None:
    assert target_of("file:/a/\udcff.mp4", 7).name == "file:/a/\udcff.mp4"


def test_local_cameras_are_asked_for_jpeg_first() -> None:
    target = target_of("v4l2:/dev/video0?width=640&height=480&fps=15", 7)
    assert (target.name, target.address, target.demuxer) == ("/dev/video0", "/dev/video0", "v4l2")
    size = {"video_size": "640x480", "framerate": "15"}
    assert target.options == ({**size, "input_format": "mjpeg"}, size)
    assert target_of("v4l2:/dev/video2?format=yuyv", 7).options == ({"input_format": "yuyv422"},)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://cam/", "rtsp://"),
        ("cam", "rtsp://"),
        ("rtsp:///x", "names a host"),
        ("rtsp://cam:99999/x", "65535"),
        ("file:", "wants a path"),
        ("file:///", "wants a path"),
        ("v4l2:video0", "v4l2:/dev/video0"),
        ("v4l2:/etc/passwd", "wants a device"),
        ("v4l2:/dev/video0?width=640", "together"),
        ("v4l2:/dev/video0?width=9&height=480", "16 to 8192"),
        ("v4l2:/dev/video0?fps=fast", "1 to 240"),
        ("v4l2:/dev/video0?format=h264", "mjpeg and yuyv"),
        ("v4l2:/dev/video0?zoom=2", "width, height, fps, format"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(url: str, says: str) -> None:
    with pytest.raises(Misuse, match=says):
        target_of(url, 7)


def test_no_refusal_repeats_a_password() -> None:
    with pytest.raises(Misuse) as caught:
        target_of("rtsp://user:secret@cam:99999/x", 7)
    assert "secret" not in str(caught.value)
