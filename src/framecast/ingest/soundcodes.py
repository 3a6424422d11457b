"""What microphones do wrong, in plain words; part of the table in `ingest.codes`."""

from __future__ import annotations

from framecast.ingest.explanation import Explanation

_PIECES = (
    "Read the converter in a task of its own, with DMA buffers for a quarter of a second, so that pictures don't hold "
    "sound up."
)

SOUND: dict[str, Explanation] = {
    "audio_lost": Explanation(
        "warning",
        "Chunks of sound are missing, as their numbers say",
        f"Their time stays free, so that the rest is in step with the picture. {_PIECES}",
    ),
    "audio_pauses": Explanation(
        "warning",
        "Sound is missing at times without its numbers saying so",
        f"Its time was put right by the arrival of what came after. {_PIECES} X-Sequence would show what is lost.",
    ),
    "audio_late": Explanation(
        "info",
        "Chunks of sound come after their turn",
        "They are dropped: two chunks wait for a missing one. Send them over one connection that is kept.",
    ),
    "audio_doubled": Explanation(
        "info", "Chunks of sound come twice", "The second one is dropped. The device sends again what was answered."
    ),
    "audio_restarts": Explanation(
        "info", "The numbers of the sound begin anew", "The device has started again, or its program has."
    ),
    "audio_no_sound": Explanation("warning", "Requests for sound have no samples in them", "Send s16le samples."),
    "audio_odd_bytes": Explanation(
        "warning", "Chunks end within a sample", "s16le has 2 bytes a sample and channel: send whole ones."
    ),
    "audio_chunk_too_long": Explanation(
        "warning", "Chunks of sound are longer than 2 s", "Sound is as late as its chunks are long: send 20 to 100 ms."
    ),
    "audio_bad_type": Explanation(
        "error", "What is sent as sound is something else", "Send s16le samples or a WAV; pictures go to …/frames."
    ),
    "audio_bad_form": Explanation(
        "error", "A form with sound can't be read", "Send the samples as they are, without a form."
    ),
    "audio_bad_sample_rate": Explanation(
        "error", "The sample rate can't be used", "X-Sample-Rate has to be 8000 to 48000, in Hz."
    ),
    "audio_bad_channels": Explanation("error", "The number of channels can't be used", "X-Channels has to be 1 or 2."),
    "audio_bad_sequence": Explanation(
        "error", "The number of a chunk is none", "X-Sequence has to be a whole number that rises by 1 with each chunk."
    ),
    "audio_bad_tag": Explanation(
        "error", "The tag before sound on the WebSocket is cut short", "It has 12 bytes, from PCM1 on: see protocol.md."
    ),
    "audio_bad_wav": Explanation(
        "error", "The WAV can't be read", "It has to hold 16-bit PCM, with its format before its samples."
    ),
    "audio_too_many_bytes": Explanation(
        "error", "Requests for sound are too large", "Send sound in pieces of 20 to 100 ms, as it is recorded."
    ),
    "audio_too_many_chunks": Explanation(
        "warning", "More than 250 chunks of sound come in a second", "Send longer ones: 20 to 100 ms each."
    ),
    "audio_unreachable": Explanation(
        "error",
        "The address of the sound (audio_url) can't be reached",
        "Check the address, and whether the device is on.",
    ),
    "audio_bad_status": Explanation(
        "error",
        "The device refuses its sound",
        "Many serve one or two at a time: let nobody else listen to it directly. Check path, user and password.",
        "s60sc",
    ),
    "audio_protocol_error": Explanation(
        "error",
        "What comes from audio_url is no sound",
        "It has to be a WAV of 16-bit PCM, or raw PCM; see its address.",
    ),
    "audio_hang": Explanation(
        "warning", "The sound stopped although the connection was open", "The connection was made anew."
    ),
    "audio_replaced": Explanation(
        "error", "Two devices send sound to this camera", "Give each a camera of its own, or an X-Device-Id."
    ),
}
"""Seen in the sound."""
