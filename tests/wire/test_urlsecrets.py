from __future__ import annotations

import pytest

from framecast.wire.urlsecrets import is_secret, masked_location, masked_path, masked_query


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("user=a&pwd=b", "user=a&pwd=***"),
        ("loginuse=a&loginpas=b&x=1", "loginuse=a&loginpas=***&x=1"),
        ("access_token=b", "access_token=***"),
        ("PASSWORD=b%26c&channel=1", "PASSWORD=***&channel=1"),
        ("width=640&monkey", "width=640&monkey"),
        ("", ""),
    ],
)
def test_a_query_tells_no_secrets(query: str, masked: str) -> None:
    assert masked_query(query) == masked
    assert [field for field in query.split("&") if is_secret(field)] == [
        field for field in query.split("&") if field not in masked.split("&")
    ]


def test_a_path_that_is_a_query_tells_none_either() -> None:
    assert masked_path("/user=admin_password=pw_channel=1.sdp") == "/user=admin_password=***"
    assert masked_path("/user=admin&password=pw&channel=1") == "/user=admin&password=***&channel=1"
    assert masked_path("/stream/keys/door") == "/stream/keys/door"


@pytest.mark.parametrize(
    ("location", "masked"),
    [
        ("rtsp://me:pw@10.0.0.5/live?channel=1&pwd=x", "rtsp://***@10.0.0.5/live?channel=1&pwd=***"),
        ("http://me:p?w/@cam]/", "http://***@cam]/"),
        ("//[x]/password=pw/a#token=x", "//[x]/password=***/a#token=***"),
        ("me:pw@[x", "***@[x"),
        ("ftp://10.0.0.5/stream", "ftp://10.0.0.5/stream"),
    ],
)
def test_what_is_no_address_tells_no_secrets_either(location: str, masked: str) -> None:
    assert masked_location(location) == masked
