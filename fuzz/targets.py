"""The parsers, and what must hold for any input.

A target returns a small value that says how the input was taken; inputs that are taken in a new way are kept and
damaged further. It raises ``Broken`` when a property does not hold; any other exception is a finding too. It depends
on the input alone, so that a finding can be replayed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable, Iterator

import numpy as np

from framecast.vision.faces import photos
from framecast.wire import blockcode
from framecast.wire.errors import FormError, ProtocolError
from framecast.wire.form import parse_form, picture
from framecast.wire.http1 import MAX_HEAD_BYTES, Data, Event, Head, ResponseParser
from framecast.wire.httpauth import authorization, parse_challenges
from framecast.wire.httprequest import request
from framecast.wire.jpeg import EndFinder, Inspector, JpegError, verify_scan
from framecast.wire.media import HEADER_BYTES, MediaError, pack_header, unpack
from framecast.wire.multipart import MAX_LINE_BYTES, Parser, Part, boundary_of
from framecast.wire.wsframe import close_payload, server_frame, server_header
from fuzz import access, addresses, coded, datagrams, device, films, front, peers, sound
from fuzz.target import Broken, Target, pieces, require, silent

__all__ = ["TARGETS", "Broken", "Target"]

BOUNDARY = "123456789000000000000987654321"
PART_LIMIT = 3000
_SECRET = 'päss,"word'  # noqa: S105  (nobody's)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _multipart_once(boundary: str | None, chunks: Iterator[bytes]) -> tuple[list[Part], Parser]:
    parser = Parser(boundary, max_part_bytes=PART_LIMIT)
    parts: list[Part] = []
    for chunk in chunks:
        parts += parser.feed(chunk)
        bound = max(PART_LIMIT, MAX_LINE_BYTES) + len(chunk) + 16
        require(parser.buffered_bytes <= bound, f"{parser.buffered_bytes} bytes are held back")
    parts += parser.close()
    return parts, parser


def multipart(data: bytes) -> Hashable:
    """Parts do not depend on splits, and are made of the input's bytes."""
    boundary = (BOUNDARY, BOUNDARY, None, "x", "--x")[zlib.crc32(data[:40]) % 5]
    whole, parser = _multipart_once(boundary, iter((data,)))
    split, split_parser = _multipart_once(boundary, pieces(data))
    require(split == whole, "other parts when split")
    require(split_parser.quirks == parser.quirks, "other quirks when split")
    require(split_parser.faults == parser.faults, "other faults when split")
    require(sum(len(part.body) for part in whole) <= len(data), "more came out than went in")
    return (min(len(whole), 4), frozenset(parser.quirks), frozenset(parser.faults), boundary)


def form(data: bytes) -> Hashable:
    """Only FormError escapes, and the fields are made of the input's bytes."""
    content_type = f"multipart/form-data; boundary={BOUNDARY}" if zlib.crc32(data[:40]) % 4 else "multipart/form-data"
    try:
        fields = parse_form(data, content_type)
    except FormError as error:
        return error.cause
    require(sum(len(field.value) for field in fields) <= len(data), "more came out than went in")
    picture(fields)
    return (len(fields), *(bool(field.name) + 2 * bool(field.filename) for field in fields))


def _http1_once(chunks: Iterator[bytes], method: str) -> tuple[list[Event], bool, ResponseParser]:
    parser = ResponseParser(method)
    events: list[Event] = []
    sound = True
    try:
        for chunk in chunks:
            events += parser.feed(chunk)
            require(parser.buffered_bytes <= MAX_HEAD_BYTES + len(chunk), f"{parser.buffered_bytes} bytes held back")
        events += parser.eof()
    except ProtocolError:
        sound = False
    joined: list[Event] = []
    for event in events:
        if isinstance(event, Data) and joined and isinstance(joined[-1], Data):
            joined[-1] = Data(joined[-1].data + event.data)
        else:
            joined.append(event)
    return joined, sound, parser


def http1(data: bytes) -> Hashable:
    """Events do not depend on splits; only ProtocolError escapes."""
    method = "HEAD" if zlib.crc32(data[:40]) % 16 == 0 else "GET"
    whole, sound, parser = _http1_once(iter((data,)), method)
    split, split_sound, split_parser = _http1_once(pieces(data), method)
    require(split == whole, "other events when split")
    require(split_sound == sound, "an error only one way")
    require(not sound or split_parser.quirks == parser.quirks, "other quirks when split")
    return (tuple(type(event).__name__ for event in whole[:4]), sound, frozenset(parser.quirks))


def http_request(data: bytes) -> Hashable:
    """A request has the lines it was given, or none is built."""
    fields = (data.decode("latin-1") if data[:1] < b"\x80" else data.decode("utf-8", "replace")).split("|", 4)
    method, host, target, name, value = (fields + [""] * 5)[:5]
    try:
        built = request(method, host, target, {name: value})
    except ValueError:
        return "refused"
    require(built.count(b"\n") == built.count(b"\r") == 4, "a line was slipped in")
    require(built.endswith(b"\r\n\r\n") and built.count(b"\r\n\r\n") == 1, "the head has another end")
    return (len(method), bool(value))


