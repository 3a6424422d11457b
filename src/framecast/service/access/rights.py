"""Who may do what: pure decisions, no I/O.

    need      what a route asks for (its entry in the table of routes)
    Grant     what a caller has: by an account, a token, a link, in open mode, or from what a camera opens to everybody
    Cut       whose open connections end: those of a name, of one of its sessions, or of addresses with a key
    Access    the rules of this server; ``decide`` gives yes, or 401 and 403 with a reason

A grant names its holder: a token by its name, an account as ``user:NAME`` (`holder_of_user`; no token's name has a
colon), a link as whoever made it, everybody else by nothing. What a browser opened says by which session, too.

While the server listens on loopback only and no account or token exists, everything is open and credentials are
ignored. Then nothing but the name in the Host header keeps other sites' pages out (DNS rebinding): see `sites`.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Literal, Protocol

COOKIE = "framecast_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Over HTTPS: no page that came otherwise can set it. Cookies don't know ports, hence a name of its own."""
PREFIXED_COOKIE = f"__Secure-{COOKIE}"
"""Over HTTPS, where a proxy has the server below a path: ``__Host-`` asks for the path ``/``."""
NOBODY = ""
"""The name of those without a credential, who are here because a camera, or the server, is open to them."""
_USER = "user:"

Kind = Literal["open", "none", "token", "user", "link", "control"]
"""By what somebody is let in: ``none`` is no credential, and what cameras open to everybody."""


class Right(StrEnum):
    """What a caller may do. ``operate`` includes ``watch``; ``publish`` and ``own`` stand alone.

    ``own`` is for people, tokens, others' sessions, the audit log, tunnels and backups. No token has it: owners have,
    and the control socket, and everybody on an open server.
    """

    PUBLIC = "public"
    WATCH = "watch"
    OPERATE = "operate"
    PUBLISH = "publish"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do.

    Attributes:
        rights: As given to the token or account.
        cameras: Ids they hold for; None is every camera, those to come too.
        name: The holder, by which what is open is cut: a token's name, or ``user:NAME`` of an account (see above).
        local: Whether the caller sits at this machine's control socket: URLs may then point anywhere.
        kind: By what it was had.
        session: Public id of the browser's session it came by; empty for none.
        in_address: Whether the secret stood in the address (``?key=``).
        until_s: When it ends, and what was opened by it, in Unix seconds; 0 for no time of its own.
    """

    rights: frozenset[Right]
    cameras: frozenset[str] | None = None
    name: str = NOBODY
    local: bool = False
    kind: Kind = "none"
    session: str = ""
    in_address: bool = False
    until_s: float = 0.0

    @property
    def user(self) -> str:
        """The account's name; empty when it is none's. A link has its maker's."""
        return self.name.removeprefix(_USER) if self.name.startswith(_USER) else ""

    @property
    def counted_as(self) -> str:
        """By what name limits count its use: that of links is not their maker's, whom anybody could keep out else."""
        return f"link:{self.name}" if self.kind == "link" else self.name

    def has(self, need: Right) -> bool:
        """Whether ``need`` is among the rights, for some camera at least."""
        if need is Right.PUBLIC or need in self.rights:
            return True
        return need is Right.WATCH and Right.OPERATE in self.rights

    def allows(self, need: Right, camera_id: str) -> bool:
        """Whether ``need`` is granted for this camera."""
        return self.has(need) and (self.cameras is None or camera_id in self.cameras)


OWNER = frozenset({Right.WATCH, Right.OPERATE, Right.PUBLISH, Right.OWN})
VIEWER = frozenset({Right.WATCH})
NOTHING = Grant(frozenset(), frozenset())
EVERYTHING = Grant(OWNER, kind="open")
CONTROL = Grant(OWNER, name="control socket", local=True, kind="control")


def holder_of_user(name: str) -> str:
    """What an account is called as a holder (`Grant.name`)."""
    return _USER + name


