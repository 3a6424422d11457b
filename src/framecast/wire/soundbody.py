"""The sound in the body of a request: raw samples, a WAV, or a form with either."""

from __future__ import annotations

from collections.abc import Mapping

from framecast.wire import pcm, wav
from framecast.wire.errors import FormError
from framecast.wire.form import parse_form
from framecast.wire.pcm import PcmError

SOUND_FIELDS = ("audio", "chunk", "file", "data")
"""Names of form fields that hold sound, the most likely first."""
_OTHERS = ("image/", "video/", "text/", "application/json")


def block_of(body: bytes, headers: Mapping[str, str]) -> pcm.Block:
    """The samples in a body.

    Args:
        body: All of it.
        headers: With names that are found in any case (aiohttp's).

    Raises:
        PcmError: There are none that can be taken.
    """
    content_type = headers.get("Content-Type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        body = _field(body, content_type)
    elif kind.startswith(_OTHERS):
        raise PcmError("bad_type", f"This is {kind[:60]}; send s16le samples, or a WAV")
    rate_hz, channels = pcm.form_of(headers)
    if wav.is_wav(body):
        body, rate_hz, channels = wav.parse(body)
    pcm.check(body, rate_hz, channels)
    return pcm.Block(body, rate_hz, channels, pcm.sequence_of(headers.get("X-Sequence")))


def _field(body: bytes, content_type: str) -> bytes:
    try:
        fields = {field.name: field.value for field in reversed(parse_form(body, content_type))}
    except FormError as error:
        raise PcmError("bad_form", f"The form can't be read: {error}") from None
    for name in SOUND_FIELDS:
        if name in fields:
            return fields[name]
    raise PcmError("no_sound", f"The form has none of the fields {', '.join(SOUND_FIELDS)}")
