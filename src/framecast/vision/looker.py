"""One look at one picture: what moves, what it is, who it is.

Theory of operation. A small grey picture says whether it can be seen at all and where something moves; the gaze chooses
the part to look at, or none; that part is decoded no larger than the model takes it, and looked at once; the tracker
says what is the same as before; who is a person goes to the faces. A stage that has nothing to do costs nothing.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import simplejpeg

from framecast.core.packet import Packet
from framecast.vision.detections import FAINT, Boxes, Detection, Image
from framecast.vision.detectors import Opened
from framecast.vision.motion import NOTHING, Grey, MotionFinder, Movement
from framecast.vision.options import Options
from framecast.vision.pace import Pace
from framecast.vision.regions import Gaze, Region
from framecast.vision.stage import FaceStage
from framecast.vision.tracker import LOST_S, Tracker
from framecast.wire.detections import Box, Look, Thing

PERSON = "person"
MISSED = 3.0
"""Looks without it after which something is gone, where looks are rare."""
SMALLEST_PX = 32
"""Of a side; in smaller pictures there is nothing to be told from anything else."""
MOST_PX = 64_000_000
"""A progressive JPEG of more needs half a gigabyte while it is decoded."""
MOST_DECODED_PX = 12_000_000
"""Larger pictures are looked at in half their size: in colour they would take a hundred megabytes."""
GREY_PARTS = (4, 8)
GREY_MOST_PX = 480
"""The longer side of the grey picture, where a quarter of the camera's is more: an eighth is enough then."""
SOME_LABELS = 12
"""So many are named to who asks for one that isn't known."""
MOST_KEPT_BYTES = 8 << 20
"""Of the memory that a camera's pictures are decoded into."""
DARK = 24.0
"""In grey levels: the mean and three deviations of a picture in which nothing can be seen."""


@dataclass(slots=True)
class Seen:
    """What a look gave.

    Attributes:
        look: What is told.
        opened: What looked.
        inferences: How often a model was asked, by kind.
    """

    look: Look
    opened: Opened | None = None
    inferences: dict[str, int] = field(default_factory=dict)


class Unseeable(Exception):
    """Nothing can be seen in a picture; ``state`` says why as a code, the message in words."""

    def __init__(self, state: str, reason: str) -> None:
        self.state = state
        super().__init__(reason)


