"""What the composition root registers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from framecast.core.rendition import Rendition
from framecast.process.rendition import JpegRendition
from framecast.process.transform import JpegTransform, Transform
from framecast.process.worker import JpegWorker, count_nowhere


def make_worker(
    rendition: Rendition,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
) -> JpegWorker:
    """A worker that makes ``rendition`` of a JPEG track.

    Raises:
        Misuse: Nothing here makes such a rendition.
    """
    return JpegWorker(JpegRendition(rendition), executor, on_encode, on_fault)


def make_transform_worker(
    spec: Transform,
    executor: Executor,
    on_encode: Callable[[], object],
    on_fault: Callable[[str], object] = count_nowhere,
) -> JpegWorker:
    """A worker that turns, mirrors and masks. Don't use one when ``spec.is_identity``."""
    return JpegWorker(JpegTransform(spec), executor, on_encode, on_fault)
