"""What bad clients do. They get a clear 4xx or a closed socket, and whoever watches meanwhile notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from framecast.service.api.system import process
from tests.service.serving import Server, jpeg, until
from tests.service.watched import Watched, get
from tests.service.watching import Page

pytestmark = pytest.mark.anyio

FRAMES = "/api/v1/cameras/door/frames"


HOST = b"Host: localhost\r\n"
POST = b"POST " + FRAMES.encode() + b" HTTP/1.1\r\n" + HOST

UNREADABLE: list[bytes] = [
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"G\x80T / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    bytes(1000),
    b"\xff\xd8\xff\xe0" * 1000,
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"A" * 100_000,
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    get("/", "X: " + "a" * 100_000 + "\r\n"),
    get("/", "X" * 100_000 + ": a\r\n"),
    get("/", "".join(f"X-{number}: a\r\n" for number in range(100_000))),
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 1e3\r\n\r\n",
    POST + b"Content-Length: 0x10\r\n\r\n",
    POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX",
    b"GET http://[::1 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://a:b:c/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://localhost:99999/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"CONNECT example.org:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
]


async def test_what_is_no_request_is_refused(watched: Watched) -> None:
    statuses = await asyncio.gather(*(watched.says(data) for data in UNREADABLE))
    for data, status in zip(UNREADABLE, statuses, strict=True):
        assert status == 0 or 400 <= status < 500, (status, data[:100])
    await watched.goes_on()


NOT_THERE = [
    *("/static/../../../etc/passwd", "/static/..%2f..%2f..%2fetc/passwd", "/static/%2e%2e/%2e%2e/index.html"),
    *("/static//etc/passwd", "/static/js/../../index.html", "/static/%00", "/static/" + "a/" * 2000, "/static/"),
    *(
        "/..",
        "/../etc/passwd",
        "//evil.example/",
        "/%",
        "/%ff%fe",
        "/%00",
        "/%0d%0aX:%20y",
        "/\xff\xfe",
        "/;",
        "/?/../",
    ),
    *("/api/v1/cameras/..", "/api/v1/cameras/%2e%2e%2fcam", "/api/v1/cameras/cam%00", "/api/v1/cameras/CAM"),
    *("/api/v1/cameras/", "/api/v1/cameras//snapshot.jpg", "/api/v1/cameras/cam/", "/api/v1/cameras/cam/snapshot.jpg/"),
    *("/api/v1/cameras/" + "a" * 5000, "/api/v1/cameras/%F0%9F%92%A9", "/api/v1/cameras/cam/../../secret"),
    *("/stream?camera=../cam", "/stream?camera=%00", "/stream?camera=%ff", "/stream?camera=" + "x" * 5000),
    *("/api/v1/tokens/x%0d%0a", "/.env", "/.git/config", "/framecast.db"),
]


async def test_nothing_is_where_nothing_belongs(watched: Watched) -> None:
    for target in NOT_THERE:
        expected = {200} if target == "/?/../" else {400, 404, 405}
        assert await watched.says(get(target)) in expected, target


# Uploads


async def test_an_upload_of_a_gigabyte_is_refused_before_it_comes(watched: Watched) -> None:
    for length in (1 << 30, 1 << 50, 9_000_000):
        assert await watched.says(POST + b"Content-Length: %d\r\n\r\n" % length) == 413
    sound = "/api/v1/cameras/door/audio", "/api/v1/devices/doorbell/mic-stream"
    for target in ("/api/v1/cameras", "/api/v1/probe", "/api/v1/tokens", *sound):
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {1 << 30}\r\n\r\n"
        assert await watched.says(head.encode()) == 413
    # Where no body is read at all, none is waited for either.
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 1073741824\r\n\r\n"
    assert await watched.says(head) == 200


@pytest.mark.parametrize(
    "rest",
    [b"fffffffffffffffffffff\r\n", b"zz\r\nx", b"5\r\nabcdeXX", b"\x00" * 100, POST + b"Content-Length: 9\r\n\r\nanew"],
    ids=["too long", "no number", "no end", "zeros", "the next upload"],
)
async def test_an_upload_that_breaks_off_into_noise_is_answered_at_once(watched: Watched, rest: bytes) -> None:
    front = watched.server.listeners.fronts[0]
    before = front.places.taken
    reader, writer = await asyncio.open_connection("127.0.0.1", watched.server.port)
    writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    with contextlib.suppress(ConnectionError, RuntimeError):  # it was answered meanwhile, and closed
        for _ in range(60):
            for _ in range(5):
                await asyncio.sleep(0)  # so that it comes in pieces, each of which is another error
            writer.write(rest)
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"bad_body" in await reader.read()
    writer.transport.abort()
    await until(lambda: front.places.taken == before)
    await watched.goes_on()


async def test_an_endless_upload_is_cut(watched: Watched) -> None:
    before = process()["rss_bytes"]
    _, writer = await asyncio.open_connection("127.0.0.1", watched.server.port)
    writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    try:
        async with asyncio.timeout(10):
            while sent < 1 << 30:
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
                await asyncio.sleep(0.002)
    except (ConnectionError, RuntimeError):
        pass
    finally:
        writer.transport.abort()
    assert sent < 1 << 30
    assert process()["rss_bytes"] - before < 80 << 20
    assert watched.server.camera("door").stream.published == 0


async def test_slow_heads_and_bodies_are_not_waited_for(watched: Watched) -> None:
    """Each connection sends a byte now and then."""
    starts = [b"GET / HT", get("/healthz") + b"GET /heal", POST + b"Content-Length: 5000\r\n\r\n", b"", b"\r\n"]
    connections = [await asyncio.open_connection("127.0.0.1", watched.server.port) for _ in range(8) for _ in starts]
    for (_, writer), start in zip(connections, starts * 8, strict=True):
        writer.write(start)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def read() -> None:
            try:
                while await reader.read(1000):
                    pass
            except ConnectionError:
                pass

        reading = asyncio.create_task(read())
        while not reading.done():
            if not writer.transport.is_closing():
                writer.write(b"a")
            await asyncio.wait({reading}, timeout=0.2)
        writer.transport.abort()

    async with asyncio.timeout(20):
        await asyncio.gather(*(drip(*connection) for connection in connections))
    await until(lambda: watched.server.listeners.fronts[0].places.taken == 1)


async def test_forms_that_are_bombs(watched: Watched) -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nv\r\n'
    bodies = [
        b"".join(field % number for number in range(5000)) + b"--x--\r\n",
        b"--x\r\n" * 100_000,
        b"--x\r\n" + b"A: b\r\n" * 100_000 + b"\r\n\r\n--x--\r\n",
        b"--x\r\n\r\n" + b"\n--" * 500_000,
        b'--x\r\nContent-Disposition: form-data; name="frame"\r\n\r\n\r\n--x--\r\n',
        b"--x--\r\n",
        b"\r\n" * 100_000,
    ]
    types = [
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "multipart/mixed; boundary=",
        "multipart/" + "x" * 500,
    ]
    for body in bodies:
        for content_type in types:
            headers = {"Content-Type": content_type}
            await watched.server.error("POST", FRAMES, 400, data=io.BytesIO(body), headers=headers)
        await watched.goes_on()


# Pictures


def sized(width: int, height: int) -> bytes:
    """A picture whose header claims another size."""
    data = bytearray(jpeg(1))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


async def test_pictures_that_are_bombs(watched: Watched) -> None:
    cases = {
        sized(65_500, 65_500): "too_many_pixels",
        sized(65_535, 1000): "too_many_pixels",
        jpeg(1)[:2] + b"\xff\xfe\xff\xff" + bytes(70_000): None,
        b"\xff\xd8" + b"\xff" * 1_000_000: None,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 250_000: None,
        b"\xff\xd8" * 500_000: None,
        jpeg(1)[:-2] * 200: None,
        b"\x89PNG\r\n\x1a\n" + bytes(1000): "not_jpeg",
        sized(0, 0): None,
    }
    async with Page.opened(watched.server.client, watched.server.url) as page:
        await page.subscribe("door")
        for body, code in cases.items():
            await watched.server.error("POST", FRAMES, 400, code or "", data=io.BytesIO(body))
            await watched.goes_on()
        await page.settle()
        assert page.media == []
    assert watched.server.camera("door").stream.published == 0


# JSON


ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 1e308, 10**30, "", "x" * 5000, "\x00", "\ud800", "a\r\nX: y", "../x", "🎥"),
    *([], [[]], {}, {"a": {}}, [None], ["watch"], [[0, 0, 1, 1]], [[0, 0, 9, 9]], [1, 2, 3, 4]),
]
FIELDS = (
    *("url", "id", "name", "policy", "grace_s", "stall_timeout_s", "preset", "rotate", "mirror", "masks", "public"),
    *(
        "publish_from",
        "allow_query_key",
        "username",
        "password",
        "verify_tls",
        "poll_interval_s",
        "camera",
        "unheard-of",
    ),
)


async def test_odd_values_in_json(watched: Watched) -> None:
    server = watched.server
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/v1/cameras", {"url": "push:"}),
        ("PATCH", "/api/v1/cameras/door", {}),
        ("POST", "/api/v1/probe", {"url": "push:"}),
        ("POST", "/api/v1/probe", {}),
        ("POST", "/api/v1/tokens", {}),
        ("POST", "/api/v1/session", {}),
    ]
    for method, path, base in requests:
        for field in (*FIELDS, "rights", "cameras", "key"):
            for value in ODD:
                body = json.dumps({**base, field: value}).encode()
                async with asyncio.timeout(20), server.client.request(method, server.url + path, data=body) as response:
                    text = await response.text()
                assert response.status < 500, (method, path, field, value, text)
                if response.status >= 400:
                    assert set(json.loads(text)) == {"error"}, (method, path, field, value)
                if response.status == 201:
                    await server.json("DELETE", response.headers["Location"], status=204)
    assert [camera.camera_id for camera in server.service.cameras] == ["cam", "door"], "what is refused leaves nothing"
    await server.push(jpeg(1), "door")


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"{",
            b"nul",
            b"[]",
            b'"x"',
            b"1",
            b"null",
            b"\xff\xfe",
            b"[" * 60_000,
            b'{"a":' * 12_000,
            b'{"a": ' + b"9" * 60_000,
        ),
        *(b'{"url": NaN}', b'{"masks": [[NaN, 0, 1, 1]], "url": "push:"}', b'{"grace_s": Infinity, "url": "push:"}'),
        *(b"<xml/>", b"url=push:", b"\x00" * 1000),
    ],
)
async def test_bodies_that_are_no_json(server: Server, body: bytes) -> None:
    for method, path in (
        ("POST", "/api/v1/cameras"),
        ("PATCH", "/api/v1/cameras/cam"),
        ("POST", "/api/v1/probe"),
        ("POST", "/api/v1/tokens"),
    ):
        await server.error(method, path, 400, data=body)
        await server.error(method, path, 413, "too_large", data=body + b" " * 70_000)


async def test_headers_cannot_be_injected(server: Server) -> None:
    for text in ("a\r\nX-Evil: 1", "a\nb", 'a"b', "\x00"):
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": text[:80]})
        await server.error("POST", "/api/v1/cameras", 400, json={"id": text, "url": "push:"})
        for url in (f"http://10.0.0.1/{text}", f"http://10.0.0.1{text}/", text):
            async with server.client.post(server.url + "/api/v1/cameras", json={"url": url}) as response:
                assert "X-Evil" not in response.headers
                if '"' not in text or not url.startswith("http"):
                    assert response.status == 400, url
    await server.push(jpeg(1))
    async with server.client.get(server.url + "/api/v1/cameras/cam/snapshot.jpg") as response:
        assert "X-Evil" not in response.headers


# Everything that the reference describes, with random values


def random_requests(
    document: dict[str, Any], chance: random.Random, count: int
) -> Iterator[tuple[str, str, bytes, str]]:
    """Method, target, body and content type, made from an OpenAPI document."""
    texts = [
        "cam",
        "door",
        "x",
        "",
        "0",
        "1",
        "-1",
        "5",
        "320",
        "nan",
        "%00",
        "%ff",
        "a" * 300,
        "..",
        "%F0%9F%8E%A5",
        "*",
    ]
    bodies = [b"", b"{}", b"[]", jpeg(1), b"--x\r\n\r\n--x--\r\n", b'{"url": "mock:"}', b'{"key": "x"}', bytes(5000)]
    types = ["application/json", "image/jpeg", "multipart/form-data; boundary=x", "text/plain", "", "\xff"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for _ in range(count):
        method, path, operation = chance.choice(operations)
        target, query = path, []
        for parameter in operation.get("parameters", ()):
            value = chance.choice(texts)
            if parameter["in"] == "path":
                target = target.replace("{" + parameter["name"] + "}", value)
            elif chance.random() < 0.5:
                query.append(f"{parameter['name']}={value}")
        if chance.random() < 0.1:
            method = chance.choice(["get", "post", "put", "patch", "delete", "head", "options", "propfind"])
        target += "?" + "&".join(query) if query else ""
        yield method.upper(), target, chance.choice(bodies), chance.choice(types)


async def test_random_requests_made_from_the_reference(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.api.watch.SNAPSHOT_WAIT_S", 0.05)
    monkeypatch.setattr("framecast.service.api.sound.FIRST_CHUNK_S", 0.05)
    document = await watched.server.json("GET", "/api/openapi.json")
    chance = random.Random(8)
    statuses: Counter[int] = Counter()
    for method, target, body, content_type in random_requests(document, chance, 600):
        if method == "DELETE" and target.startswith("/api/v1/cameras"):
            continue
        if target.startswith("/api/v1/tokens") and method == "POST":
            continue
        head = f"{method} {target or '/'} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        if chance.random() < 0.05:
            head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
        status = await watched.says(data)
        assert status < 500 or status == 503, (status, data[:300])
        statuses[status] += 1
    assert statuses[0] < 100, "most are answered"
    assert {200, 400, 404, 405} <= set(statuses)
    await watched.goes_on()
