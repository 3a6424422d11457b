"""HTTPS with real handshakes: clients that trust nothing but the authority that was made."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from framecast.core.errors import ConfigError
from framecast.service.access.rights import COOKIE, PREFIXED_COOKIE, SECURE_COOKIE
from framecast.service.config.resolve import defaults
from framecast.service.front import authority
from framecast.service.front.authority import AuthorityError, Issued
from framecast.service.front.tls import Files, Pair, Tls
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import STREAM, MjpegViewer

pytestmark = pytest.mark.anyio

TLS = {"server.tls_port": 0}
NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)


def trusting(folder: Path) -> ssl.SSLContext:
    """A client's context that trusts this authority and nobody else."""
    return ssl.create_default_context(cafile=Files.of(folder).authority)


@contextlib.asynccontextmanager
async def https(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Server, str, ssl.SSLContext]]:
    """A server, its HTTPS address, and what a client has to trust."""
    data = tmp_path / "data"
    authority.init(data)
    async with serving(tmp_path, options=TLS, **options) as server:
        address = server.listeners.tls_address
        assert address is not None
        yield server, f"https://localhost:{address.port}", trusting(data)


async def watching(port: int, context: ssl.SSLContext, name: str = "localhost") -> MjpegViewer:
    """An MJPEG viewer over TLS whose answer has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    viewer = MjpegViewer(reader, writer, advance=False)
    await viewer.read_head()
    assert viewer.status == 200
    assert await viewer.opening() == b"--frame\r\n"
    return viewer


async def test_everything_is_served_by_https_too(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        headers = {"Content-Type": "image/jpeg"}
        async with server.client.post(
            f"{url}/api/v1/cameras/cam/frames", data=jpeg(1), headers=headers, ssl=trusted
        ) as answer:
            assert answer.status == 200
        viewers = [await watching(int(url.rpartition(":")[2]), trusted) for _ in range(3)]
        for viewer in viewers:
            assert (await viewer.part()).picture == jpeg(1)
        async with server.client.ws_connect(f"{url}/api/v1/ws", ssl=trusted, headers={"Origin": url}) as page:
            assert (await page.receive_json(timeout=5))["type"] == "hello"
            await page.send_json({"type": "subscribe", "cameras": [{"id": "cam"}]})
            while (message := await page.receive(timeout=5)).type is not aiohttp.WSMsgType.BINARY:
                pass
            assert message.data.endswith(jpeg(1))
            async with server.client.ws_connect(f"{url}/api/v1/cameras/cam/publish", ssl=trusted) as device:
                second = jpeg(2, noise=True, size=(640, 480))
                await device.send_bytes(second)
                for viewer in viewers:
                    while (part := await viewer.part()).picture == jpeg(1):
                        pass  # repeated, since nothing came for a while
                    assert part.picture == second
            while (message := await page.receive(timeout=5)).type is not aiohttp.WSMsgType.BINARY:
                pass
        for viewer in viewers:
            viewer.writer.transport.abort()
        await until(lambda: not server.camera().stream.viewers)
        await server.json("GET", "/api/v1/cameras/cam")  # and by plain http as before


async def test_a_viewer_that_hangs_up_is_noticed(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        await server.push(jpeg(1))
        viewer = await watching(int(url.rpartition(":")[2]), trusted)
        await viewer.part()
        viewer.writer.close()
        await until(lambda: not server.camera().stream.viewers)


async def test_only_who_trusts_the_authority_connects(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await server.client.get(f"{url}/healthz", ssl=ssl.create_default_context())
        for host in ("127.0.0.1", "localhost"):
            async with server.client.get(url.replace("localhost", host) + "/healthz", ssl=trusted) as answer:
                assert answer.status == 200
        port = int(url.rpartition(":")[2])
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname="example.org")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(Files.of(tmp_path / "data").authority)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", port, ssl=old, server_hostname="localhost")


async def test_the_authority_may_not_vouch_for_others(tmp_path: Path) -> None:
    """Whoever steals its key makes a certificate for any name, and nobody takes it."""
    authority.init(tmp_path)
    files = Files.of(tmp_path)
    key = load_pem_private_key(files.authority_key.read_bytes(), None)
    own = x509.load_pem_x509_certificate(files.authority.read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for name, believed in (("bank.example.com", False), ("cam.local", True), ("localhost", True)):
        stolen = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        forged = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(own.subject)
            .public_key(stolen.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .sign(key, hashes.SHA256())
        )
        authority._write(tmp_path / "forged.pem", authority._pem_of_key(stolen) + authority._pem(forged))
        context = Pair(tmp_path / "forged.pem", tmp_path / "forged.pem").context()
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        try:
            if believed:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=trusting(tmp_path), server_hostname=name
                )
                writer.transport.abort()
            else:
                with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
                    await asyncio.open_connection("127.0.0.1", port, ssl=trusting(tmp_path), server_hostname=name)
        finally:
            server.close()


def served(port: int, context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection gets."""
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found