@dataclass(frozen=True, slots=True)
class Cut:
    """Whose open connections are to end, since what let them in is gone.

    Attributes:
        name: The holder's (`Grant.name`); `NOBODY` means those without a credential.
        session: Only what this session opened; empty means everything of the holder, links it made too.
        but_session: Not what this session opened, which asked for it.
        in_address: Only what was opened with the secret in the address.
        camera: Only what this one had let in itself: what is open of it by the right ``need`` for somebody, of whatever
            name, whose own grant doesn't allow it there, and all of those without a credential that may be about it;
            with ``in_address``, the same by a token that stood in the address. What is about several cameras and by a
            grant of its own asks anew at each of them.
    """

    name: str = NOBODY
    session: str = ""
    but_session: str = ""
    in_address: bool = False
    camera: str = ""
    need: Right = Right.WATCH

    def hits(self, grant: Grant, need: Right, camera_id: str = "") -> bool:
        """Whether what was let in by this grant, for want of this right, has to end.

        Args:
            camera_id: The camera that it is about; empty for several or none.
        """
        if self.camera and camera_id not in ("", self.camera):
            return False
        if self.camera and self.in_address:
            return grant.in_address and grant.kind == "token" and grant.allows(need, self.camera)
        if self.camera:
            own = grant.kind != "none"
            return need is self.need and not (own and (not camera_id or grant.allows(need, self.camera)))
        return (
            grant.name == self.name
            and (not self.session or grant.session == self.session)
            and (not self.but_session or grant.session != self.but_session)
            and (not self.in_address or grant.in_address)
        )


