"""Writes the stored corpus, ``corpus/<target>/``: ``python -m fuzz.seeds``. Small on purpose: small inputs are fast."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from aioice import stun
from tests.data import frame, samples
from tests.wire.test_sdp import OFFER

from framecast.wire import aac, amf, fmp4, h264, mpegts, pcm, rtmp, wav
from framecast.wire.media import pack_header
from fuzz import datagrams, device, films
from fuzz.addresses import READERS
from fuzz.targets import BOUNDARY, TARGETS

CORPUS = Path(__file__).parent / "corpus"

B = BOUNDARY.encode()
TINY = bytes.fromhex("ffd8 ffe00004aabb ffc0000b0800100010 01011100 ffda0008 0101 00003f00 12ff0034ffd056 ffd9")
OTHER = bytes.fromhex(
    "ffd8 ffe10008ffd8ffd900ff ffc2000b0800200010 01011100 ffda0008 0101 00003f00 11"
    "ffc40004ffd9 ffda0008 0101 00003f00 77 ffd9"
)
SPS, PPS = bytes.fromhex("6742c00bda0a3684000003000400000300f23c50aa80"), bytes.fromhex("68ce023c80")
HIGH_SPS = bytes.fromhex("67640015acd9429b42000003000200000300793e28532c")  # interlaced


def part(body: bytes, *lines: str, eol: str = "\r\n", boundary: bytes = B) -> bytes:
    """A part of a stream, its boundary in front."""
    head = "".join(line + eol for line in lines) + eol
    return b"\r\n--" + boundary + eol.encode() + head.encode() + body


def seeds() -> dict[str, list[bytes]]:
    """All stored inputs by target."""
    kind = "Content-Type: image/jpeg"
    long = f"Content-Length: {len(TINY)}"
    good = part(TINY, kind, long)
    multipart = [
        good * 3,
        part(TINY, kind) + part(OTHER, kind) + b"\r\n--" + B + b"--\r\n",
        part(TINY[:30], kind, long) + good,
        part(TINY, kind, "Content-Length: 20") + part(OTHER, kind, f"Content-Length: {len(OTHER) + 70}") + good,
        part(b"No frames send.", "Content-Type: text/plain") + good,
        part(TINY, kind, f"Content-Length: {len(TINY):10d}", eol="\n") * 2,
        part(TINY, kind, long, boundary=b"x") + part(TINY, kind, boundary=b"--x"),
        f"{kind}\r\n{long}\r\n\r\n".encode() + TINY + good + TINY + OTHER,
        part(TINY + bytes(30), kind, f"Content-Length: {len(TINY) + 30}") + b"junk\r\n" + good,
    ]
    disposition = b'Content-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    fields = [
        (b"device_id", b"", b"door"),
        (b"frame", b'; filename="a.jpg"\r\nContent-Type: image/jpeg', TINY),
        (b"timestamp", b"", b"12345"),
    ]
    form = b"".join(b"--%b\r\n" % B + disposition % field for field in fields) + b"--%b--\r\n" % B
    chunk = b"%x\r\n%b\r\n"
    http = [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\nConnection: close\n\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk % (5, b"hello") * 2 + b"0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200 OK\r\nA : b\r\n\r\nx",
    ]
    streams = []
    for body in multipart[:5]:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=%b\r\n" % B
        pieces = [body[at : at + 90] for at in range(0, len(body), 90)]
        streams += [
            head + b"\r\n" + body,
            head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunk % (len(piece), piece) for piece in pieces),
        ]
    small = [frame(name) for name in ("small-0", "grey", "progressive", "restarts", "thumbnail", "corrupt")]
    digest = b'Digest realm="a@b", qop="auth,auth-int", algorithm=%b, nonce="7ypf/xlj9X", opaque="FQ\\"he"'
    media = [pack_header(camera=3, frame_id=9, pts_ns=10**18, epoch=1, kind=kind) + b"payload" for kind in (1, 2, 3)]
    media += [
        pack_header(camera=3, frame_id=9, pts_ns=1, kind=1, codec=2, key=False, width_px=640, height_px=480)
        + b"\0\0\0\1",
        pack_header(camera=3, frame_id=9, pts_ns=1, kind=2, codec=3, sample_rate_hz=48_000, channels=2) + bytes(8),
        pack_header(camera=3, frame_id=0, pts_ns=1, kind=4, codec=4, init=True) + b"\0\0\0\x08ftyp",
        pack_header(camera=0, frame_id=0, pts_ns=0, kind=5, codec=0, key=False) + bytes(40),
    ]
    return {
        "multipart": multipart,
        "form": [form, form.replace(b"\r\n", b"\n"), b"--" + B + b"\r\n\r\nx\r\n--" + B + b"--"],
        "http1": http,
        "request": [b"GET|192.168.1.20:81|/stream?x=1|Accept|*/*", b"POST|a|http://b/|X-A|b"],
        "jpeg": [TINY, OTHER, TINY + bytes(9), TINY[:20] + OTHER, frame("grey")],
        "scan": small,
        "stream": streams,
        "media": media,
        "wsframe": [b"\x02" + bytes(10), b"\x01" + b"x" * 130, struct.pack("!H", 1001) + b"bye", bytes(70_000)[:8000]],
        "httpauth": [
            b'Basic realm="x"',
            digest % b"MD5",
            digest % b"SHA-256" + b", " + digest % b"MD5-sess" + b', Basic realm="y", NTLM abc==',
            b'Digest realm=x,nonce="y"',
        ],
        **coded(),
        **sound(),
        **peers(),
        **access(),
        **addresses(),
        "front": fronts(),
        "stun": checks(),
        "device": devices(streams),
        "film": films.seeds(),
        "photo": [*small, png()],
        "blockcode": [bytes(range(13)) + bytes(20), b"\xff" * 40, bytes(range(16)), samples("still")[0].data[-600:]],
    }


def access() -> dict[str, list[bytes]]:
    """Those of what comes before anybody is let in."""
    return {
        "forwarded": [
            b"192.0.2.1, 10.0.0.2\nhttps\ncams.example:8443\n/cams\nlocalhost:8080",
            b"[2001:db8::1]:8080\nhttp\n\n/a/b/",
            b"unknown, 203.0.113.7:99\nwss, http\nx, y",
        ],
        "credential": [b"Bearer fc_x|fc_y", b"Basic YW5uOmZjX3g=|", b"|", b"basic !|key"],
        "link": [b"WyJ1c2VyOmFubiIsIiIsIjEiLDFd.c2lnbmVk", b".", b"x" * 1001],
        "backup": [b"", bytes(range(30)), b"\xff\xff\x00" * 20],
        "cloudlog": [
            b"2026-08-01T10:00:00Z INF |  https://quiet-word-here.trycloudflare.com  |",
            b"2026-08-01T10:00:00Z INF Registered tunnel connection connIndex=0 connection=x ip=198.51.100.1",
            b'2026-08-01T10:00:00Z ERR failed to serve tunnel connection error="timeout" connIndex=2',
            b"2026-08-01T10:00:00Z INF Starting metrics server on 127.0.0.1:20241/metrics",
            b"cloudflared has no such flag",
        ],
    }


def coded() -> dict[str, list[bytes]]:
    """Those of coded media."""
    sets = h264.ParameterSets(SPS, (PPS,))
    picture = h264.join([b"\x09\xf0", SPS, PPS, b"\x06\x05\x01\x00\x80", b"\x65\x88\x84" + bytes(range(40))])
    later = h264.join([b"\x41\x9a" + bytes(range(1, 60)), b"\x41\x9b" + bytes(range(9, 30))])
    frames = b"".join(aac.adts(bytes(range(size)), 16_000, 1) for size in (5, 40, 1))
    video = fmp4.TrackRun(
        1, 90_000, [fmp4.Sample(h264.to_avcc(picture), 3000), fmp4.Sample(b"\x00\x00\x00\x01A", 3, False)]
    )
    sound = fmp4.TrackRun(2, 1 << 40, [fmp4.Sample(b"sound", 1024, True, -3)])
    return {
        "h264": [picture, later, picture + later, picture.replace(h264.START_CODE, b"\x00\x00\x01")],
        "avcc": [h264.avcc(sets), h264.to_avcc(picture, parameter_sets=True), SPS, HIGH_SPS],
        "aac": [frames, b"\x14\x08", aac.specific_config(12_345, 2)],
        "fmp4": [
            fmp4.fragment(1, [video]),
            fmp4.fragment(2, [video, sound]),
            fmp4.init_segment(fmp4.VideoTrack(sets), None),
        ],
        "hls": [
            b"_HLS_msn=1790000003&_HLS_part=2",
            b"_HLS_msn=1790000001",
            b"_HLS_part=1",
            b"seg-1790000002-00000000.ts",
        ],
        "mpegts": [picture, later, b"\xff" + picture + later, mpegts.Muxer().video(picture, 0, key=True)],
    }


def sound() -> dict[str, list[bytes]]:
    """Those of sound."""
    samples = bytes(range(64))
    stereo = b"fmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
    extensible = b"fmt \x28\0\0\0" + struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8_000, 16_000, 2, 16, 22, 16, 4, 1)
    extensible += bytes.fromhex("000000001000800000aa00389b71")
    riff = b"RIFF\xff\xff\xff\xffWAVE"
    return {
        "pcm": [
            pcm.pack_tag(16_000, 1, 7) + samples,
            pcm.pack_tag(48_000, 2) + samples,
            b"16000\n2\n4294967295\n",
            b"1700000000.123456\n1\n18446744073709551615",
        ],
        "soundbody": [
            samples,
            wav.endless_header(8_000, 2) + samples,
            b'--x\r\nContent-Disposition: form-data; name="audio"\r\n\r\n' + samples + b"\r\n--x--\r\n",
            b'--x\r\nContent-Disposition: form-data; name="chunk"\r\n\r\n\1\2\r\n--x--\r\n',
        ],
        "wav": [
            wav.endless_header(16_000, 1) + samples,
            riff + b"LIST\x05\0\0\0abcde\0" + stereo + b"data\x20\0\0\0" + samples,
            riff + extensible + b"data\0\0\0\0" + samples,
        ],
    }


def peers() -> dict[str, list[bytes]]:
    """Those of WebRTC's peers and of servers that are pushed to."""
    offer = OFFER.encode()
    video = offer.partition(b"m=audio")[0]
    fragment = b"a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg12\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    candidate = b"a=candidate:1 1 udp 2113937151 192.168.1.5 5000 typ host\r\n"
    report = struct.pack(">BBHIIB3sIIII", 0x81, 201, 7, 1, 7, 64, b"\0\0\3", 9, 21, 5, 6)
    nack = struct.pack(">BBHIIHH", 0x81, 205, 3, 1, 7, 10, 0x8001)
    pli = struct.pack(">BBHII", 0x81, 206, 2, 1, 7)
    fir = struct.pack(">BBHIIIB3x", 0x84, 206, 4, 1, 0, 8, 1)
    remb = struct.pack(">BBHII4sB3sI", 0x8F, 206, 5, 1, 0, b"REMB", 1, b"\x0a\xdc\x6c", 7)
    status = {"level": "status", "code": "NetStream.Publish.Start"}
    told = (
        amf.write("_result", 1, {"fmsVer": "x"}),
        amf.write("_result", 4, None, 1),
        amf.write("onStatus", 0, None, status),
    )
    chunks = [rtmp._message(3, rtmp.COMMAND, 0, 0, each, 128) for each in told]
    control = [rtmp._message(2, kind, 0, 0, bytes((0, 6, 0, 0, 16, 0))) for kind in (1, 2, 4, 5, 6)]
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 12345;timeout=60\r\nContent-Length: 3\r\n\r\nabc"
    asked = b"OPTIONS rtsp://192.0.2.7/door RTSP/1.0\r\nCSeq: 9\r\nSession: 12345\r\n\r\n"
    return {
        "sdp": [offer, video, offer.replace(b"\r\n", b"\n"), video[:400]],
        "sdpfragment": [fragment + candidate + b"a=end-of-candidates\r\n", candidate],
        "rtcp": [report + nack + pli, fir + remb, pli + struct.pack(">BBHI", 0x81, 203, 1, 1)],
        "rtmp": [b"".join(chunks), chunks[0] + b"".join(control), b"".join(control[1:]) + chunks[2]],
        "amf": [told[2], b"\x08\0\0\0\1\0\1a\5\0\0\x09\x0a\0\0\0\2\1\1\6\x0b" + bytes(10) + b"\x0c\0\0\0\2hi"],
        "rtsp": [
            *(answer, b"$\1\0\4rtcp" + answer * 2, answer.replace(b"200 OK", b"401 No").replace(b"3\r", b"0\r")),
            asked + answer + asked.replace(b"OPTIONS", b"PAUSE"),
        ],
    }


