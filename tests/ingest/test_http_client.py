"""The HTTP client against cameras that redirect, ask for passwords, hang up, or say nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from base64 import b64encode

import pytest

from framecast.core.errors import BadStatus, Misuse, ProtocolError
from framecast.ingest.http_client import Client, Options, TooLarge, Truncated
from framecast.ingest.http_connection import ConnectFailed
from framecast.ingest.target import Target

from .camera import Asked, camera, respond

pytestmark = pytest.mark.anyio

QUICK = Options(connect_timeout_s=2.0, head_timeout_s=0.2)


async def fetch(url: str, client: Client | None = None, most: int = 10_000) -> tuple[int, bytes]:
    client = client or Client()
    response = await client.get(Target.parse(url))
    try:
        return response.status, await response.body(most)
    finally:
        response.close()
        client.close()


async def test_fetches_a_body() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"hello"))

    async with camera(answer) as device:
        assert await fetch(device.url("/x%20y?z=ä")) == (200, b"hello")
        assert device.asked[0].target == "/x%20y?z=%C3%A4"
        assert device.asked[0].headers["host"] == f"127.0.0.1:{device.port}"


async def test_keeps_the_connection_for_the_next_request() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        writer.write(respond(asked.target.encode()))
        return len(device.asked) != 3

    async with camera(answer) as device:
        client = Client()
        for number in range(5):
            response = await client.get(Target.parse(device.url(f"/{number}")))
            assert await response.body(100) == f"/{number}".encode()
            response.close()
        client.close()
        # It hung up after the third answer, which it did not announce: the fourth request went out again.
        assert device.connections == 2


@pytest.mark.parametrize("target", ["/there", "there", "http://127.0.0.1:{port}/there"])
async def test_follows_redirects(target: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/there":
            writer.write(respond(b"here"))
        else:
            writer.write(respond(b"", status="302 Found", more=f"Location: {target.format(port=device.port)}\r\n"))

    async with camera(answer) as device:
        assert await fetch(device.url("/")) == (200, b"here")


@pytest.mark.parametrize(
    "location",
    [
        *("/round", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", ""),
        *(
            "http://[",
            "//[::g]/",
            "http://[x]/",
            "http://cam\xa0.local/",
            "http://cam]/",
            "http://[::1%2\xa0]/",
            "http://127.0.0.1%00/",
        ),
    ],
)
async def test_redirects_end(location: str) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", status="302 Found", more=f"Location: {location}\r\n"))

    async with camera(answer) as device:
        with pytest.raises(BadStatus):
            await fetch(device.url("/"))
        assert len(device.asked) == (4 if location in ("/round", "http://") else 1)


async def test_a_redirect_that_leads_nowhere_tells_no_secrets() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        more = "Location: rtsp://me:secret@10.0.0.5/live?channel=1&pwd=secret\r\n"
        writer.write(respond(b"", status="302 Found", more=more))

    async with camera(answer) as device:
        with pytest.raises(BadStatus) as caught:
            await fetch(device.url("/"))
    words = "The camera redirects to 'rtsp://***@10.0.0.5/live?channel=1&pwd=***', which is no http address"
    assert str(caught.value) == words


async def test_an_odd_host_is_a_host_that_nobody_knows() -> None:
    """A camera that was kept with one must not keep the server from starting."""
    with pytest.raises(ConnectFailed, match="Nobody knows a host called cam\\(1\\)"):
        await fetch("http://cam(1)/stream")


async def test_a_redirect_takes_no_password_to_another_place() -> None:
    async def secret(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if "authorization" in asked.headers:
            writer.write(respond(b"", status="302 Found", more=f"Location: http://127.0.0.1:{other.port}/\r\n"))
        else:
            writer.write(respond(b"", status="401 No", more='WWW-Authenticate: Basic realm="x"\r\n'))

    async def curious(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", status="401 No", more='WWW-Authenticate: Basic realm="x"\r\n'))

    async with camera(secret) as device, camera(curious) as other:
        assert (await fetch(device.url("/", "me:secret@")))[0] == 401
        assert all("authorization" not in asked.headers for asked in other.asked)


async def test_basic_password_is_sent_when_asked_for_and_then_at_once() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        right = asked.headers.get("authorization") == "Basic " + b64encode(b"me:p@ss").decode()
        more = "" if right else 'WWW-Authenticate: Basic realm="cam"\r\n'
        writer.write(respond(b"ok", status="200 OK" if right else "401 No", more=more))

    async with camera(answer) as device:
        client = Client()
        url = device.url("/", "me:p%40ss@")
        assert await fetch(url, client) == (200, b"ok")
        assert await fetch(url, client) == (200, b"ok")
        assert len(device.asked) == 3


async def test_digest_with_a_new_nonce() -> None:
    nonces = iter(("one", "two"))

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        said = asked.headers.get("authorization", "")
        if said.startswith("Digest") and f'nonce="{current[0]}"' in said and 'username="me"' in said:
            writer.write(respond(b"ok"))
            current[0] = ""
        else:
            current[0] = next(nonces)
            more = f'WWW-Authenticate: Digest realm="cam", nonce="{current[0]}", qop="auth"\r\n'
            writer.write(respond(b"", status="401 No", more=more))

    current = [""]
    async with camera(answer) as device:
        client = Client()
        url = device.url("/", "me:secret@")
        assert await fetch(url, client) == (200, b"ok")
        assert await fetch(url, client) == (200, b"ok")


async def test_wrong_password_is_asked_once_more_only() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", status="401 No", more='WWW-Authenticate: Basic realm="cam"\r\n'))

    async with camera(answer) as device:
        assert (await fetch(device.url("/", "me:wrong@")))[0] == 401
        assert len(device.asked) == 2


async def test_address_is_checked_before_connecting() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"", status="302 Found", more=f"Location: http://localhost:{device.port}/\r\n"))

    def check(host: str, address: str) -> None:
        checked.append((host, address))
        if host == "localhost":
            raise Misuse("not there")

    checked: list[tuple[str, str]] = []
    async with camera(answer) as device:
        with pytest.raises(Misuse, match="not there"):
            await fetch(device.url("/"), Client(Options(check_address=check)))
        assert checked[0] == ("127.0.0.1", "127.0.0.1")
        assert device.connections == 1


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed) as caught:
            await fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert caught.value.reason == "refused"


async def test_unknown_name() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await fetch("http://no-such-camera.invalid/")
    assert caught.value.reason == "dns"


async def test_a_number_too_large_for_an_address_is_told() -> None:
    with pytest.raises(ConnectFailed, match=r"192\.168\.1\.300 is no IP address") as caught:
        await fetch("http://192.168.1.300/")
    assert caught.value.reason == "dns"


async def test_silence_is_told_from_no_connection() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with camera(answer) as device:
        with pytest.raises(ConnectFailed) as caught:
            await fetch(device.url("/"), Client(QUICK))
    assert caught.value.reason == "silent"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200"])
async def test_hanging_up_before_the_answer(said: bytes) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async with camera(answer) as device:
        with pytest.raises(ConnectFailed) as caught:
            await fetch(device.url("/"))
    assert caught.value.reason == "lost"


async def test_no_http() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\r\n\r\n")
        await asyncio.Event().wait()

    async with camera(answer) as device:
        with pytest.raises(ProtocolError):
            await fetch(device.url("/"))


async def test_hanging_up_within_the_answer() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async with camera(answer) as device:
        with pytest.raises(Truncated):
            await fetch(device.url("/"))


async def test_too_much() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(100_000))
            await writer.drain()

    async with camera(answer) as device:
        with pytest.raises(TooLarge):
            await fetch(device.url("/"), most=250_000)


async def test_https_to_something_else() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b""))

    async with camera(answer) as device:
        with pytest.raises(ConnectFailed):
            await fetch(device.url("/").replace("http:", "https:"), Client(QUICK))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("192.168.1.20", "http://192.168.1.20/"),
        ("cam.local:81/stream", "http://cam.local:81/stream"),
        ("http://u:p@h/x?y=1#z", "http://h/x?y=1"),
        ("https://h:443/", "https://h/"),
        ("http://[fe80::1]:81", "http://[fe80::1]:81/"),
        ("http://münchen.de/", "http://xn--mnchen-3ya.de/"),
    ],
)
async def test_addresses_as_people_write_them(text: str, url: str) -> None:
    assert Target.parse(text).url == url


@pytest.mark.parametrize(
    "text", ["", "http://", "rtsp://h/", "http://h:99999/", "http://h:0/", "http://h/\r\nX: y", "a b"]
)
async def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Misuse):
        Target.parse(text)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody has signed, as cameras have them."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=camera"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_certificate_of_its_own_must_be_allowed(certificate: ssl.SSLContext) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(b"hello"))

    async with camera(answer, certificate) as device:
        url = device.url("/").replace("http:", "https:")
        with pytest.raises(ConnectFailed) as caught:
            await fetch(url)
        assert caught.value.reason == "tls"
        assert await fetch(url, Client(Options(verify_tls=False))) == (200, b"hello")
