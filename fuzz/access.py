"""What comes before anybody is let in: proxies' headers, credentials, links; backups; what a tunnel's program says."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Hashable
from functools import cache
from pathlib import Path

from multidict import CIMultiDict, CIMultiDictProxy

from framecast.core.errors import Misuse
from framecast.service.access.links import LONGEST_S, Links, Maker
from framecast.service.access.rights import VIEWER, Grant, credential
from framecast.service.front.client import Proxies, gives_itself_away
from framecast.service.store import backup
from framecast.service.store.state import State
from framecast.service.tunnel import cloudlog
from fuzz.target import Target, require

_NAMES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "Host", "Forwarded", "Via")
_ADDRESSES = (b"192.0.2.1", b"10.0.0.1", b"[2001:db8::1]:80", b"::ffff:10.0.0.2", b"127.0.0.1", b", ", b",,", b"%")
_WORDS = (b"https", b"wss", b"/cams", b"//evil.example", b"cams.example:8443", b"\r\n", b" ", b"\xc3\xa4", b"..", b"\n")
_PATH = "/api/v1/cameras/door/stream.mjpeg"
_NOW_S = 1_700_000_000.0
_LINES = (b"2026-01-01T00:00:00Z INF ", b"connIndex=1", b"https://x.trycloudflare.com", b"ERR ", b"|  ", b"\x1b[90m")


def forwarded(data: bytes) -> Hashable:
    """What a client reads as is short, of one line, and only what a trusted hop may say."""
    lines = data.decode("utf-8", "replace").split("\n")
    headers = CIMultiDictProxy(CIMultiDict(zip(_NAMES * (len(lines) // len(_NAMES) + 1), lines, strict=False)))
    proxies = Proxies(["10.0.0.0/8", "::1"], "/base")
    nobody = proxies.client("192.0.2.9", headers, "/", secure=False)
    require(not nobody.forwarded and nobody.address == "192.0.2.9", "an unknown proxy was believed")
    client = proxies.client("10.0.0.9", headers, "/base/x", secure=False)
    require(client.prefix == "/base" or client.prefix.startswith("/"), "a prefix that is no path")
    require("\r" not in client.prefix and not client.prefix.startswith("//"), "a prefix that leads away")
    require(len(client.address) < 60, "an address that is none")
    gives_itself_away(headers)
    return (client.forwarded, client.secure, client.prefix, client.address.count(":"))


def shown(data: bytes) -> Hashable:
    """Any header, parameter or cookie is read as a credential or none."""
    scheme, _, rest = data.decode("utf-8", "replace").partition("|")
    found = credential({"Authorization": scheme}, {"key": rest[:50], "link": rest}, {"framecast_session": rest}, _PATH)
    return found.carrier if found is not None else None


@cache
def _links() -> Links:
    return Links(bytes(32), lambda _: Grant(VIEWER), lambda _: "")


def link(data: bytes) -> Hashable:
    """Nothing opens a path but what was signed for it."""
    good = _links().sign(_PATH, Maker("user:ann", "", "1"), _NOW_S + LONGEST_S)
    text = data.decode("utf-8", "replace")
    grant = _links().grant_of(text, _PATH, _NOW_S)
    require(grant is None or text == good, "a link was made up")
    damaged = good[: len(data) % len(good)] + text[:1] + good[len(data) % len(good) + 1 :]
    require(damaged == good or _links().grant_of(damaged, _PATH, _NOW_S) is None, "a changed link is good")
    return grant is not None


@cache
def _backup() -> bytes:
    """A small one that is whole."""
    with tempfile.TemporaryDirectory() as folder:
        State.open(Path(folder, "data")).close()
        backup.write(Path(folder, "data"), Path(folder, "b.zip"))
        return Path(folder, "b.zip").read_bytes()


def archive(data: bytes) -> Hashable:
    """Only Misuse escapes, and nothing is written outside the folder it is unpacked to."""
    whole = bytearray(_backup())
    for at in range(0, len(data) - 2, 3):  # a place and a byte for each three
        whole[(data[at] << 8 | data[at + 1]) * len(whole) >> 16] = data[at + 2]
    with tempfile.TemporaryDirectory() as folder:
        file, target = Path(folder, "b.zip"), Path(folder, "new")
        file.write_bytes(whole)
        try:
            with backup.opened(file) as (opened, contents):
                backup.unpack(opened, contents, target)
        except Misuse as error:
            return str(error).rpartition(":")[2][:12]
        finally:
            require({path.name for path in Path(folder).iterdir()} <= {"b.zip", "new"}, "it wrote somewhere else")
        require(bytes(whole) == _backup() or _same(whole), "another backup was taken for whole")
    return "whole"


def _same(data: bytearray) -> bool:
    """Whether a damaged backup holds what the whole one does: damage of times and names of makers is none."""
    with zipfile.ZipFile(io.BytesIO(_backup())) as one, zipfile.ZipFile(io.BytesIO(bytes(data))) as other:
        names = one.namelist()
        return names == other.namelist() and all(
            one.read(name) == other.read(name) for name in names if name.startswith(backup.DATA)
        )


def line(data: bytes) -> Hashable:
    """Anything that a tunnel's program prints says something short, or nothing."""
    said = cloudlog.read("".join(data.decode("utf-8", "replace").splitlines()))
    if said is None:
        return None
    require(len(said.text) <= 500 and "\n" not in said.text.strip(), "what it says is long")
    return (said.kind, bool(said.text), min(said.index, 9))


TARGETS = (
    Target("forwarded", forwarded, _ADDRESSES + _WORDS),
    Target("credential", shown, (b"Basic ", b"Bearer ", b"|", b"=", b"Og==", b"\xc3\xa4")),
    Target("link", link, (b".", b"eyJ", b"-", b"_", b"WyJ1c2VyOmFubiJd"), base_s=0.05),
    Target("backup", archive, (b"PK\x03\x04", b"PK\x01\x02", b"\x00", b"\xff\xff"), base_s=0.5),
    Target("cloudlog", line, _LINES),
)