def addresses() -> dict[str, list[bytes]]:
    """Where cameras and people lead."""
    login = b"ann:s3cret@192.0.2.7"
    texts = [
        *(b"http://" + login + b":81/stream?pwd=hidden", b"rtsp://" + login + b"/live", b"rtmp://192.0.2.7/app/key"),
        *(b"whip+https://:token@cam.local/x", b"https://:hush@hooks.example/a/b", b"mqtts://broker.example:8883"),
        *(b"home/cams", b"mailto:ann@example.org", b"turn:" + login + b":3478?transport=tcp", b"[::1]:5000", b"/cams"),
        *(b"localhost:5000", b"file:/films/a.mp4", b"v4l2:/dev/video0?width=640&height=480&fps=15&format=mjpeg"),
    ]
    readers = range(len(READERS))
    return {
        "redirect": [
            *(b"/stream", b"http://192.0.2.7:81/x?y=1", b"//evil.example/x"),
            b"https://bob:other@[2001:db8::1]:8443/a b",
        ],
        "address": [bytes((number,)) + text for text in texts for number in readers if _takes(number, text)],
    }


def _takes(number: int, text: bytes) -> bool:
    try:
        READERS[number][0](text.decode())
    except ValueError:
        return False
    return True


def devices(streams: list[bytes]) -> list[bytes]:
    """Cameras that send their client on, ask for a password, or give one picture at a time."""
    away = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    who = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="x", nonce="y", qop="auth"\r\nContent-Length: 0\r\n\r\n'
    stamp = b"X-Timestamp: 12.5\r\n"
    still = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n%bContent-Length: %d\r\n\r\n%b"
    small = frame("small-0")
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
    return [
        _one_by_one(away, streams[0]),
        _one_by_one(who, streams[1]),
        _one_by_one(*(still % (stamp, len(small), small) for _ in range(3))),
        _one_by_one(who, still % (b"", len(TINY), TINY)),
        page,
    ]


