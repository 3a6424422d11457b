"""Every stored dialect and fault, whole, split at every byte, byte by byte and at random."""

from __future__ import annotations

import random

import pytest

from framecast.wire.errors import FormError
from framecast.wire.form import parse_form, picture
from framecast.wire.jpeg import Fault, Inspector, JpegError, verify_scan
from tests.data import Sample, frame, samples
from tests.data.generate import build
from tests.wire.reading import Reader, read

STREAMS = samples("stream")
REQUESTS = samples("request")


def assert_expected(sample: Sample, pieces: list[bytes]) -> None:
    outcome = read(pieces)
    assert outcome.frames == [frame(name) for name in sample.frames]
    assert outcome.texts == sample.texts
    assert outcome.refused == sample.refused
    assert outcome.quirks == sample.quirks
    assert outcome.faults == sample.faults


@pytest.mark.parametrize("sample", [*STREAMS, *samples("still")], ids=str)
def test_whole(sample: Sample) -> None:
    assert_expected(sample, [sample.data])


@pytest.mark.parametrize("sample", STREAMS, ids=str)
def test_byte_by_byte(sample: Sample) -> None:
    assert_expected(sample, [bytes((byte,)) for byte in sample.data])


@pytest.mark.parametrize("sample", STREAMS, ids=str)
def test_split_at_every_byte(sample: Sample) -> None:
    data = sample.data
    whole = read([data])
    for at in range(1, len(data)):
        assert read([data[:at], data[at:]]) == whole, f"split at {at}"


@pytest.mark.parametrize("sample", STREAMS, ids=str)
def test_random_pieces(sample: Sample) -> None:
    rng = random.Random(sample.name)
    for _ in range(50):
        data, pieces = sample.data, []
        longest = rng.choice((3, 30, 300, 1460, 4096))
        while data:
            size = rng.randint(1, longest)
            pieces.append(data[:size])
            data = data[size:]
        assert_expected(sample, pieces)


# Where a promise is too long or what follows a picture is promised with it, its end can't be known at once.
PROMPT = [
    sample for sample in STREAMS if not any(word in sample.name for word in ("espressif-padded", "too-", "-truncated"))
]


@pytest.mark.parametrize("sample", PROMPT, ids=str)
def test_a_frame_is_out_with_its_last_byte(sample: Sample) -> None:
    """Waiting for the next boundary would cost a frame interval."""
    data = sample.data
    reader = Reader()
    fed = at = 0
    for count, name in enumerate(sample.frames, 1):
        at = data.index(frame(name), at) + len(frame(name))
        reader.feed(data[fed:at])
        fed = at
        assert len(reader.outcome.frames) == count


@pytest.mark.parametrize("sample", STREAMS, ids=str)
def test_only_the_corrupt_scans_fail_to_decode(sample: Sample) -> None:
    for name in sample.frames:
        if name in sample.corrupt:
            with pytest.raises(JpegError) as error:
                verify_scan(frame(name))
            assert error.value.fault is Fault.CORRUPT_SCAN
        else:
            verify_scan(frame(name))


@pytest.mark.parametrize("sample", REQUESTS, ids=str)
def test_requests(sample: Sample) -> None:
    head, _, body = sample.data.partition(b"\r\n\r\n")
    headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    headers = {name.lower(): value for name, value in headers.items()}
    body = body[: int(headers["content-length"])]
    content_type = headers["content-type"]
    if sample.faults:
        with pytest.raises(FormError) as error:
            parse_form(body, content_type)
        assert {error.value.cause: 1} == sample.faults
        return
    found = picture(parse_form(body, content_type)) if content_type.startswith("multipart/") else body
    assert found is not None
    assert [Inspector().inspect(found)[1]] == [frame(name) for name in sample.frames]


def test_the_files_are_what_the_script_writes() -> None:
    for kind, group in build().items():
        assert {sample.name: sample.data for sample in samples(kind)} == {
            name: data for name, (data, _) in group.items()
        }
