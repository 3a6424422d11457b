"""SDP as WebRTC uses it: a browser's offer, and what it sends later, read.

Only what an answer needs is read. An offer is accepted when all can go over one transport, RTCP beside RTP, as with
every browser; `sdpanswer` writes the answer. Sources: RFC 8866, RFC 8829 (JSEP), RFC 8839 and RFC 8840 (ICE).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

MAX_BYTES = 64 * 1024
MAX_MEDIA = 16
MAX_CANDIDATES = 64
MAX_FORMATS = 96
DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Fingerprints that are accepted, with the length of each in bytes."""

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]{1,64}")
_HEX = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2})+")
_PROFILE = re.compile(r"[0-9a-fA-F]{6}")
_DEFAULT_PROFILE = "42000a"  # what RFC 6184 says of an offer without profile-level-id


class SdpError(ValueError):
    """This is no SDP that can be answered; the message says why, for the one who sent it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address at which an end can perhaps be reached over UDP (RFC 8839)."""

    foundation: str
    priority: int
    address: str
    port: int
    kind: str = "host"
    related: tuple[str, int] | None = None

    def line(self) -> str:
        """As the value of ``a=candidate:``."""
        text = f"{self.foundation} 1 udp {self.priority} {self.address} {self.port} typ {self.kind}"
        return text if self.related is None else f"{text} raddr {self.related[0]} rport {self.related[1]}"


@dataclass(slots=True)
class Codec:
    """One payload type of a media section.

    Attributes:
        name: In lower case, ``h264``.
        feedback: What of RTCP's feedback was offered, ``nack pli``.
    """

    payload_type: int
    name: str = ""
    clock_hz: int = 0
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Media:
    """One media section of an offer."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    mid: str = ""
    direction: str = "sendrecv"
    rtcp_mux: bool = False
    reduced_size: bool = False
    codecs: dict[int, Codec] = field(default_factory=dict)
    ufrag: str = ""
    pwd: str = ""
    setup: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Whether it is one over which something may be sent."""
        return (
            (self.port != 0 or self.protocol.endswith("SAVPF"))
            and self.direction in ("recvonly", "sendrecv")
            and self.protocol in ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP")
        )