def checks() -> list[bytes]:
    """Checks of a path, and what is none; each begins with how it is sent."""
    asking = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, b"t" * 12)
    asking.attributes["USERNAME"] = f"{datagrams.USER}:{datagrams.THEIRS}"
    asking.attributes["PRIORITY"] = 1
    asking.attributes["ICE-CONTROLLING"] = 1 << 60
    asking.attributes["USE-CANDIDATE"] = None
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, b"t" * 12)
    answer.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.1", 4000)
    error = stun.Message(stun.Method.BINDING, stun.Class.ERROR, b"t" * 12)
    error.attributes["ERROR-CODE"] = (487, "Role Conflict")
    plain = [bytes(each) for each in (asking, answer, error)]
    asking.add_message_integrity(datagrams.PASSWORD.encode())
    others = [bytes(asking), b"\x80\xc8" + bytes(26), b"\x16\xfe\xfd" + bytes(40), bytes(1600)]
    return [bytes((way,)) + each for each in plain + others for way in (0, 3, 7)]


def _one_by_one(*answers: bytes) -> bytes:
    return device.NEXT.join(answers)


def fronts() -> list[bytes]:
    """Requests of a client of the server, with a token."""
    host = b"Host: localhost\r\nAuthorization: Bearer $KEY\r\n"
    upgrade = (
        b" HTTP/1.1\r\n" + host + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    def get(path: bytes, more: bytes = b"") -> bytes:
        return b"GET " + path + b" HTTP/1.1\r\n" + host + more + b"\r\n"

    def post(path: bytes, kind: bytes, body: bytes) -> bytes:
        head = b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        return b"POST " + path + b" HTTP/1.1\r\n" + host + head + body

    def said(text: bytes, opcode: int = 1) -> bytes:  # masked by nothing, so that damage stays readable
        size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        return bytes((0x80 | opcode,)) + size + bytes(4) + text

    door = b"/api/v1/cameras/door"
    picture = frame("small-0")
    fields = b'--x\r\nContent-Disposition: form-data; name="frame"\r\n\r\n' + picture + b"\r\n--x--\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(picture), picture)
    return [
        get(b"/") + get(b"/healthz") + get(door),
        get(door + b"/stream.mjpeg?fps=5"),
        get(door + b"/snapshot.jpg", b"If-None-Match: x\r\nRange: bytes=0-9\r\n"),
        get(door + b"/audio.pcm") + get(b"/api/v1/stats"),
        get(b"/stream?camera=door&key=$KEY") + get(b"/api/v1/events?limit=5&before=01J00000000000000000000000"),
        post(door + b"/frames", b"image/jpeg", picture) * 2,
        post(door + b"/frames", b"multipart/form-data; boundary=x", fields),
        post(door + b"/audio", b"audio/L16;rate=16000", bytes(512)),
        post(b"/api/v1/session", b"application/json", b'{"name": "ann", "password": "a few words"}'),
        b"PUT " + door + b"/frames HTTP/1.1\r\n" + host + chunks,
        b"OPTIONS " + door + b" HTTP/1.1\r\n" + host + b"Origin: http://a.example\r\n\r\n",
        b"HEAD / HTTP/1.0\r\n" + host + b"Connection: keep-alive\r\n\r\n",
        b"GET " + door + b"/publish" + upgrade + said(picture, 2) + said(b"{}") + said(b"\x03\xe8", 8),
        b"GET /api/v1/ws"
        + upgrade
        + said(b'{"type": "subscribe", "cameras": [{"id": "door", "fps": 5, "width": 320}]}')
        + said(b'{"type": "stats", "interval_s": 1}')
        + said(b'{"type": "ping", "t": 1}'),
        b"GET /api/v1/ws"
        + upgrade
        + said(b'{"type": "detections", "cameras": ["door"]}')
        + said(b'{"type": "ack", "camera": 1, "frame": 2}')
        + said(b'{"type": "unsubscribe", "cameras": ["*"]}')
        + said(b"x", 9),
    ]


def png() -> bytes:
    """A photo of four px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(range(6)) + b"\1" + bytes(range(6)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


if __name__ == "__main__":
    assert seeds().keys() == TARGETS.keys()
    for name, inputs in seeds().items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / f"{number:02d}.bin").write_bytes(data)
