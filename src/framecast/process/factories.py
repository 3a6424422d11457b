"""What the composition root registers.

NumPy, Pillow and the JPEG codec take a tenth of a second to import, so what works with pixels is imported where it is
made, and nowhere else here: a server is ready before. `warm_up` brings it in while nobody waits.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from framecast.core.errors import Misuse
from framecast.core.rendition import SOUND_CODECS, Rendition
from framecast.core.track import Track
from framecast.core.worker import Worker
from framecast.process.coding import H264Worker, PictureCoder, SoundCoder, SoundWorker
from framecast.process.options import DEFAULT, H264Options
from framecast.process.seen import Seen, SeenWorker
from framecast.process.transform import Transform
from framecast.process.worker import JpegWorker, count_nowhere


def warm_up() -> None:
    """Import what makes pictures; for a thread, as it takes a while, and would hold the loop when the first is made."""
    import framecast.process.rendition
    import framecast.process.turning  # noqa: F401


def make_worker(
    rendition: Rendition,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
    h264: H264Options = DEFAULT,
    looks: Callable[[], Track] | None = None,
) -> Worker:
    """A worker that makes ``rendition``: of a JPEG track, or, of a sound codec, of a PCM track.

    Args:
        rendition: What is wanted.
        executor: Where codecs run.
        on_encode: Called on the loop once for each picture encoded.
        on_fault: Called on the loop with the cause of each packet that was skipped.
        h264: How H.264 is made.
        looks: Gives the camera's track ``detections``, for pictures that show what is seen in them.

    Raises:
        Misuse: Nothing here makes such a rendition, or the codec is not installed.
    """
    if rendition.codec == "mjpeg":
        from framecast.process.rendition import JpegRendition

        if "detections" in rendition.overlay and looks is not None:
            seen = Seen()
            inner = JpegWorker(JpegRendition(rendition, seen), executor, on_encode, on_fault)
            return SeenWorker(inner, seen, looks)
        return JpegWorker(JpegRendition(rendition), executor, on_encode, on_fault)
    if rendition.codec not in ("h264", *SOUND_CODECS):
        raise Misuse(f"codec {rendition.codec!r} can't be made here; mjpeg, h264, aac and opus can")
    if importlib.util.find_spec("av") is None:
        raise Misuse(f"{rendition.codec} needs the media extra: pip install 'framecast[media]'")
    if rendition.is_sound:
        if not rendition.is_whole:
            raise Misuse(f"{rendition.name}: sound has no size and no quality to choose")
        return SoundWorker(partial(_sound_coder, rendition.codec), executor)
    if rendition.overlay or rendition.max_bytes:
        raise Misuse(f"{rendition.name}: H.264 can be had by width, quality and fps")
    return H264Worker(partial(_picture_coder, rendition, h264), executor, rendition.fps, on_encode, on_fault)


# PyAV as a whole first: threads that begin with different modules of it would find each other's half imported.


def _picture_coder(rendition: Rendition, options: H264Options) -> PictureCoder:
    import av  # noqa: F401

    from framecast.process.h264 import H264Maker

    maker = H264Maker(rendition, options)
    maker.prepare()
    return maker


def _sound_coder(codec: str) -> SoundCoder:
    import av  # noqa: F401

    from framecast.process.sound import CODECS, SoundMaker

    return SoundMaker(CODECS[codec])


def make_transform_worker(
    spec: Transform,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
) -> JpegWorker:
    """A worker that turns, mirrors and masks. Don't use one when ``spec.is_identity``."""
    from framecast.process.turning import JpegTransform

    return JpegWorker(JpegTransform(spec), executor, on_encode, on_fault)
