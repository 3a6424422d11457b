from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire.errors import ProtocolError
from framecast.wire.httpauth import Challenge, authorization, basic, digest, parse_challenges

RFC7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def answer(header: str, *, cnonce: str = CNONCE, password: str = "Circle of Life", count: int = 1) -> str:
    value = authorization(
        header, user="Mufasa", password=password, method="GET", target="/dir/index.html", cnonce=cnonce, count=count
    )
    assert value is not None
    return value


def response_of(value: str) -> str:
    found = re.search(r'response="([0-9a-f]+)"', value)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    value = answer(RFC7616.format(algorithm))
    assert response_of(value) == response
    for part in ('username="Mufasa"', "qop=auth", "nc=00000001", f"algorithm={algorithm}", 'uri="/dir/index.html"'):
        assert part in value


def test_rfc_2617_section_3_5() -> None:
    header = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    value = answer(header, cnonce="0a4f113b", password="Circle Of Life")
    assert response_of(value) == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in value


def test_without_qop() -> None:
    """RFC 2069's form; the value is RFC 2617's for the same secret, worked out by its section 3.2.2.1."""
    header = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    value = answer(header, password="Circle Of Life")
    assert response_of(value) == "670fd8c2df070c60b045671b8b24ff02"
    assert "nc=" not in value
    assert "cnonce" not in value


def test_session_algorithms_use_both_nonces() -> None:
    first = response_of(answer(RFC7616.format("MD5-sess")))
    assert first != response_of(answer(RFC7616.format("MD5")))
    assert first != response_of(answer(RFC7616.format("MD5-sess"), cnonce="other"))
    assert "algorithm=MD5-sess" in answer(RFC7616.format("MD5-sess"))


def test_the_count_is_hexadecimal() -> None:
    assert "nc=000000ff" in answer(RFC7616.format("MD5"), count=255)


def test_basic() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="
    for user, password in (("a:b", "c"), ("a\n", "b"), ("a", "b\r")):
        with pytest.raises(ValueError, match="Basic"):
            basic(user, password)


def test_several_challenges_in_one_header() -> None:
    header = 'Basic realm="a, Digest b", NTLM abc==, Digest realm=x, nonce="n\\"q", qop=auth ,Negotiate'
    assert parse_challenges(header) == [
        Challenge("basic", {"realm": "a, Digest b"}),
        Challenge("ntlm", {}),
        Challenge("digest", {"realm": "x", "nonce": 'n"q', "qop": "auth"}),
        Challenge("negotiate", {}),
    ]


def test_the_strongest_answer_is_chosen() -> None:
    both = f'Basic realm="x", {RFC7616.format("MD5")}, {RFC7616.format("SHA-256")}'
    assert "algorithm=SHA-256" in answer(both)
    assert answer('Basic realm="x"').startswith("Basic ")
    assert answer('Digest realm="x", nonce="y", algorithm=FOO, Basic realm="x"').startswith("Basic ")


@pytest.mark.parametrize("header", ["", "Negotiate", 'Digest realm="x"', 'Digest nonce="x", qop=auth-int', "=,=,"])
def test_nothing_to_answer_with(header: str) -> None:
    assert authorization(header, user="a", password="b", method="GET", target="/", cnonce="c") is None


def test_digest_says_what_it_can_not_do() -> None:
    for parameters in ({}, {"nonce": "n", "algorithm": "X"}, {"nonce": "n", "qop": "auth-int"}):
        with pytest.raises(ProtocolError):
            digest(Challenge("digest", parameters), user="a", password="b", method="GET", target="/", cnonce="c")


@given(st.text(max_size=200))
def test_no_header_makes_it_raise_or_begin_a_line(text: str) -> None:
    for header in (text, "Digest " + text, f'Digest realm="{text}", nonce="n", opaque="{text}"'):
        value = authorization(header, user="a", password="b", method="GET", target="/", cnonce="c")
        assert value is None or not re.search(r"[\x00-\x1f]", value)