class Looker:
    """Looks at the pictures of one camera, in their order. Called from one thread at a time.

    Args:
        options: What holds for the camera.
        open_detector: The detector to use now; quick after the first time.
        faces: Knows faces; None where nobody wants them.
        numbers: Of the camera's tracks to come; from 1 when left out.
    """

    def __init__(
        self,
        options: Options,
        open_detector: Callable[[], Opened],
        faces: FaceStage | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._options = options
        self._open_detector = open_detector
        self._faces = faces
        self._motion = MotionFinder()
        self._lost_s = max(LOST_S, MISSED / options.fps if options.fps else 0.0)
        self._tracker = Tracker(options.threshold, self._lost_s, numbers)
        self._pace = Pace()
        self._gaze: Gaze | None = None
        self._input_px = (0, 0)
        self._epoch = 0
        self._size_px = (0, 0)
        self._whole = False
        self._memory = _Memory()
        self._names: dict[int, tuple[str, int]] = {}

    def look(self, packet: Packet) -> Seen:
        """What is seen in a picture."""
        if packet.epoch != self._epoch:
            self._epoch = packet.epoch
            self._begin_anew()
        now_s = packet.pts_ns / 1e9
        self._pace.look(now_s)
        self._tracker.lost_s = max(self._lost_s, MISSED * self._pace.pause_s)
        work = _Work(packet, self._memory)
        try:
            self._look(work, now_s)
        except Unseeable as why:
            return Seen(work.told((), state=why.state, reason=str(why)), work.opened, work.inferences)
        return Seen(work.told(self._things(work)), work.opened, work.inferences)

    def _begin_anew(self) -> None:
        self._motion = MotionFinder()
        self._pace = Pace()
        self._tracker.clear()
        self._names.clear()
        self._gaze = None

    def _look(self, work: _Work, now_s: float) -> None:
        with work.stage("decode"):
            # Where the last picture was looked at, this one will be, most likely. Where that takes all of its pixels,
            # whatever the part, the codec goes over them once.
            grey = work.decode_grey(in_colour=self._whole)
        self._whole = False
        if work.size_px != self._size_px:
            self._size_px = work.size_px
            self._begin_anew()  # what is known was somewhere else
        with work.stage("motion"):
            movement = self._motion.find(grey, now_s)
        work.note_movement(movement, grey.shape)
        wanted = self._options.labels
        if not wanted:
            return  # but movement, which needs no model
        work.opened = opened = self._open_detector()
        work.state, work.reason = opened.state, opened.reason
        if opened.detector is None:
            return
        known = wanted.intersection(opened.detector.labels)
        if known != wanted and not opened.state:
            work.state = "" if known else "unknown_label"
            work.reason = _unknown(wanted - known, opened.name, opened.detector.labels)
        if not known:
            return
        if self._gaze is None or self._input_px != opened.detector.input_px:
            self._input_px = opened.detector.input_px
            self._gaze = Gaze(self._input_px)
        region = self._gaze.where(work.size_px, work.moved, self._tracker.expected(now_s), now_s)
        if region is None:
            work.found = [self._named(each) for each in self._tracker.standing()]
            work.seen = False
            return
        work.region = region
        scale = min(self._input_px[0] / region.width_px, self._input_px[1] / region.height_px)
        with work.stage("decode"):
            image = work.decode(scale if self._faces is None else 1.0)
        whole = min(self._input_px[0] / work.size_px[0], self._input_px[1] / work.size_px[1])
        self._whole = (self._faces is not None or whole > 0.5) and image.shape[1::-1] == work.size_px
        with work.stage("objects"):
            found = opened.detector.detect(work.part(image, region), known, min(FAINT, self._options.threshold))
            work.count(opened.kind)
        across, down = work.scales(image)
        left, top = _begin(region, across, down)
        found = [_stretched(each.moved(left, top), 1 / across, 1 / down) for each in found]
        found = self._tracker.update(found, now_s)
        persons = [each for each in found if each.label == PERSON]
        if self._faces is not None and persons:
            with work.stage("faces"):
                told = self._faces.name(image, [_stretched(each, across, down) for each in persons], now_s)
                work.count("faces")
            told = [_stretched(each, 1 / across, 1 / down) for each in told]
            found = [each for each in found if each.label != PERSON] + told
            self._remember(told)
        work.found = found

    def _remember(self, persons: list[Detection]) -> None:
        live = self._tracker.numbers
        self._names = {track: who for track, who in self._names.items() if track in live}
        for each in persons:
            if each.track and each.label == PERSON:
                self._names[each.track] = (each.name, each.group)

    def _named(self, thing: Detection) -> Detection:
        name, group = self._names.get(thing.track, ("", 0))
        return replace(thing, name=name, group=group)

    def _things(self, work: _Work) -> tuple[Thing, ...]:
        width, height = work.size_px
        return tuple(
            Thing(
                each.label,
                each.score,
                _fractions(*each.box, width, height),
                each.track,
                each.name,
                each.group,
                work.seen and each.sure,
            )
            for each in work.found
        )


class _Memory:
    """Memory for one picture at a time, used again: new pages for each take as long as a fifth of its decoding."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def of(self, size_bytes: int) -> bytearray | None:
        """So much of it, or more; None where it would be too much to keep."""
        if size_bytes > MOST_KEPT_BYTES:
            return None
        if len(self._bytes) < size_bytes:
            self._bytes = bytearray(size_bytes)
        return self._bytes


class _Work:
    """What is known of one picture while it is looked at."""

    def __init__(self, packet: Packet, memory: _Memory) -> None:
        self.packet = packet
        self._memory = memory
        self.size_px = (0, 0)
        self.ms: dict[str, float] = {}
        self.inferences: dict[str, int] = {}
        self.opened: Opened | None = None
        self.movement: Movement = NOTHING
        self.moved: Boxes = NOTHING.boxes
        self.region: Region | None = None
        self.colours: Image | None = None
        self.found: list[Detection] = []
        self.seen = True
        self.state = self.reason = ""

    @property
    def area_px(self) -> int:
        return self.size_px[0] * self.size_px[1]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - began_s) * 1e3

    def count(self, kind: str) -> None:
        self.inferences[kind] = self.inferences.get(kind, 0) + 1

    def decode_grey(self, *, in_colour: bool) -> Grey:
        """``(H, W) uint8`` at a quarter of the picture's sides, or an eighth.

        Args:
            in_colour: Make it of the whole picture in colour, which will be needed next. The two ways differ by a few
                grey levels at most, which no movement is seen by.

        Raises:
            Unseeable: See there.
        """
        jpeg = self.packet.payload
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        except ValueError as error:
            raise Unseeable("corrupt", f"the picture is damaged: {error}") from None
        self.size_px = (width, height)
        if min(width, height) < SMALLEST_PX:
            words = f"the picture has {width}x{height} px; something can be seen from {SMALLEST_PX}x{SMALLEST_PX} on"
            raise Unseeable("too_small", words)
        if width * height > MOST_PX:
            words = f"the picture has {width}x{height} px; at most {MOST_PX // 1_000_000} million are looked at"
            raise Unseeable("too_large", words)
        quarter, eighth = GREY_PARTS
        part = quarter if max(width, height) <= GREY_MOST_PX * quarter else eighth
        grey: Grey
        if in_colour and self.area_px <= MOST_DECODED_PX:  # the one before was, which says nothing of this one
            self.colours = self._decode("BGR", 1)
            bright = cv2.cvtColor(self.colours, cv2.COLOR_BGR2GRAY)
            if width % part or height % part:  # or each px would be of other ones than the codec's are
                bright = cv2.copyMakeBorder(bright, 0, -height % part, 0, -width % part, cv2.BORDER_REPLICATE)
            while part > 1:  # by halves, which costs half as much as at once
                part //= 2
                high, wide = bright.shape
                bright = cv2.resize(bright, (wide // 2, high // 2), interpolation=cv2.INTER_AREA)
            grey = bright.astype(np.uint8, copy=False)
        else:
            grey = self._decode("GRAY", part)[..., 0]
        mean, deviation = cv2.meanStdDev(grey)
        if float(mean[0, 0] + 3 * deviation[0, 0]) < DARK:
            raise Unseeable("black", "the picture is black: the lens is covered, or there is no light")
        return grey

    def decode(self, scale: float) -> Image:
        """``(H, W, 3) uint8`` BGR, at the smallest of 1, 1/2, 1/4 and 1/8 of the picture's size that is no less than
        ``scale`` (halves cost the codec nothing), or smaller where that would be too large.

        Raises:
            Unseeable: Its colours can't be decoded.
        """
        part = 1
        while part < 8 and (scale <= 0.5 / part or self.area_px > MOST_DECODED_PX * part * part):
            part *= 2
        if part == 1 and self.colours is not None:
            return self.colours
        return self._decode("BGR", part)

    def _decode(self, colours: str, part: int) -> Image:
        width, height = (-(-side // part) for side in self.size_px)
        memory = self._memory.of(width * height * 3) if colours == "BGR" else None
        try:
            image: Image = simplejpeg.decode_jpeg(
                self.packet.payload, colours, fastdct=True, min_width=width, min_height=height, buffer=memory
            )
        except ValueError as error:
            raise Unseeable("corrupt", f"the picture is damaged: {error}") from None
        return image

    def scales(self, image: Image) -> tuple[float, float]:
        """Px of ``image`` per px of the picture, across and down."""
        return image.shape[1] / self.size_px[0], image.shape[0] / self.size_px[1]

    def part(self, image: Image, region: Region) -> Image:
        """The region's part of ``image``."""
        across, down = self.scales(image)
        left, top = _begin(region, across, down)
        right = max(left + 1, round((region.left_px + region.width_px) * across))
        bottom = max(top + 1, round((region.top_px + region.height_px) * down))
        return image[top:bottom, left:right]

    def note_movement(self, movement: Movement, shape: tuple[int, ...]) -> None:
        """Keep what moved, in px of the picture; all of it where nearly all differs."""
        width, height = self.size_px
        self.movement = movement
        if movement.turned:
            self.moved = np.array([[0, 0, width, height]], np.float32)
        else:
            self.moved = movement.boxes * np.array([width / shape[1], height / shape[0]] * 2, np.float32)

    def told(self, things: tuple[Thing, ...], *, state: str = "", reason: str = "") -> Look:
        packet, (width, height) = self.packet, self.size_px
        region = self.region
        boxes: list[tuple[float, float, float, float]] = self.moved.tolist()
        return Look(
            frame_id=packet.frame_id,
            epoch=packet.epoch,
            pts_ns=packet.pts_ns,
            things=things,
            motion=tuple(_fractions(*edges, width, height) for edges in boxes),
            share=self.movement.share,
            region=None if region is None else _fractions(*_edges(region), width, height),
            ms=self.ms,
            state=state or self.state,
            reason=reason or self.reason,
        )


def _unknown(labels: frozenset[str], model: str, known: tuple[str, ...]) -> str:
    """What to tell somebody who looks for what a model doesn't know."""
    words = []
    for label in sorted(labels):
        close = difflib.get_close_matches(label, known, n=1)
        words.append(f"{label!r} (did you mean {close[0]!r}?)" if close else repr(label))
    more = ", …" if len(known) > SOME_LABELS else ""
    return f"the model {model} doesn't know {', '.join(words)}; it knows {', '.join(known[:SOME_LABELS])}{more}"


def _edges(region: Region) -> tuple[float, float, float, float]:
    left, top = region.left_px, region.top_px
    return left, top, left + region.width_px, top + region.height_px


def _begin(region: Region, across: float, down: float) -> tuple[int, int]:
    return round(region.left_px * across), round(region.top_px * down)


def _stretched(thing: Detection, across: float, down: float) -> Detection:
    if across == down == 1:
        return thing
    return replace(
        thing,
        left_px=thing.left_px * across,
        top_px=thing.top_px * down,
        right_px=thing.right_px * across,
        bottom_px=thing.bottom_px * down,
    )


def _fractions(left: float, top: float, right: float, bottom: float, width_px: int, height_px: int) -> Box:
    left, right = min(max(left / width_px, 0.0), 1.0), min(max(right / width_px, 0.0), 1.0)
    top, bottom = min(max(top / height_px, 0.0), 1.0), min(max(bottom / height_px, 0.0), 1.0)
    return left, top, right - left, bottom - top