async def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        port, data = int(url.rpartition(":")[2]), tmp_path / "data"
        await server.push(jpeg(1))
        viewer = await watching(port, trusted)
        await viewer.part()
        before = await asyncio.to_thread(served, port, trusted)
        tls = server.listeners.tls
        assert tls is not None
        assert not tls.look(), "nothing has changed"
        authority.renew(data)
        assert tls.look()
        after = await asyncio.to_thread(served, port, trusted)
        assert after != before

        files = Files.of(data)
        whole = files.certificate.read_bytes()
        for broken in (whole[:300], b"", whole.partition(b"-----BEGIN CERT")[0]):
            files.certificate.write_bytes(broken)
            assert not tls.look()
            assert await asyncio.to_thread(served, port, trusted) == after
        files.certificate.unlink()
        assert not tls.look()
        assert await asyncio.to_thread(served, port, trusted) == after
        authority.init(data, force=True)
        assert tls.look()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(served, port, trusted)
        await asyncio.to_thread(served, port, trusting(data))
        await server.push(jpeg(2))
        part = await viewer.part()
        while part.picture == jpeg(1):  # again, where the machine was slow
            part = await viewer.part()
        assert part.picture == jpeg(2), "who was connected stays connected"
        viewer.writer.transport.abort()


async def test_the_files_are_looked_at_by_themselves(tmp_path: Path) -> None:
    authority.init(tmp_path)
    tls = Tls(Pair(Files.of(tmp_path).certificate, Files.of(tmp_path).certificate))
    before = tls._newest
    keeping = asyncio.ensure_future(tls.keep(0.01))
    authority.renew(tmp_path)
    await until(lambda: tls._newest is not before)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_that_it_ends_soon_is_told_once_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "framecast.service.front.tls")
    issued = authority.init(tmp_path)
    ends = issued.expires.timestamp()
    tls = Tls.open(defaults({"server.data": tmp_path}))
    assert tls is not None
    assert tls.expires_s == pytest.approx(ends, abs=1)
    for days, told in ((31, 0), (29, 1), (28.5, 1), (27.5, 2), (-1, 3)):
        tls.remind(ends - days * 86_400)
        assert len(caplog.messages) == told
    assert "ends 20" in caplog.messages[0] and "framecast tls renew" in caplog.messages[0]
    assert "ended 20" in caplog.messages[2]


async def test_a_session_over_https_is_kept_by_a_cookie_of_its_own(tmp_path: Path) -> None:
    async with https(tmp_path, tokens=True) as (server, url, trusted):
        made = await server.service.desk.create_token({"name": "wall", "rights": ["watch"]})
        body = {"key": made["secret"]}
        async with server.client.post(f"{url}/api/v1/session", json=body, ssl=trusted) as answer:
            (cookie,) = answer.cookies.values()
            header = answer.headers["Set-Cookie"]
        assert cookie.key == SECURE_COOKIE
        assert "Secure" in header and "HttpOnly" in header and "SameSite=Strict" in header and "Path=/" in header
        assert "Domain" not in header
        headers = {"Cookie": f"{SECURE_COOKIE}={cookie.value}", "Origin": url}
        async with server.client.get(f"{url}/api/v1/cameras", headers=headers, ssl=trusted) as answer:
            assert answer.status == 200
        async with server.client.delete(f"{url}/api/v1/session", headers=headers, ssl=trusted) as answer:
            assert answer.status == 204
            assert f'{SECURE_COOKIE}=""' in answer.headers["Set-Cookie"] or any(
                SECURE_COOKIE in each for each in answer.headers.getall("Set-Cookie")
            )
        async with server.client.get(f"{url}/api/v1/cameras", headers=headers, ssl=trusted) as answer:
            assert answer.status == 401
        async with server.client.post(f"{server.url}/api/v1/session", json=body) as answer:
            assert [each.key for each in answer.cookies.values()] == [COOKIE]
            assert "Secure" not in answer.headers["Set-Cookie"]
            planted = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
        await server.json("GET", "/api/v1/cameras", headers=planted)
        async with server.client.get(f"{url}/api/v1/cameras", headers=planted, ssl=trusted) as answer:
            assert answer.status == 401, "whoever is on the way by http can set this one"
        made_by_others = {"Cookie": planted["Cookie"].replace(COOKIE, PREFIXED_COOKIE)}
        async with server.client.get(f"{url}/api/v1/cameras", headers=made_by_others, ssl=trusted) as answer:
            assert answer.status == 401, "a site beside ours, of the same domain, can set this one for all of it"


