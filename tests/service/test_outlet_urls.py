"""STUN and TURN servers and restreams as texts: read, refused with words, and shown without their secrets."""

from __future__ import annotations

import pytest

from framecast.core.errors import ConfigError
from framecast.service.config import report
from framecast.service.config.iceurls import check_ice_server, mask_ice_server, parse_ice_server
from framecast.service.config.models import CameraConfig
from framecast.service.config.resolve import defaults
from framecast.service.config.restreamurls import check_restream_url, hide_secrets, http_url, mask_restream_url


@pytest.mark.parametrize(
    ("text", "url", "username", "credential"),
    [
        ("stun:stun.example.org", "stun:stun.example.org:3478", "", ""),
        ("stuns:stun.example.org:5000", "stuns:stun.example.org:5000", "", ""),
        ("turn:me:secret@turn.example.org", "turn:turn.example.org:3478?transport=udp", "me", "secret"),
        ("turn:me:s%40c%3Ar@[2001:db8::1]:99?transport=tcp", "turn:[2001:db8::1]:99?transport=tcp", "me", "s@c:r"),
        ("turns:me:secret@turn.example.org", "turns:turn.example.org:5349", "me", "secret"),
    ],
)
def test_ice_servers(text: str, url: str, username: str, credential: str) -> None:
    server = parse_ice_server(check_ice_server(text))
    assert (server.url, server.username, server.credential) == (url, username, credential)
    assert server.link.startswith(f'<{url}>; rel="ice-server"')
    if credential:
        assert credential not in mask_ice_server(check_ice_server(text))
        assert "***" in mask_ice_server(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun.example.org",
        "http://x",
        "turn:turn.example.org",
        "stun:a:b@host",
        "stun:h:99999",
        "turn:a:b@h?transport=x",
    ],
)
def test_what_is_no_ice_server(text: str) -> None:
    with pytest.raises(ValueError, match="stun:HOST"):
        check_ice_server(text)


def test_a_header_cannot_be_broken_out_of() -> None:
    server = parse_ice_server("turn:a%22b:c%5Cd@host")
    assert 'username="a\\"b"; credential="c\\\\d"' in server.link
    with pytest.raises(ValueError, match="stun:HOST"):
        parse_ice_server("turn:a%0d%0ab:c@host")


@pytest.mark.parametrize(
    ("url", "kept", "shown"),
    [
        ("rtmp://h/app/key", "rtmp://h/app/key", "rtmp://h/app/***"),
        ("RTMPS://h:443/a/b/key?x=y", "rtmps://h:443/a/b/key?x=y", "rtmps://h:443/a/b/***"),
        ("rtsp://u:p@h/path", "rtsp://u:p@h/path", "rtsp://u:***@h/path"),
        ("whip:https://:tok@h/x", "whip+https://:tok@h/x", "whip+https://:***@h/x"),
        ("whip+http://:tok@h/x?token=t", "whip+http://:tok@h/x?token=t", "whip+http://:***@h/x?token=***"),
        ("whip+http://h:81/sesame/publish?a=b", "whip+http://h:81/sesame/publish?a=b", "whip+http://h:81/***"),
        ("rtmp://h/app/key/", "rtmp://h/app/key/", "rtmp://h/app/***"),
        ("rtmp://h/app/key#/x", "rtmp://h/app/key#/x", "rtmp://h/app/***"),
    ],
)
def test_restreams(url: str, kept: str, shown: str) -> None:
    assert check_restream_url(url) == kept
    assert mask_restream_url(kept) == shown
    assert not http_url(kept).startswith("whip")


@pytest.mark.parametrize(
    ("url", "words", "shown"),
    [
        ("rtmp://h/live/s3cr3tkey", "stream live/s3cr3tkey is not allowed", "stream live/*** is not allowed"),
        ("rtmp://h/live/s3cr3tkey/", "no s3cr3tkey", "no ***"),
        ("rtmp://h/live/door?user=me&pass=sesame", "door?user=me&pass=sesame: no", "***: no"),
        ("rtmp://h/live/door?user=me&pass=sesame", "sesame is not me's", "*** is not ***'s"),
        ("rtmp://h/live/door?opensesame", "opensesame is wrong", "*** is wrong"),
        ("rtmp://h/live/s3cr3t%20key", "s3cr3t key, s3cr3t%20key", "***, ***"),
        ("rtmp://h/live/x", "x is expired, live/x", "*** is expired, live/***"),
        ("rtmp://h/live/s3cr3tkey", "there is no stream called s3cr3t", "there is no stream called ***"),
        ("rtsp://me%40x:open%20sesame@h/p", "me@x may not, open sesame is wrong", "*** may not, *** is wrong"),
        ("rtsp://me:sesame@h/door?token=abcdef", "door?token=abcdef", "door?token=***"),
        ("whip+https://:t0ken12@h/door", "t0ken12 may not see door", "*** may not see door"),
        ("whip+https://h/0123456789/publish?a=b", "no /0123456789/publish, b", "no /***/***, ***"),
        ("rtsp://h/door", "door is taken", "door is taken"),
    ],
)
def test_words_of_the_other_end(url: str, words: str, shown: str) -> None:
    assert hide_secrets(check_restream_url(url), words) == shown


@pytest.mark.parametrize(
    "url", ["rtmp://h/app/a b", "rtmp://h/app/\n", "rtmp:h/app/key", "rtmp:///app/key", "rtmp://h/app/" + "k" * 3000]
)
def test_what_is_no_restream(url: str) -> None:
    with pytest.raises(ValueError, match="rtmp://HOST"):
        check_restream_url(url)


def test_settings_are_shown_without_secrets() -> None:
    camera = CameraConfig(url="push:", restream=["rtmp://h/app/sesame", "rtsp://u:sesame@h/x"])
    configuration = defaults({"webrtc.ice_servers": ["turn:me:sesame@h"]}).with_cameras({"cam": camera}, "a test")
    rows = report.effective(configuration)
    assert any(row.key == "cameras.cam.restream" and "***" in row.toml for row in rows)
    assert any(row.key == "webrtc.ice_servers" and "***" in row.toml for row in rows)
    assert not any("sesame" in row.toml for row in rows)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("webrtc.udp_ports", "50000", "50000-50199"),
        ("webrtc.udp_ports", "60000-50000", "50000-50199"),
        ("webrtc.udp_ports", "80-90", "1024"),
        ("webrtc.addresses", ["eth0"], "IP address"),
        ("webrtc.ice_servers", ["turn:me:sesame@h?transport=x"], "stun:HOST"),
    ],
)
def test_what_can_not_be_set(key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        defaults({key: value})
    assert "sesame" not in str(caught.value)


def test_ports() -> None:
    assert defaults({"webrtc.udp_ports": " 50000 - 50199"}).settings.webrtc.ports == (50_000, 50_199)
    assert defaults().settings.webrtc.ports == (0, 0)
