"""Answers to a device's ``WWW-Authenticate``: Basic (RFC 7617) and Digest (RFC 7616, and RFC 2069's without qop)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from framecast.wire.errors import ProtocolError

MAX_HEADER_CHARS = 8192

_CHALLENGE = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?=\s|,|$)(?!\s*=)")
_PARAMETER = re.compile(r'[\s,]*([A-Za-z][A-Za-z0-9_-]*\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")
_ESCAPE = re.compile(r"\\(.)", re.S)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_PREFERENCE = ("SHA-256", "SHA-256-SESS", "SHA-512-256", "SHA-512-256-SESS", "MD5", "MD5-SESS")


class Challenge(NamedTuple):
    """One way in that a device offers: ``scheme`` and names of ``parameters`` in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of one or more (joined by commas) WWW-Authenticate headers; what makes no sense is skipped."""
    header = header[:MAX_HEADER_CHARS]
    challenges: list[Challenge] = []
    at = 0
    while (found := _CHALLENGE.match(header, at)) is not None:
        at = found.end()
        parameters: dict[str, str] = {}
        token68 = _TOKEN68.match(header, at)
        if token68 is not None:
            at = token68.end()
        while (parameter := _PARAMETER.match(header, at)) is not None:
            name, quoted, bare = parameter.groups()
            value = bare if quoted is None else _ESCAPE.sub(r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            at = parameter.end()
        challenges.append(Challenge(found[1].lower(), parameters))
    return challenges


def basic(user: str, password: str) -> str:
    """The Authorization value for Basic.

    Raises:
        ValueError: The user holds a colon, or either a control character (RFC 7617, section 2).
    """
    if ":" in user or _CONTROL.search(user + password):
        raise ValueError("Basic can't carry a colon in the user or control characters")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def digest(
    challenge: Challenge,
    *,
    user: str,
    password: str,
    method: str,
    target: str,
    cnonce: str,
    count: int = 1,
) -> str:
    """The Authorization value for one request.

    Args:
        challenge: As the device sent it.
        user: Any text without control characters.
        password: Any text.
        method: Of the request.
        target: Path and query exactly as in the request line.
        cnonce: Fresh random text of the client, such as ``secrets.token_hex(8)``.
        count: How many requests used this nonce, this one included.

    Raises:
        ProtocolError: No nonce, or an algorithm or quality of protection that is not spoken here.
        ValueError: The user, target or cnonce holds a control character.
    """
    parameters = challenge.parameters
    nonce = parameters.get("nonce")
    if challenge.scheme != "digest" or nonce is None:
        raise ProtocolError("a Digest challenge without a nonce")
    algorithm = parameters.get("algorithm", "MD5") or "MD5"
    session = algorithm.upper().endswith("-SESS")
    hash_name = _HASHES.get(algorithm.upper().removesuffix("-SESS"))
    if hash_name is None:
        raise ProtocolError(f"Digest with the unknown algorithm {algorithm[:32]!r}")
    offered = [word.strip().lower() for word in parameters.get("qop", "").split(",") if word.strip()]
    if offered and "auth" not in offered:
        raise ProtocolError(f"Digest with qop {parameters['qop'][:32]!r} where auth is spoken")
    if _CONTROL.search(user + target + cnonce + method):
        raise ValueError("a control character in what Digest must quote")

    def hashed(text: str) -> str:
        return hashlib.new(hash_name, text.encode(), usedforsecurity=False).hexdigest()

    realm = parameters.get("realm", "")
    secret = hashed(f"{user}:{realm}:{password}")
    if session:
        secret = hashed(f"{secret}:{nonce}:{cnonce}")
    request = hashed(f"{method}:{target}")
    fields = [
        f'username="{_quoted(user)}"',
        f'realm="{_quoted(realm)}"',
        f'nonce="{_quoted(nonce)}"',
        f'uri="{_quoted(target)}"',
    ]
    if offered:
        answer = hashed(f"{secret}:{nonce}:{count:08x}:{cnonce}:auth:{request}")
        fields += [f'response="{answer}"', "qop=auth", f"nc={count:08x}", f'cnonce="{_quoted(cnonce)}"']
    else:
        fields.append(f'response="{hashed(f"{secret}:{nonce}:{request}")}"')
        if session:
            fields.append(f'cnonce="{_quoted(cnonce)}"')
    if "algorithm" in parameters:
        fields.append(f"algorithm={algorithm}")
    if "opaque" in parameters:
        fields.append(f'opaque="{_quoted(parameters["opaque"])}"')
    return "Digest " + ", ".join(fields)


def authorization(
    header: str, *, user: str, password: str, method: str, target: str, cnonce: str, count: int = 1
) -> str | None:
    """The Authorization value for the strongest challenge that can be answered; None when there is none.

    Arguments as ``digest``; ``header`` is the WWW-Authenticate value, several joined by commas.

    Raises:
        ValueError: User, password, target or cnonce can't be written down.
    """
    challenges = parse_challenges(header)

    def rank(challenge: Challenge) -> int:
        algorithm = (challenge.parameters.get("algorithm", "MD5") or "MD5").upper()
        return _PREFERENCE.index(algorithm) if algorithm in _PREFERENCE else len(_PREFERENCE)

    for challenge in sorted((one for one in challenges if one.scheme == "digest"), key=rank):
        try:
            return digest(
                challenge,
                user=user,
                password=password,
                method=method,
                target=target,
                cnonce=cnonce,
                count=count,
            )
        except ProtocolError:
            continue  # the next weaker one may do
    if any(challenge.scheme == "basic" for challenge in challenges):
        return basic(user, password)
    return None


def _quoted(text: str) -> str:
    """Ready to stand between quotes; line ends can't come from a parsed header, and are dropped all the same."""
    return _CONTROL.sub("", text).replace("\\", "\\\\").replace('"', '\\"')