_inspector = Inspector(max_bytes=20_000, max_pixels=1_000_000)


def jpeg(data: bytes) -> Hashable:
    """A remembered header changes nothing; what passes is a prefix that ends in EOI, wherever it was split."""
    remembered: tuple[object, bytes] | str
    fresh: tuple[object, bytes] | str
    try:
        remembered = _inspector.inspect(data)
    except JpegError as error:
        remembered = error.fault
    try:
        fresh = Inspector(max_bytes=20_000, max_pixels=1_000_000).inspect(data)
    except JpegError as error:
        fresh = error.fault
    require(remembered == fresh, "a remembered header changes the answer")
    end = -1
    if data.startswith(b"\xff\xd8"):
        whole = EndFinder()
        end = whole.find(data, 0, len(data))
        split, found, stop = EndFinder(), -1, 0
        for piece in pieces(data):
            stop += len(piece)
            found = split.find(data, 0, stop)
            if found >= 0:
                break
        require((found, split.interrupted) == (end, whole.interrupted), "another end when split")
    if isinstance(fresh, str):
        return fresh
    header, image = fresh
    require(data.startswith(image) and image.endswith(b"\xff\xd9"), "not a prefix that ends in EOI")
    require(end == len(image), f"the end is at {len(image)} and at {end}")
    return (len(image) == len(data), str(header).partition("scan_offset")[0][-60:])


def scan(data: bytes) -> Hashable:
    """What the inspector lets through decodes or is refused, and the decoder survives."""
    try:
        _, image = Inspector(max_bytes=20_000, max_pixels=300_000).inspect(data)
        verify_scan(image)
    except JpegError as error:
        return (error.fault, str(error)[14:40])
    return "sound"


def photo(data: bytes) -> Hashable:
    """Only BadPhoto escapes, the decoder survives, and what it gives is no larger than what is looked at."""
    try:
        with silent():
            image = photos.read(data)
    except photos.BadPhoto as error:
        return (error.code, str(error)[:24])
    require(image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8, "no picture in colour")
    require(max(image.shape) <= photos.LONGEST_PX, "a picture that is too large")
    return (data[:2], min(image.shape[:2]) < 8)


def stream(data: bytes) -> Hashable:
    """The whole way of a pulled stream gives the same pictures however it was split."""

    def read(chunks: Iterator[bytes]) -> tuple[list[Hashable], bool]:
        response = ResponseParser()
        inspector = Inspector(max_bytes=20_000)
        parser: Parser | None = None
        out: list[Hashable] = []

        def take(parts: list[Part]) -> None:
            for part in parts:
                try:
                    out.append(inspector.inspect(part.body)[1])
                except JpegError as error:
                    out.append(error.fault)

        sound = True
        try:
            for chunk in chunks:
                for event in response.feed(chunk):
                    if isinstance(event, Head):
                        parser = Parser(boundary_of(event.get("content-type")), max_part_bytes=PART_LIMIT)
                        out.append(event.status)
                    elif isinstance(event, Data) and parser is not None:
                        take(parser.feed(event.data))
            response.eof()
        except ProtocolError:
            sound = False
        if parser is not None:
            take(parser.close())
        return out, sound

    whole, sound = read(iter((data,)))
    require((whole, sound) == read(pieces(data)), "other pictures when split")
    return (sound, len(whole), frozenset(item for item in whole if isinstance(item, str)))


def media(data: bytes) -> Hashable:
    """Only MediaError escapes, and what is read writes the same header."""
    try:
        message = unpack(data)
    except MediaError as error:
        return str(error)[:10]
    packed = pack_header(
        kind=message.kind,
        codec=message.codec,
        key=message.key,
        camera=message.camera,
        width_px=message.width_px,
        height_px=message.height_px,
        epoch=message.epoch,
        frame_id=message.frame_id,
        pts_ns=message.pts_ns,
        init=message.init,
        sample_rate_hz=message.sample_rate_hz,
        channels=message.channels,
    )
    mended = data[:3] + bytes((data[3] & 3,)) + data[4:10] + b"\x00\x00" + data[12:]
    require(packed + message.payload == mended, "it is written otherwise than it was read")
    require(len(message.payload) == len(data) - HEADER_BYTES, "the payload lost bytes")
    return (message.kind, message.codec, message.key, message.init)


