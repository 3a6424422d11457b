"""Writes the samples: ``python -m tests.data.generate`` from the top of the checkout.

Each is what a firmware's own source sends (docs/devices.md names them), with the pictures of ``frames/``. What must
come out is declared here by hand, never taken from our parsers. A test checks that the files are what this writes.
"""

from __future__ import annotations

import json
from typing import Any

from tests.data import FOLDER, frame
from tests.data.uploads import requests, websockets

B = "123456789000000000000987654321"
TASMOTA = "e8b8c539-047d-4777-a985-fbba6edff11e"
SMALL = ["small-0", "small-1", "small-2", "small-3"]

Entry = dict[str, Any]


def chunked(*pieces: bytes) -> bytes:
    """Each piece as an HTTP chunk, without the last one: devices never end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def part_head(jpeg: bytes, *, length: str | None = None, more: str = "", eol: str = "\r\n") -> bytes:
    """Header lines of a part, blank line included."""
    length = str(len(jpeg)) if length is None else length
    return f"Content-Type: image/jpeg{eol}Content-Length: {length}{eol}{more}{eol}".encode()


def head(content_type: str, *, version: str = "1.1", more: str = "", chunked: bool = False, eol: str = "\r\n") -> bytes:
    """Status line and headers of a stream's response."""
    coding = f"Transfer-Encoding: chunked{eol}" if chunked else ""
    return f"HTTP/{version} 200 OK{eol}Content-Type: {content_type}{eol}{coding}{more}{eol}".encode()


def espressif(bodies: list[bytes], *, stamps: list[float] | None = None, lengths: list[int] | None = None) -> bytes:
    """CameraWebServer: three chunks a frame, the boundary in front."""
    more = "Access-Control-Allow-Origin: *\r\nX-Framerate: 60\r\n"
    out = head(f"multipart/x-mixed-replace;boundary={B}", chunked=True, more=more)
    for at, body in enumerate(bodies):
        stamp = stamps[at] if stamps else 7.25 + 0.08 * at
        length = str(lengths[at]) if lengths else None
        line = f"X-Timestamp: {int(stamp)}.{int(stamp % 1 * 1_000_000):06d}\r\n"
        out += chunked(f"\r\n--{B}\r\n".encode(), part_head(body, more=line, length=length), body)
    return out


def easytarget(bodies: list[bytes]) -> bytes:
    """esp32-cam-webserver: as Espressif's, without stamps."""
    out = head(f"multipart/x-mixed-replace;boundary={B}", chunked=True, more="Access-Control-Allow-Origin: *\r\n")
    for body in bodies:
        out += chunked(f"\r\n--{B}\r\n".encode(), part_head(body), body)
    return out


def esphome(parts: list[bytes | None]) -> bytes:
    """HTTP/1.0, until the connection closes; None is the message that there are no frames."""
    more = "Access-Control-Allow-Origin: *\r\nConnection: close\r\n"
    out = head(f"multipart/x-mixed-replace;boundary={B}", version="1.0", more=more) + f"--{B}\r\n".encode()
    for part in parts:
        if part is None:
            out += f"Content-Type: text/plain\r\n\r\nNo frames send.\r\n--{B}\r\n".encode()
        else:
            out += part_head(part) + part + f"\r\n--{B}\r\n".encode()
    return out


def plain(
    bodies: list[bytes],
    *,
    announced: str = B,
    line: str = f"--{B}",
    eol: str = "\r\n",
    heads: list[bytes] | None = None,
    between: bytes = b"",
    first: bytes | None = None,
) -> bytes:
    """Neither length nor chunking; the boundary in front of each part, a line end behind it."""
    out = head(f"multipart/x-mixed-replace;boundary={announced}", eol=eol)
    for at, body in enumerate(bodies):
        begin = first if at == 0 and first is not None else f"{line}{eol}".encode()
        out += begin + (heads[at] if heads else part_head(body, eol=eol)) + body + between + eol.encode()
    return out


def m5stack(bodies: list[bytes]) -> bytes:
    """AtomS3R-CAM: chunked, the boundary behind each part and none in front of the first."""
    out = head(f"multipart/x-mixed-replace;boundary={B}", chunked=True)
    for body in bodies:
        out += chunked(part_head(body), body, f"\r\n--{B}\r\n".encode())
    return out


def tasmota_old(bodies: list[bytes]) -> bytes:
    """Older builds: the boundary behind each part and none in front of the first."""
    out = head(f"multipart/x-mixed-replace;boundary={TASMOTA}")
    for body in bodies:
        out += part_head(body) + body + f"\r\n--{TASMOTA}\r\n".encode()
    return out


def s60sc(bodies: list[bytes]) -> bytes:
    """ESP32-CAM_MJPEG2SD: the length padded to ten places."""
    out = head(f"multipart/x-mixed-replace;boundary={B}", chunked=True)
    for body in bodies:
        out += chunked(part_head(body, length=f"{len(body):10d}"), body, f"\r\n--{B}\r\n".encode())
    return out


