from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire.httprequest import request


def test_request() -> None:
    data = request("GET", "192.168.1.20:81", "/stream?x=1", {"Accept": "*/*"})
    assert data == b"GET /stream?x=1 HTTP/1.1\r\nHost: 192.168.1.20:81\r\nAccept: */*\r\n\r\n"
    assert request("POST", "a", body=b"hi", headers=[("X-A", "b")]).endswith(b"X-A: b\r\nContent-Length: 2\r\n\r\nhi")


@pytest.mark.parametrize(
    ("method", "host", "target", "headers"),
    [
        ("GET /", "a", "/", {}),
        ("", "a", "/", {}),
        ("GET", "", "/", {}),
        ("GET", "a\r\nX: y", "/", {}),
        ("GET", "a/b", "/", {}),
        ("GET", "a", "/x y", {}),
        ("GET", "a", "/\r\nX: y", {}),
        ("GET", "a", "/ä", {}),
        ("GET", "a", "stream", {}),
        ("GET", "a", "/", {"X\r\n": "y"}),
        ("GET", "a", "/", {"X": "y\r\nZ: w"}),
        ("GET", "a", "/", {"X": "y\n"}),
        ("GET", "a", "/", {"X": "\x00"}),
        ("GET", "a", "/", {"X:": "y"}),
    ],
)
def test_request_refuses_what_could_begin_another_line(
    method: str, host: str, target: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        request(method, host, target, headers)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_request_has_exactly_its_lines(host: str, target: str, name: str, value: str) -> None:
    try:
        data = request("GET", host, "/" + target, {name: value})
    except ValueError:
        return
    assert data.count(b"\r\n") == 4
    assert data.count(b"\n") == 4
    assert data.count(b"\r") == 4
