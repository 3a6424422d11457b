"""Who may do what: the whole table of decisions."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest

from framecast.service.access.rights import (
    CONTROL,
    EVERYTHING,
    NOBODY,
    OWNER,
    Access,
    Credential,
    Cut,
    Grant,
    Right,
    credential,
    holder_of_user,
)
from framecast.service.access.sites import host_allowed, origin_allowed

LAN = "192.168.1.77"


@dataclass
class Camera:
    """What one camera opens."""

    public: list[str] = field(default_factory=list)
    publish_from: list[str] = field(default_factory=list)
    allow_query_key: bool = False


class Keys:
    """Knows grants by their secret, whatever carried it."""

    def __init__(self, **grants: Grant) -> None:
        self.grants = grants

    def grant_of(self, credential: Credential, now_s: float) -> Grant | None:
        return self.grants.get(credential.secret)

    def __len__(self) -> int:
        return len(self.grants)


def grant(*rights: Right, cameras: set[str] | None = None) -> Grant:
    return Grant(frozenset(rights), None if cameras is None else frozenset(cameras), name="test")


KEYS = Keys(
    watcher=grant(Right.WATCH),
    operator=grant(Right.OPERATE),
    device=grant(Right.PUBLISH, cameras={"door"}),
    neighbour=grant(Right.WATCH, cameras={"yard"}),
    landlord=grant(Right.OPERATE, cameras={"yard"}),
)
CAMERAS = {
    "door": Camera(),
    "yard": Camera(),
    "bird": Camera(public=["watch"]),
    "shed": Camera(publish_from=["192.168.1.0/24", "fd00::/8"]),
    "gate": Camera(allow_query_key=True),
}


def status(need: Right, camera: str | None, secret: str | None = None, peer: str = LAN, carrier: str = "header") -> int:
    shown = Credential(secret, carrier) if secret else None  # type: ignore[arg-type]
    access = Access(KEYS, CAMERAS, loopback_only=False)
    decision = access.decide(need, camera, shown, peer, 0)
    assert decision.allow == (decision.status == 200) == (not decision.reason)
    return decision.status


@pytest.mark.parametrize(
    ("secret", "watch", "operate", "publish"),
    [
        (None, 401, 401, 401),
        ("wrong", 401, 401, 401),
        ("watcher", 200, 403, 403),
        ("operator", 200, 200, 403),
        ("device", 403, 403, 200),
        ("neighbour", 403, 403, 403),
        ("landlord", 403, 403, 403),
    ],
)
def test_tokens_at_one_camera(secret: str | None, watch: int, operate: int, publish: int) -> None:
    assert status(Right.PUBLIC, "door", secret) == 200
    assert status(Right.WATCH, "door", secret) == watch
    assert status(Right.OPERATE, "door", secret) == operate
    assert status(Right.PUBLISH, "door", secret) == publish


def test_tokens_of_some_cameras_at_routes_of_all() -> None:
    assert status(Right.WATCH, None, "neighbour") == 200
    assert status(Right.WATCH, None, "landlord") == 200
    assert status(Right.OPERATE, None, "landlord") == 403, "it must not add cameras"
    assert status(Right.OPERATE, None, "operator") == 200
    assert status(Right.OPERATE, "yard", "landlord") == 200
    assert status(Right.WATCH, None, "device") == 403


def test_answer_does_not_tell_whether_a_camera_exists() -> None:
    for secret in (None, "wrong", "neighbour", "device"):
        assert status(Right.WATCH, "nothing", secret) == status(Right.WATCH, "door", secret)
    assert status(Right.WATCH, "nothing", "watcher") == 200, "who may see all cameras is told by the handler"


def test_public_camera() -> None:
    for secret in (None, "wrong", "device", "neighbour"):
        assert status(Right.WATCH, "bird", secret) == 200
        assert status(Right.OPERATE, "bird", secret) != 200
        assert status(Right.PUBLISH, "bird", secret) != 200


def test_routes_of_all_cameras_show_the_public_ones_to_everybody() -> None:
    access = Access(KEYS, CAMERAS, loopback_only=False)
    decision = access.decide(Right.WATCH, None, None, LAN, 0)
    assert decision.allow
    assert [name for name in CAMERAS if access.covers(decision.grant, Right.WATCH, name)] == ["bird"]
    decision = access.decide(Right.WATCH, None, Credential("neighbour", "header"), LAN, 0)
    assert [name for name in CAMERAS if access.covers(decision.grant, Right.WATCH, name)] == ["yard", "bird"]
    hidden = Access(KEYS, {"door": Camera()}, loopback_only=False)
    assert hidden.decide(Right.WATCH, None, None, LAN, 0).status == 401


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.168.1.9", 200),
        ("::ffff:192.168.1.9", 200),
        ("fd12::1", 200),
        ("fd12::1%eth0", 200),
        ("192.168.2.9", 401),
        ("::ffff:192.168.2.9", 401),
        ("", 401),
        ("unix", 401),
    ],
)
def test_publishing_from_a_network(peer: str, expected: int) -> None:
    assert status(Right.PUBLISH, "shed", peer=peer) == expected
    assert status(Right.WATCH, "shed", peer=peer) == 401
    assert status(Right.PUBLISH, "door", peer=peer) == 401


def test_keys_in_addresses_are_good_where_a_camera_takes_them_and_never_to_operate() -> None:
    assert status(Right.WATCH, "gate", "watcher", carrier="query") == 200
    assert status(Right.WATCH, "gate", "operator", carrier="query") == 401
    assert status(Right.OPERATE, "gate", "operator", carrier="query") == 401
    assert status(Right.WATCH, "door", "watcher", carrier="query") == 403
    assert status(Right.WATCH, "gate", "neighbour", carrier="query") == 401
    assert status(Right.WATCH, None, "watcher", carrier="query") == 200


def test_open_only_on_loopback_without_tokens() -> None:
    for keys, loopback_only, is_open in [(Keys(), True, True), (Keys(), False, False), (KEYS, True, False)]:
        access = Access(keys, CAMERAS, loopback_only=loopback_only)
        assert access.open is is_open
        for need in (Right.WATCH, Right.OPERATE, Right.PUBLISH):
            for shown in (None, Credential("wrong", "header")):
                assert access.decide(need, "door", shown, "127.0.0.1", 0).allow is is_open


def test_grants() -> None:
    assert EVERYTHING.allows(Right.PUBLISH, "any")
    assert not EVERYTHING.local
    assert CONTROL.local
    assert grant(Right.OPERATE).has(Right.WATCH)
    assert not grant(Right.WATCH).has(Right.OPERATE)
    assert grant().has(Right.PUBLIC)


def test_own_is_in_no_other_right() -> None:
    access = Access(KEYS, CAMERAS, loopback_only=False)
    for secret in (None, "watcher", "operator", "device", "neighbour", "landlord"):
        shown = Credential(secret, "header") if secret else None
        assert access.decide(Right.OWN, None, shown, LAN, 0).status == (403 if secret else 401)
    assert Grant(OWNER).has(Right.OWN)
    assert EVERYTHING.has(Right.OWN) and CONTROL.has(Right.OWN)


def test_a_cut_hits_a_holder_a_session_or_what_came_by_address() -> None:
    anna = Grant(OWNER, name=holder_of_user("anna"), kind="user", session="s1")
    assert anna.user == "anna"
    assert Cut("user:anna").hits(anna, Right.WATCH)
    assert not Cut("anna").hits(anna, Right.WATCH), "a token of that name is somebody else"
    assert Cut("user:anna", session="s1").hits(anna, Right.WATCH)
    assert not Cut("user:anna", session="s2").hits(anna, Right.WATCH)
    assert not Cut("user:anna", but_session="s1").hits(anna, Right.WATCH)
    assert Cut("user:anna", but_session="s2").hits(anna, Right.WATCH)
    assert not Cut(NOBODY).hits(anna, Right.WATCH)
    wall = Grant(frozenset({Right.WATCH}), name="wall", kind="token")
    assert wall.user == ""
    assert not Cut("wall", in_address=True).hits(wall, Right.WATCH)
    assert Cut("wall", in_address=True).hits(
        Grant(wall.rights, name="wall", kind="token", in_address=True), Right.WATCH
    )
    assert Cut("wall").hits(Grant(wall.rights, name="wall", kind="token", in_address=True), Right.WATCH)
    assert Cut(NOBODY).hits(EVERYTHING, Right.WATCH), "who is in while everything is open"


def test_carriers() -> None:
    basic = "Basic " + base64.b64encode(b"any:fc_b:c").decode()
    for headers, query, cookies, expected in [
        ({"Authorization": "Bearer fc_a"}, {}, {}, Credential("fc_a", "header")),
        ({"Authorization": "bearer  fc_a "}, {}, {}, Credential("fc_a", "header")),
        ({"X-API-Key": "fc_a"}, {}, {}, Credential("fc_a", "header")),
        ({"token": "fc_a"}, {}, {}, Credential("fc_a", "header")),
        ({"Authorization": basic}, {}, {}, Credential("fc_b:c", "basic")),
        ({"Authorization": "Basic !"}, {}, {}, Credential("", "basic")),
        ({"Authorization": "Basic \u00e9"}, {}, {}, Credential("", "basic")),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}, {}, {}, Credential("", "basic")),
        ({}, {"key": "fc_a"}, {}, Credential("fc_a", "query")),
        ({}, {}, {"framecast_session": "s"}, Credential("s", "cookie")),
        ({"X-API-Key": "fc_a"}, {"key": "q"}, {"framecast_session": "s"}, Credential("fc_a", "header")),
        ({"Authorization": "Digest x"}, {}, {}, None),
        ({"Authorization": "Bearer"}, {}, {}, None),
        ({}, {}, {}, None),
    ]:
        assert credential(headers, query, cookies) == expected


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1", "127.1.2.3:80", "[::1]:8080", "cam.localhost", "pi.lan"],
)
def test_hosts_an_open_server_answers_to(host: str) -> None:
    assert host_allowed(host, ["Pi.lan"])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "192.168.1.5",
        "[::2]",
        "127.0.0.1@evil",
        "localhost:x",
        "a/localhost",
        "[::1",
    ],
)
def test_hosts_it_does_not_answer_to(host: str) -> None:
    assert not host_allowed(host)


@pytest.mark.parametrize(
    ("origin", "host", "tls", "allowed"),
    [
        (None, "h:8080", False, True),
        ("http://h:8080", "h:8080", False, True),
        ("http://H:8080", "h:8080", False, True),
        ("http://h", "h:80", False, True),
        ("https://h", "h", False, True),
        ("https://h", "h:443", True, True),
        ("http://h", "h", True, False),
        ("http://h:8081", "h:8080", False, False),
        ("http://h.evil.example", "h", False, False),
        ("http://evil.example", "h", False, False),
        ("null", "h", False, False),
        ("", "h", False, False),
        ("file://", "h", False, False),
        ("http://", "", False, False),
        ("https://home.example", "h", False, True),
        ("https://home.example:444", "h", False, False),
    ],
)
def test_origins(origin: str | None, host: str, tls: bool, allowed: bool) -> None:
    assert origin_allowed(origin, host, ["https://home.example"], tls=tls) is allowed