def streams() -> dict[str, tuple[bytes, Entry]]:
    """Every stream with what must come out of it."""
    small = [frame(name) for name in SMALL]
    a, b, c, d = small
    frozen = f"\r\n--{B}\r\n".encode()
    bare = b"Content-Type: image/jpeg\r\n\r\n"
    all_good: Entry = {"frames": SMALL}
    out = {
        "espressif": (espressif(small), all_good),
        "espressif-qvga": (espressif([frame("qvga"), a]), {"frames": ["qvga", "small-0"]}),
        "espressif-truncated": (
            espressif([a, b[:-400], c]),
            {"frames": ["small-0", "small-2"], "refused": ["truncated"]},
        ),
        "espressif-frozen": (
            espressif([a, b[:700], c, d], lengths=[len(a), len(b), len(c), len(d)]),
            {"frames": ["small-0", "small-2", "small-3"], "faults": {"truncated": 1}},
        ),
        "espressif-padded": (
            espressif([a + bytes(64), b + b"\xff" * 9, c + d[-200:]]),
            {"frames": ["small-0", "small-1", "small-2"]},
        ),
        "espressif-corrupt": (
            espressif([a, frame("corrupt"), b]),
            {"frames": ["small-0", "corrupt", "small-1"], "corrupt": ["corrupt"]},
        ),
        "espressif-jumping": (espressif(small, stamps=[7.0, 7.1, 4294967.2, 0.1]), all_good),
        "espressif-refused": (
            espressif([a, b"\x00" * 300, b[2:], c]),
            {"frames": ["small-0", "small-2"], "refused": ["not_jpeg", "not_jpeg"]},
        ),
        "espressif-kinds": (
            espressif([frame("grey"), frame("progressive"), frame("restarts"), frame("comment")]),
            {"frames": ["grey", "progressive", "restarts", "comment"]},
        ),
        "espressif-thumbnails": (
            espressif([frame("thumbnail"), frame("bogus-exif"), a]),
            {"frames": ["thumbnail", "bogus-exif", "small-0"]},
        ),
        "easytarget": (easytarget(small), all_good),
        "easytarget-frozen": (
            easytarget([a, b]) + chunked(frozen, part_head(c)) + b"%x\r\n" % len(c) + c[:500],
            {"frames": ["small-0", "small-1"], "faults": {"truncated": 1}},
        ),
        "esphome": (esphome([*small]), {**all_good, "quirks": {"http10": 1}}),
        "esphome-no-frames": (
            esphome([None, a, None, None, b]),
            {
                "frames": ["small-0", "small-1"],
                "texts": ["No frames send."] * 3,
                "quirks": {"http10": 1, "text_part": 3},
            },
        ),
        "tasmota": (
            plain(small, announced=TASMOTA, line=f"--{TASMOTA}"),
            {**all_good, "quirks": {"no_length_no_chunking": 1}},
        ),
        "tasmota-old": (
            tasmota_old(small),
            {**all_good, "quirks": {"no_length_no_chunking": 1, "no_first_boundary": 1}},
        ),
        "m5stack": (m5stack(small), {**all_good, "quirks": {"no_first_boundary": 1}}),
        "m5stack-frozen": (
            head(f"multipart/x-mixed-replace;boundary={B}", chunked=True)
            + chunked(part_head(a), a, frozen, part_head(b), b[:600], frozen, part_head(c), c, frozen),
            {
                "frames": ["small-0", "small-2"],
                "quirks": {"no_first_boundary": 1},
                "faults": {"truncated": 1},
            },
        ),
        "s60sc": (
            s60sc(small),
            {**all_good, "quirks": {"no_first_boundary": 1, "padded_content_length": 4}},
        ),
    }
    odd = {
        "dashes": (
            plain(small, announced="--x", line="--x"),
            {**all_good, "quirks": {"boundary_with_dashes": 1}},
        ),
        "more-dashes": (plain(small, announced="--x", line="----x"), all_good),
        "dashes-no-length": (
            plain(small, announced="--x", line="--x", heads=[bare] * 4),
            {**all_good, "quirks": {"boundary_with_dashes": 1, "no_content_length": 4}},
        ),
        "doubled": (
            plain(small, first=f"--{B}\r\n--{B}\r\n".encode()),
            {**all_good, "quirks": {"doubled_boundary": 1}},
        ),
        "quoted": (plain(small, announced=f'"{B}"'), all_good),
        "unannounced": (
            plain(small).replace(f";boundary={B}".encode(), b"", 1),
            all_good,
        ),
        "other-boundary": (
            plain(small, announced="frame", line="--something-else"),
            {**all_good, "quirks": {"boundary_not_found": 1}},
        ),
        "no-space": (
            plain(small, heads=[f"Content-type:image/jpeg\r\nContent-length:{len(x)}\r\n\r\n".encode() for x in small]),
            all_good,
        ),
        "any-case": (
            plain(small, heads=[part_head(a).upper(), part_head(b).lower(), part_head(c).title(), part_head(d)]),
            all_good,
        ),
        "lf-only": (plain(small, eol="\n"), {**all_good, "quirks": {"lf_only": 5}}),
        "no-length": (
            plain([a, frame("thumbnail"), frame("progressive"), d], heads=[bare] * 4),
            {"frames": ["small-0", "thumbnail", "progressive", "small-3"], "quirks": {"no_content_length": 4}},
        ),
        "no-length-truncated": (
            plain([a, b[:500], c, d], heads=[bare] * 4),
            {
                "frames": ["small-0", "small-2", "small-3"],
                "quirks": {"no_content_length": 3},
                "faults": {"truncated": 1},
            },
        ),
        "no-length-padded": (
            plain(small, heads=[bare] * 4, between=b"\x00\x00\xff\x00\n\x00"),
            {**all_good, "quirks": {"no_content_length": 4}},
        ),
        "length-too-long": (
            plain(small, heads=[part_head(x, length=str(len(x) + 90)) for x in small]),
            {**all_good, "quirks": {"wrong_content_length": 4}},
        ),
        "length-a-little-too-long": (
            plain(small, heads=[part_head(x, length=str(len(x) + 20)) for x in small]),
            {**all_good, "quirks": {"wrong_content_length": 4}},
        ),
        "length-too-short": (
            plain(small, heads=[part_head(x, length=str(len(x) - 300)) for x in small]),
            {**all_good, "quirks": {"wrong_content_length": 4}},
        ),
        "length-huge": (
            plain(small, heads=[part_head(x, length="4294967295") for x in small]),
            {**all_good, "quirks": {"wrong_content_length": 4}},
        ),
        "length-negative": (
            plain(small, heads=[part_head(x, length="-1") for x in small]),
            {**all_good, "quirks": {"wrong_content_length": 4}},
        ),
        "length-zeros": (
            plain(small, heads=[part_head(x, length=f"{len(x):08d}") for x in small]),
            {**all_good, "quirks": {"padded_content_length": 4}},
        ),
        "garbage-between": (
            plain(small, between=bytes(range(256)) * 2),
            all_good,
        ),
        "preamble": (
            plain(small, first=f"This is a camera.\r\nWarning: hot\r\n\r\n--{B}\r\n".encode()),
            all_good,
        ),
        "closed-properly": (plain(small) + f"--{B}--\r\n".encode(), all_good),
        "folded-headers": (
            plain(small, heads=[part_head(x, more="X-Long: one\r\n two\r\nno colon\r\n") for x in small]),
            all_good,
        ),
        "raw-concatenated": (
            plain(small, heads=[b""] * 4),
            {**all_good, "quirks": {"no_content_length": 4}},
        ),
    }
    for name, (data, entry) in odd.items():
        quirks = {"no_length_no_chunking": 1, **entry.get("quirks", {})}
        out[f"odd-{name}"] = (data, {**entry, "quirks": quirks})
    return {f"{name}.http": value for name, value in out.items()}


