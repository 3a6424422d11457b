from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire.errors import FormError
from framecast.wire.form import MAX_FIELDS, Field, parse_form, picture
from tests.data import frame
from tests.data.uploads import form
from tests.data.uploads import picture as disposition
from tests.support.cost import at_most

TYPE = "multipart/form-data; boundary=XyZ"
JPEG = frame("small-0")


def cause_of(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(FormError) as error:
        parse_form(body, content_type)
    return error.value.cause


def test_fields() -> None:
    body = form([("device_id", "", b"door"), ("frame", disposition("a b"), JPEG)], boundary="XyZ")
    assert parse_form(body, TYPE) == [
        Field("device_id", "", "", b"door"),
        Field("frame", "a b.jpg", "image/jpeg", JPEG),
    ]


@pytest.mark.parametrize("eol", ["\r\n", "\n"])
@pytest.mark.parametrize("content_type", [TYPE, 'multipart/form-data; boundary="XyZ"', "multipart/form-data"])
@pytest.mark.parametrize("tail", [b"", b"\r\n", b"epilogue"])
def test_tolerance(eol: str, content_type: str, tail: bytes) -> None:
    body = form([("frame", "", JPEG), ("x", "", b"")], boundary="XyZ", eol=eol).rstrip() + tail
    assert [field.value for field in parse_form(body, content_type)] == [JPEG, b""]


def test_headers_in_any_case_and_without_quotes() -> None:
    head = b'CONTENT-disposition:form-data;NAME=frame ;filename="x"\r\ncontent-TYPE:Image/JPEG; q=1\r\n'
    body = b"--XyZ\r\n" + head + b"\r\nv\r\n--XyZ--"
    assert parse_form(body, TYPE) == [Field("frame", "x", "image/jpeg", b"v")]


def test_a_part_without_headers() -> None:
    assert parse_form(b"--XyZ\r\n\r\nv\r\n--XyZ--", TYPE) == [Field("", "", "", b"v")]


def test_a_boundary_announced_with_its_dashes() -> None:
    body = form([("frame", "", JPEG)], boundary="XyZ")
    assert parse_form(body, "multipart/form-data; boundary=--XyZ")[0].value == JPEG


def test_a_preamble_is_passed_over() -> None:
    assert parse_form(b"hello\r\n" + form([("a", "", b"b")], boundary="XyZ"), TYPE)[0].value == b"b"


def test_a_value_may_hold_the_boundary_in_a_line() -> None:
    value = b"a --XyZ b\r\n--XyZZ\r\nx--XyZ\r\n"
    assert parse_form(form([("a", "", value)], boundary="XyZ"), TYPE)[0].value == value


def test_every_truncation_is_a_wrapped_length() -> None:
    """Only the closing boundary's own dashes tell that a form is whole."""
    body = form([("device_id", "", b"door"), ("frame", disposition("a"), JPEG)], boundary="XyZ").rstrip()
    for size in range(6, len(body)):
        assert cause_of(body[:size]) == "content_length_wrapped", size


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", TYPE),
        (JPEG, TYPE),
        (JPEG, "multipart/form-data"),
        (b"--Other\r\n\r\nx\r\n--Other--", TYPE),
        (b"--XyZjunk\r\n\r\nx\r\n--XyZ--", TYPE),
        (b"--XyZ\r\n" + b"A: b\r\n" * 2000, TYPE),
        (form([("a", "", b"b")] * (MAX_FIELDS + 1), boundary="XyZ"), TYPE),
    ],
)
def test_bad_forms(body: bytes, content_type: str) -> None:
    assert cause_of(body, content_type) == "bad_form"


def test_the_picture_is_found_by_name_type_or_content() -> None:
    other = Field("thumb", "", "image/jpeg", b"1")
    named = Field("imageFile", "", "", b"2")
    sniffed = Field("x", "", "", JPEG)
    assert picture([other, named, sniffed]) == b"2"
    assert picture([sniffed, other]) == JPEG
    assert picture([Field("x", "", "text/plain", b"3")]) is None


@given(st.binary(max_size=400), st.sampled_from([TYPE, "multipart/form-data", "image/jpeg", ""]))
def test_garbage_raises_nothing_else(body: bytes, content_type: str) -> None:
    for data in (body, b"--XyZ\r\n" + body, body.replace(b"\x00", b"\r\n--XyZ\r\n")):
        try:
            fields = parse_form(data, content_type)
        except FormError:
            continue
        assert sum(len(field.value) for field in fields) <= len(data)


def test_time_is_linear() -> None:
    body = b"--XyZ\r\n\r\n" + b"\r\n--XyZx" * 9_000 + b"\r\n--XyZ--"
    with at_most(30_000_000):
        parse_form(body, TYPE)


def test_a_field_full_of_false_ends_is_given_up() -> None:
    body = b"--XyZ\r\n\r\n" + b"\r\n--XyZx" * 1_000_000
    with at_most(15_000_000), pytest.raises(FormError) as refusal:
        parse_form(body, TYPE)
    assert refusal.value.cause == "bad_form"
