"""A certificate authority of this machine's own, and the server's certificate by it: `framecast tls init` and `renew`.

Phones and browsers trust an authority once and for long, so what it may ever vouch for is bounded (name constraints,
RFC 5280, section 4.2.1.10): this machine's names, names that exist in local networks only, and private addresses.
Whoever steals its key can't pretend to be somebody's bank. The server's own certificate lasts for 397 days, the most
that browsers take.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framecast.core.errors import ConfigError, FramecastError
from framecast.service.front.tls import Files

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
BACKDATED = datetime.timedelta(days=1)
"""Clocks of small devices are behind at times."""
LOCAL_NAMES = ("localhost", "local", "lan", "home", "home.arpa", "internal")
"""Names, and all below them, that exist in local networks only: no public authority gives them to anybody."""
LOCAL_NETWORKS = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subjects = tuple[list[str], list[Address]]
"""Whom a certificate is for: names, and addresses."""


class AuthorityError(FramecastError):
    """The authority can't be made, or can't vouch for what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What was made.

    Attributes:
        names: Whom the server's certificate is for: names first, then addresses.
        expires: The last moment of the server's certificate.
        fingerprint: SHA-256 of the authority's certificate, as systems show it when asked to trust it.
    """

    names: tuple[str, ...]
    expires: datetime.datetime
    fingerprint: str


def init(data: Path, hosts: Iterable[str] = (), *, force: bool = False, now: datetime.datetime | None = None) -> Issued:
    """Make the authority and the server's certificate in the data folder.

    Args:
        data: Data folder.
        hosts: Further names and addresses by which this machine is called.
        force: Replace an authority that is there; every device then has to trust the new one.
        now: The time; that of the clock when left out.

    Raises:
        AuthorityError: There is one already, or a name is none.
        ConfigError: The folder can't be written.
    """
    files = Files.of(data)
    if files.authority.exists() and not force:
        raise AuthorityError(
            f"there is an authority already ({files.authority}): `framecast tls renew` makes a new certificate by it; "
            "--force makes a new authority, which every device has to trust anew"
        )
    now = now or datetime.datetime.now(datetime.UTC)
    _see_that_it_can_be_made()
    names, addresses = _both(own_subjects(), subjects(hosts))
    authority, key = _make_authority(names, addresses, now)
    with _writing(data):
        for folder in (data, files.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(files.authority_key, _pem_of_key(key), private=True)
        _write(files.authority, _pem(authority))
    return _issue(files, authority, key, names, addresses, now)


def renew(data: Path, hosts: Iterable[str] | None = None, *, now: datetime.datetime | None = None) -> Issued:
    """Make a new certificate for the server by the authority there is.

    Args:
        hosts: As for `init`; None keeps the names of the present certificate, if there is one. This machine's own are
            added, as far as the authority may vouch for them.

    Raises:
        AuthorityError: There is no authority, it has expired, or it may not vouch for one of the names.
    """
    _see_that_it_can_be_made()
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    files = Files.of(data)
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        key = load_pem_private_key(files.authority_key.read_bytes(), None)
        if hosts is None and files.certificate.exists():
            hosts = _kept(x509.load_pem_x509_certificate(files.certificate.read_bytes()))
    except FileNotFoundError:
        raise _missing(files) from None
    except (OSError, ValueError, TypeError) as error:
        raise AuthorityError(f"the authority in {files.folder} can't be read: {error}") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
        raise AuthorityError(f"{files.authority_key} is no key of this authority; anew: framecast tls init --force")
    if authority.not_valid_after_utc <= now:
        raise AuthorityError("the authority has expired; make a new one: framecast tls init --force")
    asked = subjects(hosts or ())
    may = _permits(authority)
    beyond = [str(each) for each in (*asked[0], *asked[1]) if not may(each)]
    if beyond:
        raise AuthorityError(
            f"the authority may not vouch for {', '.join(beyond)}: make one that may, by "
            f"framecast tls init --force {' '.join(f'--host {name}' for name in beyond)}"
        )
    own_names, own = own_subjects()
    names, addresses = _both(([name for name in own_names if may(name)], [each for each in own if may(each)]), asked)
    return _issue(files, authority, key, names, addresses, now)


def present(data: Path) -> Issued:
    """What was made before.

    Raises:
        AuthorityError: There is nothing, or it can't be read.
    """
    _see_that_it_can_be_made()
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    files = Files.of(data)
    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except FileNotFoundError:
        raise _missing(files) from None
    except (OSError, ValueError) as error:
        raise AuthorityError(f"the authority in {files.folder} can't be read: {error}") from None
    names = [*_kept(certificate), *map(str, alternatives.get_values_for_type(x509.IPAddress))]
    fingerprint = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Issued(tuple(names), certificate.not_valid_after_utc, fingerprint)


def _missing(files: Files) -> AuthorityError:
    """Which file is not there, and the command that makes it: one that does not refuse what is there."""
    if not files.authority.exists():
        return AuthorityError(f"there is no authority in {files.folder}; make one: framecast tls init")
    if not files.authority_key.exists():
        return AuthorityError(f"the authority's key, {files.authority_key}, is gone; anew: framecast tls init --force")
    return AuthorityError(f"there is no certificate in {files.folder}; make one: framecast tls renew")


def own_subjects() -> Subjects:
    """Names and addresses of this machine."""
    own = socket.gethostname().lower().rstrip(".")
    names = ["localhost"]
    if _NAME.fullmatch(own) and own != "localhost":
        names += [own] if "." in own else [own, f"{own}.local"]
    return names, own_addresses()


def subjects(hosts: Iterable[str]) -> Subjects:
    """These, told apart into names and addresses.

    Raises:
        AuthorityError: One is neither.
    """
    names: list[str] = []
    addresses: list[Address] = []
    for host in hosts:
        text = host.strip().strip("[]").lower().rstrip(".")
        try:
            addresses.append(ipaddress.ip_address(text.partition("%")[0]))
            continue
        except ValueError:
            pass
        try:
            name = text.encode("idna").decode() if not text.isascii() else text
        except UnicodeError:
            name = ""
        if not _NAME.fullmatch(name) or len(name) > 253:
            raise AuthorityError(f"{host!r} is neither a host name nor an IP address")
        names.append(name)
    return names, addresses


def _both(one: Subjects, other: Subjects) -> Subjects:
    return list(dict.fromkeys(one[0] + other[0])), list(dict.fromkeys(one[1] + other[1]))


def own_addresses() -> list[Address]:
    """This machine's addresses, loopback first; only those that lead somewhere where the system doesn't list them."""
    found: list[Address] = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    if sys.platform.startswith("linux"):
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                with contextlib.suppress(OSError):  # SIOCGIFADDR, see netdevice(7): none for one without an address
                    answer = fcntl.ioctl(probe, 0x8915, name.encode().ljust(40, b"\0"))
                    found.append(ipaddress.IPv4Address(answer[20:24]))
        with contextlib.suppress(OSError):
            for line in Path("/proc/net/if_inet6").read_text().splitlines():
                address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
                if not address.is_link_local:  # those are only called with a zone, which no certificate can hold
                    found.append(address)
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            found.append(ipaddress.ip_address(probe.getsockname()[0]))
    return list(dict.fromkeys(found))


def _see_that_it_can_be_made() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise AuthorityError("it needs the extra tls: pip install 'framecast[tls]'") from None


def _make_authority(
    names: Sequence[str], addresses: Sequence[Address], now: datetime.datetime
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    day = now.strftime("%Y-%m-%d")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Framecast"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Framecast on {socket.gethostname()}, {day}"[:64]),
        ]
    )
    dns = list(dict.fromkeys([*LOCAL_NAMES, *(name for name in names if not _is_below(name, LOCAL_NAMES))]))
    networks = [ipaddress.ip_network(text) for text in LOCAL_NETWORKS]
    networks += [ipaddress.ip_network(each) for each in addresses if not any(each in network for network in networks)]
    permitted = [*(x509.DNSName(name) for name in dns), *(x509.IPAddress(network) for network in networks)]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _issue(
    files: Files,
    authority: x509.Certificate,
    authority_key: EllipticCurvePrivateKey,
    names: Sequence[str],
    addresses: Sequence[Address],
    now: datetime.datetime,
) -> Issued:
    """Make and write the server's key and certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [*(x509.DNSName(name) for name in names), *(x509.IPAddress(each) for each in addresses)]
    until = min(now - BACKDATED + datetime.timedelta(days=SERVER_DAYS), authority.not_valid_after_utc)
    common_name = next((name for name in names if name != "localhost"), "localhost")[:64]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    with _writing(files.folder):
        # Key and certificate in one file are replaced at once: nobody ever reads one of each.
        _write(files.certificate, _pem_of_key(key) + _pem(certificate), private=True)
    fingerprint = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Issued((*names, *map(str, addresses)), certificate.not_valid_after_utc, fingerprint)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _kept(certificate: x509.Certificate) -> list[str]:
    """Names that a certificate is for; addresses come and go."""
    from cryptography import x509

    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def _permits(authority: x509.Certificate) -> Callable[[str | Address], bool]:
    """Says whether an authority may vouch for a name or address."""
    from cryptography import x509

    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    parents = [each.value for each in permitted if isinstance(each, x509.DNSName)]
    networks = [ipaddress.ip_network(str(each.value)) for each in permitted if isinstance(each, x509.IPAddress)]

    def may(subject: str | Address) -> bool:
        if isinstance(subject, str):
            return _is_below(subject, parents)
        return any(subject in network for network in networks)

    return may


def _is_below(name: str, parents: Iterable[str]) -> bool:
    return any(name == parent or name.endswith(f".{parent}") for parent in parents)


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_of_key(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace a file at once, readable by its owner only where it holds a key."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            str(folder), "server.data", str(folder), f"a folder that can be written is needed ({error.strerror})"
        ) from None
