"""What the composition root registers.

Codecs beyond JPEG come with PyAV, which is imported when the first of them is wanted: it takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from framecast.core.errors import Misuse
from framecast.core.rendition import Rendition
from framecast.core.worker import Worker
from framecast.process.options import DEFAULT, H264Options
from framecast.process.rendition import JpegRendition
from framecast.process.transform import JpegTransform, Transform
from framecast.process.worker import JpegWorker, count_nowhere


def make_worker(
    rendition: Rendition,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
    h264: H264Options = DEFAULT,
) -> Worker:
    """A worker that makes ``rendition``: of a JPEG track, or, of a sound codec, of a PCM track.

    Args:
        rendition: What is wanted.
        executor: Where codecs run.
        on_encode: Called on the loop once for each picture encoded.
        on_fault: Called on the loop with the cause of each packet that was skipped.
        h264: How H.264 is made.

    Raises:
        Misuse: Nothing here makes such a rendition, or the codec is not installed.
    """
    if rendition.codec == "mjpeg":
        return JpegWorker(JpegRendition(rendition), executor, on_encode, on_fault)
    try:
        if rendition.codec == "h264":
            from framecast.process.h264 import H264Maker, H264Worker

            return H264Worker(H264Maker(rendition, h264), executor, rendition.fps, on_encode, on_fault)
        if rendition.is_sound and rendition.is_whole:
            from framecast.process.sound import CODECS, SoundMaker, SoundWorker

            return SoundWorker(SoundMaker(CODECS[rendition.codec]), executor)
    except ModuleNotFoundError as error:
        raise Misuse(
            f"{rendition.codec} needs the media extra: pip install 'framecast[media]' ({error.name} is missing)"
        ) from None
    raise Misuse(f"codec {rendition.codec!r} can't be made here; mjpeg, h264, aac and opus can")


def make_transform_worker(
    spec: Transform,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
) -> JpegWorker:
    """A worker that turns, mirrors and masks. Don't use one when ``spec.is_identity``."""
    return JpegWorker(JpegTransform(spec), executor, on_encode, on_fault)
