"""Devices that push with Nagle's algorithm on, as small TCP stacks have it, beside the same with it off."""

from __future__ import annotations

import http.client
import socket
import time
from urllib.parse import urlsplit

from bench.parts import PICTURES, Pace, Product
from bench.pictures import pictures
from bench.results import Measure, Result, middle

PIECE_BYTES = 1024
PICTURES_SENT = 40


def run(pace: Pace) -> Result:
    """Target: at most twice the time, and 2 ms; a server that leaves acknowledging to the kernel needs 42 ms."""
    result = Result("nagle", pace.quick)
    jpeg = pictures(PICTURES, 9_000, 1, 320, 240)[0].read_bytes()
    with Product({"cam": "push:"}) as product:
        where = urlsplit(product.viewer_url())
        on = _post(where.hostname or "", where.port or 0, jpeg, nagle=True)
        off = _post(where.hostname or "", where.port or 0, jpeg, nagle=False)
    result.raw["ms"] = {"nagle": on, "nodelay": off}
    slow_ms, fast_ms = middle(on), middle(off)
    result.measures.append(
        Measure(
            "9 KB pushed in 1 KB pieces with Nagle's algorithm on, beside off",
            f"{slow_ms:.1f} ms",
            f"{fast_ms:.1f} ms",
            f"{slow_ms / fast_ms:.2f}",
            "≤ 2 x + 2 ms",
            slow_ms <= 2 * fast_ms + 2,
        )
    )
    return result


def _post(host: str, port: int, jpeg: bytes, *, nagle: bool) -> list[float]:
    """Milliseconds from a request's first byte to its answer."""
    head = (
        f"POST /api/v1/cameras/cam/frames HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    ).encode()
    taken_ms = []
    with socket.create_connection((host, port)) as device:
        device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(not nagle))
        for _ in range(PICTURES_SENT):
            began = time.perf_counter()
            device.sendall(head)
            for at in range(0, len(jpeg), PIECE_BYTES):
                device.sendall(jpeg[at : at + PIECE_BYTES])
            response = http.client.HTTPResponse(device)
            response.begin()
            response.read()
            taken_ms.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
    return taken_ms
