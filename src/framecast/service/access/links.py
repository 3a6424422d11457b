"""Signed links: one picture or stream, for some hours, for what knows nothing but an address (``<img>``, VLC, a chat).

A link carries who made it, until when it is good, and a signature over that, the path and the camera. It holds no
secret of its maker's and is kept nowhere. What it shows is decided anew at each use: what its maker may watch then, and
nothing once the maker's token is revoked, the account disabled, the session ended or the camera removed, whatever has
its id by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from itsdangerous import BadData, URLSafeSerializer

from framecast.service.access.rights import Grant, Right

PARAMETER = "link"
LONGEST_S = 86_400
_HLS = "/hls/"
MAX_CHARS = 1000
_SIGNER = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a link.

    Attributes:
        name: `Grant.name`.
        session: Id of the session it was made in, which has to last; empty for none.
        stamp: What tells the holder from a later one of the same name.
    """

    name: str
    session: str
    stamp: str


class Links:
    """Makes links and reads them.

    Args:
        secret: 32 random bytes of this server's.
        grant_of: What a maker may do now; None when nothing any more.
        stamp_of: By a camera's id what tells it from earlier ones of that id; empty for the first.
    """

    def __init__(
        self, secret: bytes, grant_of: Callable[[Maker], Grant | None], stamp_of: Callable[[str], str]
    ) -> None:
        self._secret = secret
        self._grant_of = grant_of
        self._stamp_of = stamp_of

    def sign(self, path: str, maker: Maker, expires_s: float) -> str:
        """The value of the query parameter `PARAMETER` that opens a path.

        Args:
            path: Without query; of HLS, any in the same folder will do.
            expires_s: Unix seconds.
        """
        return self._serializer(path).dumps([maker.name, maker.session, maker.stamp, int(expires_s)])

    def grant_of(self, text: str, path: str, now_s: float) -> Grant | None:
        """What a link grants at this path; None when it is not good there.

        Args:
            text: Value of the query parameter.
            path: Asked for, such as ``/api/v1/cameras/door/stream.mjpeg``.
        """
        camera_id = camera_of(path)
        if not camera_id or len(text) > MAX_CHARS:
            return None
        serializer = self._serializer(path)
        try:
            name, session, stamp, expires_s = content = serializer.loads(text)
        except (BadData, ValueError, TypeError):
            return None
        # Base 64 can be written in more than one way; a link can't.
        if serializer.dumps(content) != text:
            return None
        if not now_s < expires_s < now_s + LONGEST_S + 1:  # its end is the next whole second
            return None
        grant = self._grant_of(Maker(name, session, stamp))
        if grant is None or not grant.allows(Right.WATCH, camera_id):
            return None
        watch, cameras = frozenset({Right.WATCH}), frozenset({camera_id})
        return replace(grant, rights=watch, cameras=cameras, kind="link", in_address=True, until_s=expires_s)

    def _serializer(self, path: str) -> URLSafeSerializer:
        folder, hls, _ = path.partition(_HLS)
        stamp = self._stamp_of(camera_of(path))
        return URLSafeSerializer(self._secret, salt=f"link {stamp}{folder}{hls}", signer_kwargs=_SIGNER)


def camera_of(path: str) -> str:
    """The camera that a path is about; empty when it is about none."""
    prefix, _, rest = path.partition("/api/v1/cameras/")
    camera_id, slash, _ = rest.partition("/")
    return camera_id if not prefix and slash else ""
