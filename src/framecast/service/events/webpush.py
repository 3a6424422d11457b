"""Web Push: messages that only one browser can read (RFC 8291), from a server that says who it is (RFC 8292).

Blocking, and it imports what is large: to be called in a thread.
"""

from __future__ import annotations

import base64
import binascii
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTH_BYTES = 16
TOKEN_S = 12 * 3600
"""How long a server's word for itself is good; RFC 8292 allows a day."""
NOBODY = "mailto:framecast@example.com"
"""Whom a push service may write to where nobody was named."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


def missing() -> str:
    """What to do about packages that are not there; empty where all are."""
    if all(find_spec(name) is not None for name in ("cryptography", "http_ece", "py_vapid")):
        return ""
    return "Web Push needs further packages here: pip install 'framecast[events]'"


def private_key(seed: bytes) -> EllipticCurvePrivateKey:
    """The server's key, the same for the same 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(seed) % (_ORDER - 1) + 1, ec.SECP256R1())


def public_point(key: EllipticCurvePrivateKey) -> bytes:
    """Its public half, as browsers want it: an uncompressed point, 65 bytes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def is_point(data: bytes) -> bool:
    """Whether this is a browser's public key."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        return False
    return len(data) == 65


def encrypt(message: bytes, p256dh: bytes, auth: bytes) -> bytes:
    """A message for the browser with this key and this secret; at most 3,993 bytes can be sent."""
    import http_ece
    from cryptography.hazmat.primitives.asymmetric import ec

    once = ec.generate_private_key(ec.SECP256R1())
    sealed: bytes = http_ece.encrypt(message, private_key=once, dh=p256dh, auth_secret=auth, version="aes128gcm")
    return sealed


def authorization(key: EllipticCurvePrivateKey, endpoint: str, contact: str) -> str:
    """The value of the header ``Authorization``, for one push service."""
    from py_vapid.jwt import sign

    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + TOKEN_S,
        "sub": contact or NOBODY,
    }
    return f"vapid t={sign(claims, key)}, k={to_text(public_point(key))}"


def to_text(data: bytes) -> str:
    """Base64 as URLs have it, without ``=``."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """The bytes of such a text, with or without ``=``; raises ValueError where it is none."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
