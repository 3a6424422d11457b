"""The server that the API's fuzzer asks: who may come in, and how all is put back after a request has changed it."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tests.data import FOLDER
from tests.wire.test_sdp import OFFER

from framecast.cli.control import CommandError
from framecast.cli.control import Server as Control
from framecast.service.access.rights import COOKIE

CAMERAS = {"cam": "mock:?fps=10&size=160x120&audio=1", "push": "push:"}
PINNED = "cam"
"""The one that the command line names: the API can't remove it."""
PASSWORD = "a few good words"  # noqa: S105 (it protects nothing)
PEOPLE: dict[str, dict[str, Any]] = {
    "boss": {"role": "owner", "cameras": None},
    "guest": {"role": "viewer", "cameras": ["cam"]},
}
TOKEN: dict[str, Any] = {"name": "wall", "rights": ["watch"], "cameras": ["cam"]}
WATCHED_FOR: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("/api/v1/rules", "rules", "id", {"name": "moving", "kind": "motion", "cameras": ["cam"], "cooldown_s": 0}),
    ("/api/v1/people", "people", "id", {"name": "Ann"}),
    ("/api/v1/webhooks", "webhooks", "id", {"url": "http://127.0.0.1:9/"}),
)
"""What makes events of the test picture, and tells nobody: where, the list there, its ids, what is to be in it."""
MOST_OTHERS = 4
LISTS = {
    "rule": ("/api/v1/rules", "rules", "id"),
    "event": ("/api/v1/events?limit=5", "events", "event_id"),
    "person": ("/api/v1/people", "people", "id"),
    "webhook": ("/api/v1/webhooks", "webhooks", "id"),
    "sink": ("/api/v1/events/sinks", "sinks", "sink"),
}
"""Parameters of paths: where what may stand there is listed, as what, and by which field."""
CALLERS = {"boss": 84, "guest": 5, "wall": 5, "nobody": 3, "anybody": 3}
"""How many of a hundred requests come from whom; ``anybody`` shows what was made up."""
_CREDENTIALS = ("Authorization", "X-API-Key", "token", "Cookie", "Origin")
_ENTRANCE = "127.0.0.2"
"""From where the accounts log in: an address from which they have is not kept out by guesses from others."""
_CANARY_S = 0.02


class _From(HTTPAdapter):
    """Connections from one address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As ever, but for the address."""
        super().init_poolmanager(*args, source_address=(self._address, 0), **options)