Carrier = Literal["header", "basic", "query", "link", "cookie"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret as it came with a request, and what carried it; with a link, the path that it came for."""

    secret: str
    carrier: Carrier
    path: str = ""


def credential(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    cookies: Mapping[str, str],
    path: str = "",
    *,
    cookie: str = "",
) -> Credential | None:
    """What a request shows: the first of ``Authorization: Bearer``, ``X-API-Key``, ``token:`` (PrusaConnect),
    Basic (the password is the token), ``?key=``, ``?link=`` and the session cookie.

    Args:
        headers: With names that are found in any case (aiohttp's).
        path: What is asked for.
        cookie: Name of the one that counts, where others can be set by pages that are not ours; empty for any of ours.
    """
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return Credential(rest, "header")
    for name in ("X-API-Key", "token"):
        if headers.get(name):
            return Credential(headers[name].strip(), "header")
    if scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except ValueError:  # no Base64, letters that are none of it, or no text
            password = ""
        return Credential(password, "basic")
    if query.get("key"):
        return Credential(query["key"], "query")
    if query.get("link"):
        return Credential(query["link"], "link", path)
    names = (cookie,) if cookie else (PREFIXED_COOKIE, SECURE_COOKIE, COOKIE)
    session = next(filter(None, map(cookies.get, names)), None)
    if session:
        return Credential(session, "cookie")
    return None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may go on.

    Attributes:
        allow: Yes or no.
        grant: What the caller may do; handlers of many cameras show only those it covers.
        status: 401 or 403 when not allowed.
        reason: One sentence for the caller.
    """

    allow: bool
    grant: Grant
    status: int = 200
    reason: str = ""


_OPEN = Decision(True, EVERYTHING)
_OF_THE_SERVER = frozenset({Right.OPERATE, Right.OWN})
_HOLDERS: dict[Kind, str] = {"token": "token", "user": "account", "link": "link"}


class OpenCamera(Protocol):
    """What a camera opens to callers without a token (``CameraConfig`` is one)."""

    @property
    def public(self) -> Collection[str]:
        """Rights that everybody has."""

    @property
    def publish_from(self) -> Collection[str]:
        """Networks whose devices may push."""

    @property
    def allow_query_key(self) -> bool:
        """Whether a token may come as ``?key=``."""


class Keys(Protocol):
    """What knows the good accounts, tokens and sessions (``tokens.Keyring`` is one)."""

    def grant_of(self, credential: Credential, now_s: float) -> Grant | None:
        """What this credential grants; None when it is not good."""

    def __len__(self) -> int:
        """Accounts and tokens that exist, disabled and revoked ones too."""


class SignedLinks(Protocol):
    """What knows the good links (``links.Links`` is one)."""

    def grant_of(self, text: str, path: str, now_s: float) -> Grant | None:
        """What a link grants at this path; None when it is not good there."""


class Access:
    """The rules of one server.

    Args:
        keys: Where secrets are looked up.
        cameras: Id -> what it opens; read at each decision, so it may change.
        loopback_only: Whether every listener is on loopback.
        links: Where links are read; None where there are none.
    """

    def __init__(
        self,
        keys: Keys,
        cameras: Mapping[str, OpenCamera],
        *,
        loopback_only: bool,
        links: SignedLinks | None = None,
    ) -> None:
        self._keys = keys
        self._links = links
        self._cameras = cameras
        self._loopback_only = loopback_only

    @property
    def open(self) -> bool:
        """Whether everybody who can connect may do everything."""
        return self._loopback_only and len(self._keys) == 0

    def decide(self, need: Right, camera_id: str | None, shown: Credential | None, peer: str, now_s: float) -> Decision:
        """Whether a request may go on.

        The answer does not depend on whether the camera exists: somebody without the right can't find out.

        Args:
            need: What the route asks for.
            camera_id: The camera it concerns; None when it concerns several or none.
            shown: The request's credential.
            peer: Address of the socket's other end; empty when it has none.
            now_s: Unix seconds.
        """
        if self.open:
            return _OPEN
        grant, known = self._grant(shown, peer, now_s)
        if camera_id is None:
            # Who is limited to some cameras may look at these, but not change the server.
            good = grant.has(need) and (need not in _OF_THE_SERVER or grant.cameras is None)
        else:
            good = self.covers(grant, need, camera_id, peer)
        if need is Right.PUBLIC or good:
            return Decision(True, grant)
        if known:
            whose = _HOLDERS.get(grant.kind, "caller")
            return Decision(False, grant, 403, f"This {whose} doesn't have the right to {_verb(need, camera_id)}.")
        if shown is not None and shown.carrier == "cookie":
            return Decision(False, grant, 401, "This session has ended; log in again.")
        if shown is not None and shown.carrier == "link":
            return Decision(False, grant, 401, "This link has ended, or leads elsewhere; ask for another one.")
        if shown is not None:
            return Decision(False, grant, 401, "This token is unknown or revoked, or can't be used here.")
        if need is Right.OWN:
            return Decision(False, grant, 401, "Only an owner may do this; log in as one.")
        return Decision(False, grant, 401, f"A token or account with the right to {_verb(need, camera_id)} is needed.")

    def covers(self, grant: Grant, need: Right, camera_id: str, peer: str = "") -> bool:
        """Whether a camera is covered by what ``decide`` granted; for handlers of several cameras."""
        return grant.allows(need, camera_id) or self._opens(need, camera_id, peer)

    def covers_any(self, grant: Grant, need: Right, peer: str = "") -> bool:
        """Whether there is a camera that is covered; for routes whose body names the camera."""
        return any(self.covers(grant, need, camera_id, peer) for camera_id in self._cameras)

    def _grant(self, shown: Credential | None, peer: str, now_s: float) -> tuple[Grant, bool]:
        """The grant of what was shown, and whether that was good; else what everybody has."""
        grant = self._grant_shown(shown, now_s) if shown is not None else None
        if grant is not None and shown is not None and shown.carrier == "query":
            grant = self._through_query(grant)
        if grant is not None:
            return grant, True
        watched = {camera_id for camera_id in self._cameras if self._opens(Right.WATCH, camera_id, peer)}
        # Publishing without a token is decided camera by camera.
        return Grant(frozenset({Right.WATCH}) if watched else frozenset(), frozenset(watched)), False

    def _grant_shown(self, shown: Credential, now_s: float) -> Grant | None:
        if shown.carrier == "link":
            return self._links.grant_of(shown.secret, shown.path, now_s) if self._links is not None else None
        return self._keys.grant_of(shown, now_s)

    def _through_query(self, grant: Grant) -> Grant | None:
        """What is left of a grant shown in an address, which ends up in logs and histories."""
        cameras = {camera_id for camera_id, camera in self._cameras.items() if camera.allow_query_key}
        if grant.cameras is not None:
            cameras &= grant.cameras
        rights = grant.rights & {Right.WATCH, Right.PUBLISH}
        if not cameras or not rights:
            return None
        return replace(grant, rights=rights, cameras=frozenset(cameras), in_address=True)

    def _opens(self, need: Right, camera_id: str, peer: str) -> bool:
        camera = self._cameras.get(camera_id)
        if camera is None:
            return False
        if need is Right.PUBLISH:
            return any(_is_within(peer, network) for network in camera.publish_from)
        return need.value in camera.public


def _is_within(peer: str, network: str) -> bool:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    parsed = _network(network)
    return parsed.version == address.version and address in parsed


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


def _verb(need: Right, camera_id: str | None) -> str:
    if need is Right.OWN:
        return "manage people, tokens and this server"
    return need.value if camera_id is None else f"{need.value} camera {camera_id}"