def stills() -> dict[str, tuple[bytes, Entry]]:
    """Single pictures with their whole response."""
    a = frame("small-0")
    capture = (
        f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(a)}\r\n"
        "Content-Disposition: inline; filename=capture.jpg\r\nAccess-Control-Allow-Origin: *\r\n"
        "X-Timestamp: 12.345678\r\n\r\n"
    ).encode()
    snapshot = (
        b"HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=snapshot.jpg\r\nContent-type: image/jpeg\r\n\r\n"
    )
    closes = {"no_length_no_chunking": 1}
    return {
        "espressif-capture.http": (capture + a, {"frames": ["small-0"]}),
        "tasmota-snapshot.http": (snapshot + a, {"frames": ["small-0"], "quirks": closes}),
        "tasmota-snapshot-truncated.http": (snapshot + a[:600], {"refused": ["truncated"], "quirks": closes}),
    }


def build() -> dict[str, dict[str, tuple[bytes, Entry]]]:
    """All samples: by kind, then by file name, bytes and manifest entry."""
    return {"stream": streams(), "still": stills(), "request": requests(), "websocket": websockets()}


if __name__ == "__main__":
    manifest: dict[str, dict[str, Entry]] = {}
    for kind, group in build().items():
        (FOLDER / kind).mkdir(exist_ok=True)
        for stale in (FOLDER / kind).iterdir():
            if stale.name not in group:
                stale.unlink()
        for name, (data, _) in group.items():
            (FOLDER / kind / name).write_bytes(data)
        manifest[kind] = {name: entry for name, (_, entry) in group.items()}
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
