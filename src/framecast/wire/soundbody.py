"""The sound in the body of a request: raw samples, a WAV, or a form with either.

Raw samples are s16le, but those of ``audio/L16`` have their high byte first (RFC 3551, 4.5.11). What headers say of
their form wins over the type's parameters, and what a WAV says over both.
"""

from __future__ import annotations

from collections.abc import Mapping

from framecast.wire import pcm, wav
from framecast.wire.errors import FormError
from framecast.wire.form import parse_form
from framecast.wire.pcm import PcmError

SOUND_FIELDS = ("audio", "chunk", "file", "data")
"""Names of form fields that hold sound, the most likely first."""
_FORM = {"X-Sample-Rate": "rate", "X-Channels": "channels"}
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
    parameters: dict[str, str] = {}
    if kind.startswith("multipart/"):
        body = _field(body, content_type)
    elif kind.startswith(_OTHERS):
        raise PcmError("bad_type", f"This is {kind[:60]}; send s16le samples, or a WAV")
    elif kind.startswith("audio/"):
        parameters = pcm.parameters(content_type)
    said = {header: headers.get(header, parameters.get(name)) for header, name in _FORM.items()}
    rate_hz, channels = pcm.form_of({header: value for header, value in said.items() if value is not None})
    is_wav = wav.is_wav(body)
    if is_wav:
        body, rate_hz, channels = wav.parse(body)
    pcm.check(body, rate_hz, channels)
    if kind == pcm.L16 and not is_wav:
        body = pcm.turned(body)
    return pcm.Block(body, rate_hz, channels, pcm.sequence_of(headers.get("X-Sequence")))


def _field(body: bytes, content_type: str) -> bytes:
    try:
        fields = {field.name: field for field in reversed(parse_form(body, content_type))}
    except FormError as error:
        raise PcmError("bad_form", f"The form can't be read: {error}") from None
    for name in SOUND_FIELDS:
        if name in fields:
            field = fields[name]
            if field.content_type == pcm.L16 and not wav.is_wav(field.value):
                raise PcmError("bad_type", "A form's audio/L16 is not read; send it by itself, or s16le, or a WAV")
            return field.value
    raise PcmError("no_sound", f"The form has none of the fields {', '.join(SOUND_FIELDS)}")