async def test_pages_of_http_are_another_origin(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        for origin, status in ((url, 200), (url.replace("https", "http"), 403), ("https://example.org", 403)):
            async with server.client.patch(
                f"{url}/api/v1/cameras/cam", json={"name": "x"}, headers={"Origin": origin}, ssl=trusted
            ) as answer:
                assert answer.status == status, origin


async def test_pages_are_told_where_https_is(tmp_path: Path) -> None:
    async with https(tmp_path) as (server, url, trusted):
        told = await server.json("GET", "/api/v1/system")
        assert told["secure"] is False
        port = int(url.rpartition(":")[2])
        expires = told["https"].pop("expires")
        assert 396 < (expires - time.time()) / 86_400 + 1 < 398
        assert told["https"] == {"url": f"https://127.0.0.1:{port}/", "port": port, "authority": "/ca.crt"}
        async with server.client.get(f"{server.url}/metrics") as answer:
            assert "framecast_certificate_expires_seconds 1." in await answer.text()
        assert "talk" in told["needs_https"]
        assert told["m5_camera"] == "cam"
        async with server.client.get(f"{url}/api/v1/system", ssl=trusted) as answer:
            assert (await answer.json())["secure"] is True
        async with server.client.get(f"{server.url}/ca.crt") as answer:
            assert answer.content_type == "application/x-x509-ca-cert"
            body = await answer.read()
        assert body == Files.of(tmp_path / "data").authority.read_bytes()
        assert b"PRIVATE" not in body


async def test_without_a_certificate_there_is_no_https(server: Server) -> None:
    assert server.listeners.tls is None
    assert (await server.json("GET", "/api/v1/system"))["https"] is None
    await server.error("GET", "/ca.crt", 404, "not_found")


async def test_a_camera_is_named_to_those_who_may_watch_it(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server:
        assert (await server.json("GET", "/api/v1/system"))["m5_camera"] is None


async def test_a_configured_certificate(tmp_path: Path) -> None:
    other = tmp_path / "other"
    authority.init(other)
    files = Files.of(other)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    whole = files.certificate.read_bytes()
    cut = whole.index(b"-----BEGIN CERT")
    key.write_bytes(whole[:cut])
    cert.write_bytes(whole[cut:])
    options = {**TLS, "server.tls_cert": cert, "server.tls_key": key}
    async with serving(tmp_path, options=options) as server:
        address = server.listeners.tls_address
        assert address is not None
        async with server.client.get(f"https://localhost:{address.port}/healthz", ssl=trusting(other)) as answer:
            assert answer.status == 200
        assert (await server.json("GET", "/api/v1/system"))["https"]["authority"] is None
        await server.error("GET", "/ca.crt", 404)


async def test_certificates_that_cannot_be_used_are_told_of(tmp_path: Path) -> None:
    authority.init(tmp_path / "one")
    authority.init(tmp_path / "two")
    one, two = Files.of(tmp_path / "one").certificate, Files.of(tmp_path / "two").certificate
    (tmp_path / "empty.pem").write_bytes(b"")
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", one, "-out", tmp_path / "locked.pem"],
        check=True,
        capture_output=True,
    )
    for options, key, words in (
        ({"server.tls_cert": tmp_path / "no.pem"}, "server.tls_cert", "No such file"),
        ({"server.tls_cert": tmp_path / "empty.pem"}, "server.tls_cert", "PEM"),
        ({"server.tls_cert": one, "server.tls_key": two}, "server.tls_cert", "mismatch"),
        ({"server.tls_cert": one, "server.tls_key": tmp_path / "no.pem"}, "server.tls_key", "No such file"),
        ({"server.tls_cert": one, "server.tls_key": tmp_path / "locked.pem"}, "server.tls_cert", "password"),
        ({"server.tls_key": one}, "server.tls_key", "server.tls_cert is needed"),
    ):
        with pytest.raises(ConfigError) as caught:
            Tls.open(defaults({"server.data": tmp_path, **options}))
        assert caught.value.key.startswith(key), options
        assert words in str(caught.value), options


# What is made


def names_of(issued: Issued) -> set[str]:
    return set(issued.names)


def test_what_is_made(tmp_path: Path) -> None:
    issued = authority.init(tmp_path / "data", ["cams.example.net", "[2001:db8::5]", "203.0.113.9"], now=NOW)
    files = Files.of(tmp_path / "data")
    for path in (files.authority_key, files.certificate):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert b"PRIVATE KEY" in path.read_bytes()
    assert stat.S_IMODE(os.stat(tmp_path / "data").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(files.folder).st_mode) == 0o700
    assert {"localhost", "127.0.0.1", "::1", "cams.example.net", "2001:db8::5", "203.0.113.9"} <= names_of(issued)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= datetime.timedelta(days=397)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc == issued.expires
    own = x509.load_pem_x509_certificate(files.authority.read_bytes())
    certificate.verify_directly_issued_by(own)
    assert own.fingerprint(hashes.SHA256()).hex(":").upper() == issued.fingerprint
    assert authority.present(tmp_path / "data") == issued


def test_an_authority_is_not_replaced_unasked(tmp_path: Path) -> None:
    first = authority.init(tmp_path)
    with pytest.raises(AuthorityError, match="tls renew"):
        authority.init(tmp_path)
    assert authority.present(tmp_path) == first
    assert authority.init(tmp_path, force=True).fingerprint != first.fingerprint


def test_renewing_keeps_authority_and_names(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="tls init"):
        authority.renew(tmp_path)
    first = authority.init(tmp_path, ["door.local", "cams.example.net"], now=NOW)
    later = NOW + datetime.timedelta(days=300)
    again = authority.renew(tmp_path, now=later)
    assert again.fingerprint == first.fingerprint
    assert names_of(again) == names_of(first)
    assert again.expires - later > datetime.timedelta(days=390)
    other = authority.renew(tmp_path, ["yard.lan"], now=later)
    assert "yard.lan" in other.names and "door.local" not in other.names
    with pytest.raises(AuthorityError, match=r"example\.org.*init --force --host example\.org"):
        authority.renew(tmp_path, ["example.org", "yard.lan"], now=later)
    end = authority.renew(tmp_path, now=NOW + datetime.timedelta(days=3500))
    assert end.expires == NOW + datetime.timedelta(days=3650), "it ends with the authority"
    with pytest.raises(AuthorityError, match="expired"):
        authority.renew(tmp_path, now=NOW + datetime.timedelta(days=3651))


def test_an_authority_that_was_not_made_whole_is_mended_by_what_it_says(tmp_path: Path) -> None:
    files = Files.of(tmp_path)
    first = authority.init(tmp_path)
    files.certificate.unlink()  # as when init was interrupted after the authority
    with pytest.raises(AuthorityError, match="tls renew"):
        authority.present(tmp_path)
    with pytest.raises(AuthorityError, match="tls renew"):
        authority.init(tmp_path)
    again = authority.renew(tmp_path)
    assert (again.fingerprint, names_of(again)) == (first.fingerprint, names_of(first))
    assert authority.present(tmp_path) == again
    files.authority_key.unlink()
    with pytest.raises(AuthorityError, match="tls init --force"):
        authority.renew(tmp_path)


def test_nothing_is_made_by_a_key_that_is_not_the_authority_s(tmp_path: Path) -> None:
    """A copy of one half, or an `init --force` that was interrupted: devices would trust nothing that is made so."""
    authority.init(tmp_path / "one")
    authority.init(tmp_path / "other")
    files, others = Files.of(tmp_path / "one"), Files.of(tmp_path / "other")
    before = files.certificate.read_bytes()
    files.authority_key.write_bytes(others.authority_key.read_bytes())
    with pytest.raises(AuthorityError, match="no key of this authority"):
        authority.renew(tmp_path / "one")
    assert files.certificate.read_bytes() == before


def test_renewing_leaves_out_addresses_that_came_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.init(tmp_path)
    moved = [*authority.own_addresses(), authority.ipaddress.ip_address("198.51.100.7")]
    monkeypatch.setattr(authority, "own_addresses", lambda: moved)
    assert "198.51.100.7" not in authority.renew(tmp_path).names
    assert "198.51.100.7" in authority.init(tmp_path, force=True).names


@pytest.mark.parametrize("name", ["", "a b", "http://x", "-x", "x" * 64, "*.local", "1.2.3.4/24", "a..b", "x:80"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuthorityError, match="neither a host name nor an IP address"):
        authority.init(tmp_path, [name])
    assert not Files.of(tmp_path).folder.exists()


def test_a_name_in_another_script(tmp_path: Path) -> None:
    assert "xn--haustr-7ya.local" in authority.init(tmp_path, ["Haustür.local"]).names
