"""Sound as devices send it: what must hold for any input."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Iterator

from framecast.wire import pcm, wav
from framecast.wire.pcm import PcmError
from framecast.wire.soundbody import block_of
from fuzz.target import Target, pieces, require


def tagged(data: bytes) -> Hashable:
    """Only PcmError escapes; what is taken is whole samples of a form that is allowed, and packs to the same bytes."""
    headers = dict(zip(("X-Sample-Rate", "X-Channels", "X-Sequence"), _texts(data), strict=False))
    causes = []
    for read in (lambda: pcm.form_of(headers), lambda: pcm.sequence_of(headers.get("X-Sequence"))):
        try:
            read()
        except PcmError as error:
            causes.append(error.cause)
    stamp_s = pcm.stamp_of(next(_texts(data)))
    require(stamp_s is None or 0 <= stamp_s <= 1e16, f"a stamp of {stamp_s} s")
    try:
        block = pcm.unpack(data)
    except PcmError as error:
        return (error.cause, *causes, stamp_s is None)
    require(pcm.check(block.payload, block.sample_rate_hz, block.channels) > 0, "nothing was taken")
    made = pcm.unpack(pcm.pack_tag(block.sample_rate_hz, block.channels, block.sequence) + block.payload)
    require(made == block, "it packs to something else")
    return (block.channels, block.sequence is None, *causes, stamp_s is None)


def _texts(data: bytes) -> Iterator[str]:
    return iter(part.decode("latin-1") for part in (data + b"\n\n\n").split(b"\n"))


def _wav_once(chunks: Iterable[bytes]) -> tuple[bytes, int, int, bool, str]:
    parser = wav.Parser()
    samples, cause = b"", ""
    try:
        for chunk in chunks:
            samples += parser.feed(chunk)
    except PcmError as error:
        cause = error.cause
    return samples, parser.sample_rate_hz, parser.channels, parser.ended, cause


def riff(data: bytes) -> Hashable:
    """Samples do not depend on splits, and are the input's; only PcmError escapes."""
    whole = _wav_once([data])
    require(_wav_once(pieces(data)) == whole, "something else when split")
    samples, rate, channels, ended, cause = whole
    require(samples in data, "samples that did not come")
    require(not samples or (8_000 <= rate <= 48_000 and channels in (1, 2)), f"{rate} Hz, {channels} channels")
    return (bool(samples), channels, ended, cause)


def body(data: bytes) -> Hashable:
    """Only PcmError escapes, and what is taken is the input's and whole."""
    types = (
        "",
        "application/octet-stream",
        "audio/wav",
        "audio/L16; rate=8000",
        "multipart/form-data; boundary=x",
        "image/jpeg",
    )
    kind = types[zlib.crc32(data[:40]) % len(types)]
    try:
        block = block_of(data, {"Content-Type": kind})
    except PcmError as error:
        return (kind, error.cause)
    sent = block.payload if "L16" not in kind or wav.is_wav(data) else pcm.turned(block.payload)
    require(sent in data, "samples that did not come")
    require(len(block.payload) % (2 * block.channels) == 0, "it ends within a sample")
    return (kind, block.channels)


TARGETS = (
    Target("pcm", tagged, (b"PCM1", b"\x80\x3e\x01\x01", b"\x44\xac\x02\x00", b"16000", b"\n", b".", b"-1")),
    Target("soundbody", body, (b"--x", b"\r\n", b'name="audio"', b"\r\n\r\n", b"RIFF", b"WAVE", b"fmt ", b"data")),
    Target("wav", riff, (b"RIFF", b"WAVE", b"fmt ", b"data", b"\x10\x00\x00\x00", b"\xfe\xff", b"\x80\x3e\x00\x00")),
)
