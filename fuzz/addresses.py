"""Where somebody is led: what a camera's redirect says, and the URLs and names that people type."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from urllib.parse import quote, urlsplit

from framecast.core.errors import Misuse
from framecast.ingest.avtarget import target_of
from framecast.ingest.target import Target as Device
from framecast.service.access.sites import host_name
from framecast.service.config import addresses, eventurls, iceurls, restreamurls, urls
from framecast.wire.httprequest import request
from fuzz.target import Target, require

HOME = Device.parse("http://ann:s3cret@192.0.2.7:81/stream?x=1")
OF_THIS_MACHINE = ("file:", "v4l2:", "mock:")
"""What follows is no place elsewhere, and holds no password."""
LEAST_SECRET_CHARS = 4
"""A shorter one may be a part of anything."""


def redirect(data: bytes) -> Hashable:
    """Only Misuse escapes; where it leads can be asked for, and the password stays at its origin."""
    try:
        there = HOME.follow(data.decode("latin-1"))
    except Misuse:
        return "refused"
    require(there.scheme in ("http", "https") and bool(there.host) and 0 < there.port < 65_536, "no place")
    require(there.password != HOME.password or there.origin == HOME.origin, "the password goes elsewhere")
    require("@" not in there.url.partition("?")[0] or "@" in there.path, "the address shows who asks")
    again = Device.parse(there.url)
    require((again.origin, again.path) == (there.origin, there.path or "/"), "it leads elsewhere when taken again")
    try:
        head = request("GET", there.authority, there.path or "/", {})
    except ValueError:
        return "unspeakable"
    require(head.count(b"\n") == head.count(b"\r"), "a line was slipped in")
    return (there.scheme, there.origin == HOME.origin, bool(there.user), ":" in there.host, "?" in there.path)


def _camera(url: str) -> Hashable:
    _hidden(url, urls.mask_url(url))
    require(urls.check_camera_url(url) == url, "what was taken is not taken again")
    kind = urls.url_kind(url)
    try:
        if kind == "pull":
            Device.parse(url)
        elif kind in ("rtsp", "file", "v4l2"):
            target_of(url, 5.0, "ann", "s3cret")
    except Misuse:
        return (kind, "refused later")
    return (kind, "@" in url)


def _sound(url: str) -> Hashable:
    _hidden(url, urls.mask_url(url))
    return bool(url)


def _restream(url: str) -> Hashable:
    mask = restreamurls.mask_restream_url(url)
    _hidden(url, mask)
    _hidden(url, restreamurls.hide_secrets(url, f"it said {url}"))
    return (urlsplit(url).scheme, "***" in mask)


def _webhook(url: str) -> Hashable:
    asked, secret = eventurls.split_webhook_url(url)
    require(urlsplit(asked).hostname == urlsplit(url).hostname, "another host is asked")
    _hidden(url, eventurls.mask_webhook_url(url))
    return (bool(secret), asked == url)


def _ice(text: str) -> Hashable:
    server = iceurls.parse_ice_server(text)
    require("\n" not in server.link and "\r" not in server.link, "a line was slipped in")
    secret = quote(server.credential, safe="")
    mask = iceurls.mask_ice_server(text)
    require(len(secret) < LEAST_SECRET_CHARS or text.count(secret) > 1 or secret not in mask, "a secret is shown")
    return (server.scheme, server.transport)


def _listening(address: addresses.Address) -> Hashable:
    require(addresses.parse_address(str(address)) == address, "another address when taken again")
    return (":" in address.host, addresses.is_loopback(address.host))


def _base(path: str) -> Hashable:
    require(not path or (path.startswith("/") and "//" not in path and ".." not in path.split("/")), "no path")
    return bool(path)


def _host(name: str | None) -> Hashable:
    require(name is None or (name == name.lower() and not set("/@?") & set(name)), "no name")
    return name is None


def _topic(topic: str) -> Hashable:
    require(not set("+#\0 ") & set(topic), "a topic that many are")
    return min(topic.count("/"), 4)


READERS: tuple[tuple[Callable[[str], Any], Callable[[Any], Hashable]], ...] = (
    *((urls.check_camera_url, _camera),) * 3,
    *((restreamurls.check_restream_url, _restream),) * 2,
    *((eventurls.check_webhook_url, _webhook),) * 2,
    (urls.check_sound_url, _sound),
    (eventurls.check_mqtt_url, lambda url: urlsplit(url).scheme),
    (eventurls.check_topic, _topic),
    (eventurls.check_contact, bool),
    (iceurls.check_ice_server, _ice),
    (addresses.parse_address, _listening),
    (addresses.parse_base_path, _base),
    (host_name, _host),
)
"""What takes a text or raises ValueError, and what must hold for all that it takes."""


def typed(data: bytes) -> Hashable:
    """Only ValueError escapes, what is taken is taken again, and what is shown of it hides its secrets."""
    if not data:
        return None
    check, use = READERS[data[0] % len(READERS)]
    text = data[1:].decode("utf-8", "replace")
    urls.mask_url(text)
    try:
        taken = check(text)
    except ValueError:
        return (check, "refused")
    return (check, use(taken))


def _hidden(url: str, shown: str) -> None:
    secret = urlsplit(url).password or ""
    if url.startswith(OF_THIS_MACHINE):
        return
    if len(secret) >= LEAST_SECRET_CHARS and url.count(secret) == 1:
        require(secret not in shown, "a password is shown")


_PLACES = (
    *(b"http://", b"https://", b"//", b"/", b"..", b"@", b":", b"bob:0ther@", b"192.0.2.7:81", b"[::1]"),
    *(b"[fe80::1%25e]", b"#", b"?", b"%00", b"%0d%0a", b"\\", b" ", b"\t", b"\xe4", b"\xc2\xa0"),
    *(b"\xe3\x80\x82", b":99999", b";", b"&key=s3cret"),
)
_TYPED = (
    *(b"rtsp://", b"rtmp://", b"whip+https://:token@", b"whip:http://", b"turn:ann:s3cret@", b"stun:", b"mqtts://"),
    *(b"push:", b"mock:?fps=5", b"file:/", b"v4l2:/dev/video0", b"mailto:", b"/live/key", b"***", b"?transport=tcp"),
    b"password=",
)

TARGETS = (
    Target("redirect", redirect, _PLACES),
    Target("address", typed, _PLACES + _TYPED),
)