def wsframe(data: bytes) -> Hashable:
    """A frame says its own length; only ValueError escapes."""
    opcode = data[0] if data else 2
    try:
        frame = server_frame(opcode, data)
        code = int.from_bytes(data[:2], "big")
        control = server_frame(8, close_payload(code, data[2:].decode("utf-8", "replace")))
        require(len(control) <= 127, "a close frame is too long")
    except ValueError:
        return "refused"
    head = server_header(opcode, len(data))
    length = head[1]
    if length == 126:
        length = int.from_bytes(head[2:4], "big")
    elif length == 127:
        length = int.from_bytes(head[2:10], "big")
    require(frame == head + data and length == len(data) and head[0] == 0x80 | opcode, "the frame lies")
    return (opcode, len(head))


def httpauth(data: bytes) -> Hashable:
    """No header raises, and no answer begins another line."""
    text = data.decode("latin-1")
    challenges = parse_challenges(text)
    value = authorization(text, user='us"er', password=_SECRET, method="GET", target="/a?b", cnonce="c0ffee")
    require(value is None or not _CONTROL.search(value), "a control character in the answer")
    return (tuple(sorted({challenge.scheme for challenge in challenges})[:3]), value is not None and value[:6])


def code(data: bytes) -> Hashable:
    """Any picture gives a code or none; a damaged one gives none or what was drawn."""
    plane = np.zeros((48, 160), np.uint8)
    if len(data) >= 16:
        blockcode.draw(plane, int.from_bytes(data[:6], "big"), int.from_bytes(data[6:13], "big"))
        drawn = blockcode.read(plane)
        require(drawn is not None, "a code just drawn can't be read")
        damage = np.frombuffer(data[13:][:7680], np.uint8)
        plane.reshape(-1)[: len(damage)] ^= damage
        found = blockcode.read(plane)
        return (found is None, found == drawn)
    plane.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    return blockcode.read(plane) is None


_B = BOUNDARY.encode()
_HTTP = (b"\r\n", b"\n", b"\r", b": ", b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"Content-Length: ", b"0", b" ", b";")
_CHUNKS = (b"0\r\n\r\n", b"5\r\n", b"a;x=y\r\n", b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n")
_JPEG = (
    *(b"\xff\xd8", b"\xff\xd9", b"\xff\xd8\xff", b"\xff\xda\x00\x08", b"\xff\xc0\x00\x0b", b"\xff\xc4\x00\x04"),
    *(b"\xff\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xe1\x00\x08", b"\xff\xfe\xff\xff", b"\xff\xdd\x00\x04\x00\x01"),
    b"\xff\xdc\x00\x04",
)
_PNG = (
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"iCCP", b"eXIf"),
    *(b"\0\0\0\x0d", b"\0\0\x0f\xa0", b"\x10\x06\0\0\0"),
)
_PARTS = (
    *(b"--" + _B, b"\r\n--" + _B + b"\r\n", b"--" + _B + b"--\r\n", b"--x", b"----x\r\n", b"--other\r\n"),
    *(b"\r\n", b"\n", b"--", b"Content-Type: image/jpeg\r\n", b"Content-Type: text/plain\r\n", b"\r\n\r\n"),
    *(b"Content-Length: 40\r\n", b"Content-Length:    0060\r\n", b"Content-Length: 4294967295\r\n"),
    b"X-Timestamp: 1.5\r\n\r\n",
)
_FORM = (b'Content-Disposition: form-data; name="frame"; filename="a"\r\n', b"name=", b'"', b"\r\n\r\n", b"--\r\n")
_AUTH = (
    *(b"Digest ", b"Basic ", b'realm="', b'nonce="n"', b",", b", ", b"qop=auth", b'qop="auth,auth-int"', b'"', b"\\"),
    *(b"algorithm=SHA-256", b"algorithm=MD5-sess", b'opaque="', b"=", b"==", b" "),
)

TARGETS = {
    target.name: target
    for target in (
        Target("multipart", multipart, _PARTS + _JPEG[:6], base_s=0.03, per_byte_s=30e-6),
        Target("form", form, _PARTS[:9] + _FORM),
        Target("http1", http1, _HTTP + _CHUNKS, per_byte_s=15e-6),
        Target(
            "request",
            http_request,
            (b"|", b"\r\n", b"\n", b"/", b"GET", b":", b" ", b"\xc3\xa4", b"http://"),
        ),
        Target("jpeg", jpeg, _JPEG, per_byte_s=15e-6),
        Target("photo", photo, _JPEG + _PNG, base_s=1.5, per_byte_s=50e-6),
        Target("scan", scan, _JPEG, base_s=0.1, per_byte_s=50e-6),
        Target("stream", stream, _PARTS + _HTTP + _CHUNKS + _JPEG[:4], ("stream",), base_s=0.03, per_byte_s=40e-6),
        Target("media", media),
        Target("wsframe", wsframe),
        Target("httpauth", httpauth, _AUTH),
        Target("blockcode", code, base_s=0.05),
        *coded.TARGETS,
        *sound.TARGETS,
        *peers.TARGETS,
        *access.TARGETS,
        *addresses.TARGETS,
        *front.TARGETS,
        *device.TARGETS,
        *films.TARGETS,
        *datagrams.TARGETS,
    )
}
