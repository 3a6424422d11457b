"""Sound in bodies: raw samples in either order of bytes, WAVs, and forms, whatever they are called."""

from __future__ import annotations

import struct

import pytest
from multidict import CIMultiDict

from framecast.wire import pcm, wav
from framecast.wire.pcm import PcmError
from framecast.wire.soundbody import block_of

NUMBERS = range(-800, 800)
LITTLE = struct.pack("<1600h", *NUMBERS)
BIG = struct.pack(">1600h", *NUMBERS)


def read(body: bytes, content_type: str = "", **headers: str) -> pcm.Block:
    """What is in a body; underscores in names of headers stand for hyphens."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    if content_type:
        named["Content-Type"] = content_type
    return block_of(body, named)


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "audio/pcm", "audio/x-raw", "audio/whatever"])
def test_raw_samples_are_left_as_they_are(kind: str) -> None:
    assert read(LITTLE, kind) == pcm.Block(LITTLE, 16_000, 1)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("audio/L16", (16_000, 1)),
        ("audio/L16;rate=8000", (8_000, 1)),
        ('AUDIO/l16; Rate="44100" ; channels=2', (44_100, 2)),
        ("audio/L16;channels=2;rate=48000;emphasis=50-15", (48_000, 2)),
    ],
)
def test_l16_has_its_high_byte_first_and_says_its_form(kind: str, form: tuple[int, int]) -> None:
    assert read(BIG, kind) == pcm.Block(LITTLE, *form)


def test_other_sound_may_say_its_form_as_well() -> None:
    assert read(LITTLE, "audio/pcm; rate=32000; channels=2") == pcm.Block(LITTLE, 32_000, 2)


def test_headers_win() -> None:
    block = read(BIG, "audio/L16; rate=8000; channels=2", X_Sample_Rate="22050", X_Channels="1", X_Sequence="7")
    assert block == pcm.Block(LITTLE, 22_050, 1, 7)


@pytest.mark.parametrize("kind", ["audio/wav", "audio/L16", "audio/L16; rate=8000", "audio/mpeg"])
def test_a_wav_is_one_whatever_it_is_called(kind: str) -> None:
    assert read(wav.endless_header(44_100, 2) + LITTLE, kind) == pcm.Block(LITTLE, 44_100, 2)


def form(kind: str, value: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="audio"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + value + b"\r\n--x--\r\n"


def test_forms() -> None:
    kind = "multipart/form-data; boundary=x; rate=8000"
    assert read(form("audio/pcm", LITTLE), kind) == pcm.Block(LITTLE, 16_000, 1)
    assert read(form("audio/L16", wav.endless_header(8_000, 1) + LITTLE), kind) == pcm.Block(LITTLE, 8_000, 1)


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        (BIG, "audio/L16; rate=fast", "bad_sample_rate"),
        (BIG, "audio/L16; rate=", "bad_sample_rate"),
        (BIG, "audio/L16; rate=96000", "bad_sample_rate"),
        (BIG, "audio/L16; channels=6", "bad_channels"),
        (BIG + b"a", "audio/L16", "odd_bytes"),
        (b"", "audio/L16", "no_sound"),
        (BIG, "image/jpeg", "bad_type"),
        (form("audio/L16; rate=8000", BIG), "multipart/form-data; boundary=x", "bad_type"),
        (b"--x\r\n\r\nab\r\n--x--", "multipart/form-data; boundary=x", "no_sound"),
        (b"--x", "multipart/form-data; boundary=x", "bad_form"),
    ],
)
def test_what_can_not_be_taken(body: bytes, kind: str, cause: str) -> None:
    with pytest.raises(PcmError) as caught:
        read(body, kind)
    assert caught.value.cause == cause