class House:
    """``framecast serve`` on a free port of loopback, with two cameras, an owner, a viewer and a token.

    What requests are counted by is lifted where it is configured; log-ins are slowed down whatever is configured, so
    they come from many addresses (`session_of_many`). The tunnel's program is one that does nothing.
    """

    def __init__(self, folder: Path) -> None:
        program = folder / "cloudflared"
        program.write_text("#!/bin/sh\nexec sleep 600\n")
        program.chmod(0o700)
        command = [sys.executable, "-m", "framecast", "serve", "--port", "0", "--data", str(folder / "data")]
        command += ["--camera", f"{PINNED}={CAMERAS[PINNED]}"]
        environment = {
            **os.environ,
            "FRAMECAST_LIMITS_REQUESTS_PER_S": "0",
            "FRAMECAST_TUNNEL_CLOUDFLARED": str(program),
            "FRAMECAST_TUNNEL_STATUS_PORT": "0",
            "FRAMECAST_COMPAT_DOORBELL": "push",
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = Popen(command, stdout=PIPE, stderr=log, stdin=DEVNULL, cwd=folder, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line:
            raise RuntimeError(f"the server did not start: {self.log.read_text()}")
        self.url = line.split()[-1].rstrip("/")
        self.control = Control(folder / "data")
        self.headers: dict[str, dict[str, str]] = {"nobody": {}}
        self._entrance = session_from(_ENTRANCE)
        self.viewers: list[str] = []
        """Parts of paths that name WebRTC viewers."""
        self.restore()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self._entrance.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def figures(self) -> dict[str, float]:
        """What the server's process uses."""
        found: dict[str, float] = self.control.call("GET", "/api/v1/stats")["process"]
        return found

    # Who asks

    def dress(self, prepared: requests.PreparedRequest, caller: str) -> None:
        """Have a request come from one of `CALLERS`."""
        if caller == "anybody":
            return
        for name in _CREDENTIALS:
            prepared.headers.pop(name, None)
        prepared.headers.update(self.headers[caller])

    def real(self, path: str, name: str) -> list[str]:
        """What may stand in a path where it has ``{name}``, so that something is found there."""
        if name == "id":
            return list(CAMERAS)
        if name == "session":
            return [each["id"] for each in self.control.call("GET", "/api/v1/sessions?all=1")["sessions"]]
        if name == "viewer":
            return self.viewers
        if name in LISTS:
            where, key, field = LISTS[name]
            return [str(each[field]) for each in self.control.call("GET", where)[key]]
        if path.startswith("/api/v1/users"):
            return list(PEOPLE)
        if path.startswith("/api/v1/tokens"):
            return [str(TOKEN["name"])]
        if path.startswith("/static"):
            return ["icon.svg", "app.webmanifest", "../app.py"]
        return ["index.m3u8", "stream.m3u8", "init-1.mp4", "segment-1.ts"]

    def invitation(self) -> str:
        """The code of somebody's who has no password yet."""
        with suppress(CommandError):
            self.control.call("POST", "/api/v1/users", {"name": "invited", "role": "viewer"})
        made = self.control.call("PATCH", "/api/v1/users/invited", {"invite": True})
        return str(made["invite"]).rpartition("#")[2]

    # Putting back

    def restore(self) -> None:
        """Bring back what was removed, ended or changed into something else, and remove what was added."""
        self._restore_cameras()
        self._restore_people()
        self._restore_token()
        self._restore_what_is_watched_for()
        if self.control.call("GET", "/api/v1/tunnel")["state"] != "off":
            self.control.call("DELETE", "/api/v1/tunnel")
        for name in PEOPLE:
            self._restore_session(name)

    def _restore_cameras(self) -> None:
        call = self.control.call
        have = {each["id"]: each for each in call("GET", "/api/v1/cameras")["cameras"]}
        for camera in set(have) - set(CAMERAS):
            call("DELETE", f"/api/v1/cameras/{camera}")
        for camera, url in CAMERAS.items():
            if camera not in have:
                call("POST", "/api/v1/cameras", {"id": camera, "url": url})
            elif have[camera]["kind"] != url.partition(":")[0]:
                call("PATCH", f"/api/v1/cameras/{camera}", {"url": url})

    def _restore_people(self) -> None:
        call = self.control.call
        have = {each["name"]: each for each in call("GET", "/api/v1/users")["users"]}
        for name, wish in PEOPLE.items():
            found = have.get(name)
            if found is None:
                call("POST", "/api/v1/users", {**wish, "name": name, "password": PASSWORD})
            elif found["disabled"] or any(found[key] != value for key, value in wish.items()):
                call("PATCH", f"/api/v1/users/{name}", {**wish, "password": PASSWORD, "disabled": False})
        for name in set(have) - set(PEOPLE):
            call("DELETE", f"/api/v1/users/{quote(name, safe='')}")

    def _restore_what_is_watched_for(self) -> None:
        call = self.control.call
        for where, key, field, wish in WATCHED_FOR:
            have = call("GET", where)[key]
            ours = [each for each in have if all(each.get(name) == value for name, value in wish.items())]
            for each in have:
                if each not in ours[:1] and len(have) > MOST_OTHERS:
                    call("DELETE", f"{where}/{each[field]}")
            if not ours:
                call("POST", where, wish)

    def _restore_token(self) -> None:
        call = self.control.call
        have = {each["name"]: each for each in call("GET", "/api/v1/tokens")["tokens"]}
        for name, token in have.items():
            if name != TOKEN["name"] or token["revoked"]:
                call("DELETE", f"/api/v1/tokens/{quote(name, safe='')}?forget=1")
        if TOKEN["name"] not in have or have[TOKEN["name"]]["revoked"]:
            self.headers["wall"] = {"Authorization": f"Bearer {call('POST', '/api/v1/tokens', TOKEN)['secret']}"}

    def _restore_session(self, name: str) -> None:
        if name in self.headers:
            known = self._entrance.get(f"{self.url}/api/v1/session", headers=self.headers[name], timeout=30).json()
            if known["kind"] == "user":
                return
            # It may have another password by now.
            self.control.call("PATCH", f"/api/v1/users/{name}", {"password": PASSWORD})
        fields = {"name": name, "password": PASSWORD}
        answer = self._entrance.post(f"{self.url}/api/v1/session", json=fields, timeout=30)
        answer.raise_for_status()
        self.headers[name] = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}", "Origin": self.url}


def session_from(address: str) -> requests.Session:
    """A session from an address of this machine. It keeps no cookies: a request shows what its caller has."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", _From(address))
    return session


def session_of_many(chance: random.Random) -> requests.Session:
    """One from an address that was hardly ever seen."""
    return session_from(f"127.{chance.randint(1, 254)}.{chance.randint(0, 255)}.{chance.randint(1, 254)}")


class Canary(threading.Thread):
    """Asks for the server's health again and again: for how long at most its loop kept it waiting.

    What a thread of the server, or this one, waited for a core meanwhile is the machine's doing and is taken off; what
    the loop computed, or waited for a disk, a lock or the interpreter, is not.
    """

    def __init__(self, url: str, pid: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._pid = pid
        self._since_s = time.perf_counter()
        self._worst_s = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Until it is stopped."""
        with requests.Session() as session, suppress(requests.ConnectionError):
            while not self.stopped.wait(_CANARY_S):
                theirs, ours = waited_s(self._pid), waited_s(os.getpid(), threading.get_native_id())
                began_s = time.perf_counter()
                session.get(self._url + "/healthz", timeout=30)
                took_s = time.perf_counter() - max(began_s, self._since_s)
                for before, now in ((theirs, waited_s(self._pid)), (ours, waited_s(os.getpid(), *ours))):
                    took_s -= max((now[each] - before.get(each, 0.0) for each in now), default=0.0)
                self._worst_s = max(self._worst_s, took_s)

    def take(self) -> float:
        """In s, since the last time."""
        worst, self._worst_s, self._since_s = self._worst_s, 0.0, time.perf_counter()
        return worst


def waited_s(pid: int, *threads: int) -> dict[int, float]:
    """How long each thread of a process, or each of these, has waited for a core since it began."""
    found = {}
    for thread in threads or _threads(pid):
        with suppress(OSError):  # it has ended
            _, waited_ns, _ = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()
            found[thread] = int(waited_ns) / 1e9
    return found


def _threads(pid: int) -> Iterator[int]:
    with suppress(OSError):
        yield from map(int, os.listdir(f"/proc/{pid}/task"))


def path_of(location: str) -> str:
    """What stands behind the last slash of an address."""
    return urlsplit(location).path.rpartition("/")[2]


_POINT = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
"""The generator of P-256: a key that a browser could have, and has not."""
Bodies = dict[tuple[str, str], Callable[[House], list[Any]]]
BODIES: Bodies = {
    ("post", "/api/v1/session"): lambda house: [
        {"name": "guest", "password": PASSWORD},
        {"name": "guest", "password": "no good words at all"},
        {"key": house.headers["wall"]["Authorization"].split()[1]},
    ],
    ("post", "/api/v1/setup"): lambda house: [{"code": house.invitation(), "password": PASSWORD}],
    ("post", "/api/v1/setup/code"): lambda house: [{"code": house.invitation()}],
    ("post", "/api/v1/password"): lambda house: [
        {"old": PASSWORD, "new": "some other good words"},
        {"old": "no good words at all", "new": PASSWORD},
    ],
    ("post", "/api/v1/users"): lambda house: [
        {"name": "new", "role": "viewer", "cameras": ["cam"]},
        {"name": "new", "role": "owner", "password": PASSWORD},
        {"name": "guest", "role": "owner"},
    ],
    ("patch", "/api/v1/users/{name}"): lambda house: [{"role": "viewer"}, {"disabled": True}, {"invite": True}],
    ("post", "/api/v1/tokens"): lambda house: [{"name": "new", "rights": ["watch", "publish"]}, TOKEN],
    ("post", "/api/v1/links"): lambda house: [
        {"path": "/api/v1/cameras/cam/snapshot.jpg?width=96"},
        {"path": "/api/v1/cameras/push/hls/index.m3u8", "ttl_s": 5},
    ],
    ("post", "/api/v1/rules"): lambda house: [
        {"name": "people", "kind": "object", "labels": ["person"], "cameras": ["cam"], "quiet": [["22:00", "07:00"]]},
        {"name": "gone", "kind": "offline", "for_s": 5},
    ],
    ("patch", "/api/v1/rules/{rule}"): lambda house: [{"enabled": False}, {"cooldown_s": 60}, {"cameras": []}],
    ("put", "/api/v1/cameras/{id}/zones"): lambda house: [
        {"zones": [{"name": "door", "kind": "zone", "points": [[0, 0], [1, 0], [0.5, 1]]}]},
        {"zones": [{"name": "step", "kind": "line", "points": [[0, 0.5], [1, 0.5]]}]},
    ],
    ("post", "/api/v1/people"): lambda house: [{"name": "Ben"}, {"name": "Ann"}],
    ("patch", "/api/v1/people/{person}"): lambda house: [{"name": "Anna"}],
    ("post", "/api/v1/people/{person}/photos"): lambda house: [{"camera": "cam"}],
    ("post", "/api/v1/webhooks"): lambda house: [{"url": "https://hooks.invalid/a", "secret": "whsec_" + "A" * 32}],
    ("post", "/api/v1/push/subscriptions"): lambda house: [
        {"endpoint": "https://push.invalid/a", "keys": {"p256dh": _POINT, "auth": "A" * 22}}
    ],
    ("post", "/api/v1/tunnel"): lambda house: [{"provider": "cloudflare"}],
    ("post", "/api/v1/probe"): lambda house: [{"camera": "cam"}, {"url": "127.0.0.1:9"}],
}
"""Bodies that are right, or nearly so, by method and path: text made from a schema is hardly ever a password."""

MEDIA: dict[str, bytes] = {
    "application/sdp": OFFER.encode(),
    "application/trickle-ice-sdpfrag": b"a=end-of-candidates\r\n",
    "image/jpeg": (FOLDER / "frames" / "bogus-exif.jpg").read_bytes(),
}
"""The same for what is no JSON, by type."""