@dataclass(slots=True)
class Offer:
    """An offer, as far as an answer needs it."""

    media: list[Media]
    bundle: list[str]

    def find(self, kind: str) -> Media | None:
        """The first section of this kind that takes media."""
        return next((each for each in self.media if each.kind == kind and each.wanted), None)


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a PATCH of trickle ICE says (RFC 8840)."""

    ufrag: str
    pwd: str
    candidates: tuple[Candidate, ...]
    ended: bool


def parse_offer(text: str) -> Offer:
    """A browser's offer.

    Raises:
        SdpError: It is none, or breaks a bound.
    """
    lines = _lines(text)
    if not lines or lines[0] != ("v", "0"):
        raise SdpError("an SDP begins with v=0")
    session = Media("session", 0, "", [])
    offer = Offer([], [])
    current = session
    for key, value in lines[1:]:
        if key == "m":
            current = _media(value)
            current.ufrag, current.pwd, current.setup = session.ufrag, session.pwd, session.setup
            current.direction = session.direction
            current.fingerprints = list(session.fingerprints)
            offer.media.append(current)
            if len(offer.media) > MAX_MEDIA:
                raise SdpError(f"at most {MAX_MEDIA} media sections are read")
        elif key == "a":
            name, _, rest = value.partition(":")
            if name == "group" and current is session:
                words = rest.split()
                if words[:1] == ["BUNDLE"]:
                    offer.bundle = words[1:]
            else:
                _attribute(current, name, rest)
    if not offer.media:
        raise SdpError("it offers no media")
    mids = [media.mid for media in offer.media if media.mid]
    if len(set(mids)) != len(mids):
        raise SdpError("two media sections have the same mid")
    return offer


def parse_fragment(text: str) -> Fragment:
    """The body of a PATCH, ``application/trickle-ice-sdpfrag``.

    Raises:
        SdpError: It is none, or breaks a bound.
    """
    read = Media("fragment", 0, "", [])
    ended = False
    sections = 0
    for key, value in _lines(text):
        if key == "m":
            sections += 1
            if sections > MAX_MEDIA:
                raise SdpError(f"at most {MAX_MEDIA} media sections are read")
        elif key == "a":
            name, _, rest = value.partition(":")
            if name == "end-of-candidates":
                ended = True
            elif name in ("ice-ufrag", "ice-pwd", "candidate"):
                _attribute(read, name, rest)
        elif key not in "vosctb":
            raise SdpError(f"a fragment has no line {key}=")
    return Fragment(read.ufrag, read.pwd, tuple(read.candidates), ended)


def parse_candidate(value: str) -> Candidate | None:
    """The value of ``a=candidate:``; None for what is of no use here: TCP, names (mDNS), a component of RTCP alone.

    Raises:
        SdpError: It is none.
    """
    words = value.split()
    if len(words) < 8 or words[6] != "typ" or len(value) > 512:
        raise SdpError("a candidate that can't be read")
    foundation, component, protocol, priority, address, port, _, kind = words[:8]
    if not (component.isdecimal() and priority.isdecimal() and port.isdecimal()) or len(priority) > 10:
        raise SdpError("a candidate that can't be read")
    if not component.isascii() or not port.isascii() or len(port) > 5 or int(port) > 65_535:
        raise SdpError("a candidate that can't be read")
    if protocol.lower() != "udp" or component != "1" or kind not in ("host", "srflx", "relay", "prflx") or port == "0":
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None  # a name: whoever hides behind one will call on us
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id is not None or parsed.ipv4_mapped is not None):
        return None  # no other machine's zones are ours: they would be looked up as names, and the loop would wait
    if parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified or parsed.is_link_local:
        return None  # nothing out there is behind these; something in here may be
    return Candidate(foundation[:32], int(priority) & 0x7FFFFFFF, str(parsed), int(port), kind)


def _lines(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_BYTES:
        raise SdpError(f"at most {MAX_BYTES} bytes are read")
    lines: list[tuple[str, str]] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line:
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isascii() or not line[0].islower() or not line.isprintable():
            raise SdpError("a line of SDP is a letter, an equals sign and text")
        lines.append((line[0], line[2:].strip()))
    return lines


def _media(value: str) -> Media:
    words = value.split()
    if len(words) < 4 or not all(_TOKEN.fullmatch(word) for word in (words[0], *words[3:])) or len(words) > MAX_FORMATS:
        raise SdpError("a media section that can't be read")
    port = words[1].partition("/")[0]
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and re.fullmatch(r"[A-Za-z/]{1,32}", words[2])):
        raise SdpError("a media section that can't be read")
    media = Media(words[0], int(port), words[2], words[3:])
    for word in words[3:]:
        if word.isascii() and word.isdecimal() and len(word) < 4 and int(word) < 128:
            media.codecs[int(word)] = Codec(int(word))
    return media


def _attribute(media: Media, name: str, value: str) -> None:
    if name in ("sendrecv", "sendonly", "recvonly", "inactive"):
        media.direction = name
    elif name == "mid":
        if not _TOKEN.fullmatch(value):
            raise SdpError("a mid that can't be read")
        media.mid = value
    elif name == "rtcp-mux":
        media.rtcp_mux = True
    elif name == "rtcp-rsize":
        media.reduced_size = True
    elif name == "setup":
        if value not in ("actpass", "active", "passive", "holdconn"):
            raise SdpError("a=setup is actpass, active or passive")
        media.setup = value
    elif name == "ice-ufrag":
        media.ufrag = _good(_UFRAG, value, "an ice-ufrag that can't be used")
    elif name == "ice-pwd":
        media.pwd = _good(_PWD, value, "an ice-pwd that can't be used")
    elif name == "fingerprint":
        _fingerprint(media, value)
    elif name == "candidate":
        candidate = parse_candidate(value)
        if candidate is not None and len(media.candidates) < MAX_CANDIDATES:
            media.candidates.append(candidate)
    elif name in ("rtpmap", "fmtp", "rtcp-fb"):
        _of_codec(media, name, value)


def _good(pattern: re.Pattern[str], value: str, words: str) -> str:
    if not pattern.fullmatch(value):
        raise SdpError(words)
    return value


def _fingerprint(media: Media, value: str) -> None:
    digest, _, text = value.partition(" ")
    digest, text = digest.lower(), text.strip().upper()
    length = DIGESTS.get(digest)
    if length is None:
        return  # one of another kind may stand beside it
    if len(text) != length * 3 - 1 or not _HEX.fullmatch(text):
        raise SdpError("a fingerprint that can't be read")
    if len(media.fingerprints) < 4:
        media.fingerprints.append((digest, text))


def _of_codec(media: Media, name: str, value: str) -> None:
    number, _, rest = value.partition(" ")
    rest = rest.strip()
    if name == "rtcp-fb" and number == "*":
        for codec in media.codecs.values():
            if len(codec.feedback) < 16:
                codec.feedback.append(rest)
        return
    if not (number.isascii() and number.isdecimal() and len(number) < 4):
        return
    codec_or_none = media.codecs.get(int(number))
    if codec_or_none is None:
        return
    codec = codec_or_none
    if name == "rtcp-fb":
        if len(codec.feedback) < 16:
            codec.feedback.append(rest)
    elif name == "rtpmap":
        words = rest.split("/")
        if len(words) in (2, 3) and all(word.isascii() and word.isdecimal() and len(word) < 7 for word in words[1:]):
            codec.name, codec.clock_hz = words[0].lower()[:32], int(words[1])
            codec.channels = int(words[2]) if len(words) == 3 else 1
            if codec.name == "h264":
                codec.parameters.setdefault("profile-level-id", _DEFAULT_PROFILE)
    else:
        for part in rest.split(";")[:32]:
            key, equals, text = part.strip().partition("=")
            if equals and _TOKEN.fullmatch(key) and len(text) <= 256:
                codec.parameters[key.lower()] = text.strip()
        if not _PROFILE.fullmatch(codec.parameters.get("profile-level-id", _DEFAULT_PROFILE)):
            raise SdpError("profile-level-id has six hexadecimal digits")
