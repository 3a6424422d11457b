"""Who the persons in one camera's pictures are.

Theory of operation. In each picture heads are searched for faces where they are worth it: of persons of whom it is not
yet decided who they are in every picture, of the others now and then; what was found moves along with its person in
between. At most one face a picture is looked at closely, for that costs most: of who waits longest. Each such look is a
vote (`framecast.vision.faces.votes`). Who is decided to be nobody known gets a number, by which the face is known
again, on other cameras and other days, too.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from framecast.core.limits import Quietly
from framecast.vision.detections import Detection, Image
from framecast.vision.faces.dlibfaces import around
from framecast.vision.faces.face import Face, FacesUnavailable, Vector
from framecast.vision.faces.people import Sample
from framecast.vision.faces.register import Register
from framecast.vision.faces.tools import Tools
from framecast.vision.faces.votes import NOBODY, Votes

log = logging.getLogger("framecast.vision.faces")

UNKNOWN = "unknown"
MOST_HEADS = 3
"""Searched in one picture."""
DECIDED_S = 1.0
"""So often the head of somebody who is known is searched by a finder that is not quick."""
CHECK_NAME_S = 3.0
CHECK_STRANGER_S = 1.5
CHECK_DOUBT_S = 0.5
"""After a vote against what was decided."""
UNCLEAR = 1.2
"""Who looks away is up to so many times as far from the own photos as one person may be; that is no vote."""
LOST_S = 10.0
SMALLEST_HEAD_PX = 24
SMALLEST_FACE_PX = 32
"""A face of fewer pixels across looks like anybody's."""
MOST_ENLARGED = 3.0
SAMPLES = 3
PICTURE_MARGIN = 0.6
PICTURE_PX = 300
QUALITY = 90


@dataclass(slots=True)
class _Track:
    """What is known of one person in the camera's pictures."""

    votes: Votes = field(default_factory=Votes)
    searched_s: float = float("-inf")
    voted_s: float = float("-inf")
    seen_s: float = 0.0
    face: tuple[float, float, float, float] | None = None  # as shares of the person's box
    face_score: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    stranger: int = 0  # the number that was given because of this track


class FaceNamer:
    """A `framecast.vision.stage.FaceStage`.

    Args:
        register: Who is known.
        tools: What finds and knows faces.
        camera: Id, for the record of where somebody was seen.
        most: Distance up to which two faces are one person's; None for what suits the model.
    """

    def __init__(self, register: Register, tools: Tools, camera: str, most: float | None = None) -> None:
        self._register = register
        self._tools = tools
        self._camera = camera
        self._spell = register.spell_of(camera)
        self._most = most
        self._tracks: dict[int, _Track] = {}
        self._quietly = Quietly(60.0)

    def name(self, image: Image, found: list[Detection], now_s: float) -> list[Detection]:
        """See `framecast.vision.stage.FaceStage`."""
        self._forget(now_s)
        for person in found:
            if person.track in self._tracks:  # be it searched or not
                self._tracks[person.track].seen_s = now_s
        faces: list[tuple[Detection, Face]] = []
        try:
            with self._tools.look() as is_ready:
                if is_ready:
                    faces = self._search(image, found, now_s)
                    self._vote(image, faces, now_s)
        except FacesUnavailable as error:
            if self._quietly.due():
                log.warning("%s: %s", self._camera, error)
        return self._told(found, faces, now_s)

    def _forget(self, now_s: float) -> None:
        """Forget who is gone, and what the gallery has forgotten."""
        self._tracks = {
            number: track for number, track in self._tracks.items() if -LOST_S < now_s - track.seen_s < LOST_S
        }
        for track in self._tracks.values():
            for who in track.votes.voted_for:
                if not self._register.holds(who):
                    track.votes.forget(who)
            if track.stranger and not self._register.holds(track.stranger):
                track.stranger = 0

    def _search(self, image: Image, found: list[Detection], now_s: float) -> list[tuple[Detection, Face]]:
        """Faces of those whose turn it is, each with the person it belongs to."""
        waiting = []
        for person in found:
            track = self._tracks.setdefault(person.track, _Track(seen_s=now_s)) if person.track else _Track()
            if track.votes.doubtful or self._tools.finder.is_quick or now_s - track.searched_s >= DECIDED_S:
                waiting.append((track.searched_s, person, track))
        waiting.sort(key=lambda each: each[0])
        faces: list[tuple[Detection, Face]] = []
        for _, person, track in waiting[:MOST_HEADS]:
            track.searched_s = now_s
            track.face = None
            face = self._face_of(image, person, [face for _, face in faces])
            if face is not None:
                faces.append((person, face))
                track.face, track.face_score = _share(person, face), min(1.0, max(0.0, face.score))
        return faces

    def _face_of(self, image: Image, person: Detection, taken: list[Face]) -> Face | None:
        """The largest face of this person that is not another one's."""
        x, y, right, bottom = head_of(person, image.shape[1], image.shape[0])
        if right - x < SMALLEST_HEAD_PX or bottom - y < SMALLEST_HEAD_PX:
            return None
        part = image[y:bottom, x:right]
        scale = min(MOST_ENLARGED, self._tools.finder.crop_px / max(part.shape[:2]))
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)
        found = [face.placed(scale, x, y) for face in self._tools.find(scaled)]
        free = [face for face in found if not any(_same(face, other) for other in taken)]
        return max(free, key=lambda face: face.area_px, default=None)

    def _vote(self, image: Image, faces: list[tuple[Detection, Face]], now_s: float) -> None:
        """Look closely at one of the faces."""
        embedder = self._tools.embedder
        if embedder is None:
            return
        waiting = []
        for person, face in faces:
            track = self._tracks.get(person.track)
            if track is None or face.width_px < SMALLEST_FACE_PX:
                continue
            if now_s - track.voted_s >= self._pause_s(track.votes):
                waiting.append((track.voted_s, face, track))
        if not waiting:
            return
        _, face, track = min(waiting, key=lambda each: each[0])
        track.voted_s = now_s
        vector = self._tools.embed(image, face)
        if vector is not None:
            self._cast(track, vector, image, face, embedder.name)

    def _pause_s(self, votes: Votes) -> float:
        if votes.decided is None:
            return 0.0
        if votes.doubtful:
            return CHECK_DOUBT_S
        return CHECK_NAME_S if self._register.name_of(votes.decided) else CHECK_STRANGER_S

    def _cast(self, track: _Track, vector: Vector, image: Image, face: Face, model: str) -> None:
        register = self._register
        who = self._who(vector, track.votes.decided or NOBODY)
        if who is None:
            return
        track.votes.cast(who, named=bool(register.name_of(who)))
        if who == NOBODY:
            self._keep_sample(track, vector, image, face, model)
        if track.votes.decided == NOBODY:
            number = register.add_stranger(tuple(track.samples), self._camera, self._spell)
            if number:
                track.votes.adopt(number)
                track.stranger = number
        decided = track.votes.decided
        if decided:
            register.saw(decided, self._camera)
            if track.stranger and register.name_of(decided):
                register.drop_stranger(track.stranger)
                track.stranger = 0
            if register.name_of(decided):
                track.samples.clear()

    def _who(self, vector: Vector, decided: int) -> int | None:
        """The number of who this is, a named one first; `NOBODY` for a face that was never seen; None if unclear."""
        embedder, register = self._tools.embedder, self._register
        assert embedder is not None
        most = embedder.most if self._most is None else self._most
        known = register.known(embedder)
        match = known.nearest(embedder, vector, frozenset(register.circle.names), most)
        if match is None:
            if decided in register.circle.names and known.nearest(
                embedder, vector, frozenset({decided}), UNCLEAR * most
            ):
                return None
            match = known.nearest(embedder, vector, register.unknown, most)
        return NOBODY if match is None else match.person

    def _keep_sample(self, track: _Track, vector: Vector, image: Image, face: Face, model: str) -> None:
        quality = face.width_px
        if len(track.samples) >= SAMPLES and quality <= track.samples[-1].quality:
            return
        track.samples.append(Sample(portrait(image, face), model, vector.tobytes(), quality))
        track.samples.sort(key=lambda each: -each.quality)
        del track.samples[SAMPLES:]

    def _told(self, found: list[Detection], faces: list[tuple[Detection, Face]], now_s: float) -> list[Detection]:
        named = [self._named(person) for person in found]
        # Nobody is in one picture twice: a name goes to whom it was voted for oftenest.
        often = Counter(each.name for each in named if each.name and each.name != UNKNOWN)
        for name in [name for name, times in often.items() if times > 1]:
            same = [index for index, each in enumerate(named) if each.name == name]
            best = max(same, key=lambda index: self._tracks[named[index].track].votes.strength)
            for index in same:
                if index != best:
                    named[index] = replace(named[index], name="", group=0)
        told = list(named)
        for person in named:
            track = self._tracks.get(person.track)
            if track is not None and track.face is not None and now_s - track.searched_s <= DECIDED_S:
                told.append(_face_detection(person, track))
        untracked = [(person, face) for person, face in faces if not person.track]
        told += [Detection("face", min(1.0, max(0.0, face.score)), *face.box) for _, face in untracked]
        return told

    def _named(self, person: Detection) -> Detection:
        track = self._tracks.get(person.track)
        decided = None if track is None else track.votes.decided
        if decided is None:
            return person
        name = self._register.name_of(decided)
        return replace(person, name=name or UNKNOWN, group=0 if name else decided)


def head_of(person: Detection, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Where to search for a person's face: left, top, right, bottom in px, within the picture.

    The upper part of somebody who stands; all of somebody of whom the picture shows no more than the upper part.
    """
    width, height = person.right_px - person.left_px, person.bottom_px - person.top_px
    high = height if height < 1.6 * width else max(0.4 * height, min(height, width))
    margin = 0.1 * width
    return (
        max(0, int(person.left_px - margin)),
        max(0, int(person.top_px - 0.15 * width)),
        min(width_px, int(person.right_px + margin) + 1),
        min(height_px, int(person.top_px + high) + 1),
    )


def portrait(image: Image, face: Face) -> bytes:
    """JPEG of a face and what is round it."""
    part, _, _, _ = around(image, face, PICTURE_MARGIN, PICTURE_PX)
    done, data = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes() if done else b""


def _share(person: Detection, face: Face) -> tuple[float, float, float, float]:
    """A face as shares of its person's box, by which it moves along."""
    width = max(1.0, person.right_px - person.left_px)
    height = max(1.0, person.bottom_px - person.top_px)
    left, top, right, bottom = face.box
    return (
        (left - person.left_px) / width,
        (top - person.top_px) / height,
        (right - person.left_px) / width,
        (bottom - person.top_px) / height,
    )


def _face_detection(person: Detection, track: _Track) -> Detection:
    assert track.face is not None
    width, height = person.right_px - person.left_px, person.bottom_px - person.top_px
    left, top, right, bottom = track.face
    return Detection(
        "face",
        track.face_score,
        person.left_px + left * width,
        person.top_px + top * height,
        person.left_px + right * width,
        person.top_px + bottom * height,
        person.track,
        person.name,
        person.group,
    )


def _same(one: Face, other: Face) -> bool:
    """Whether two boxes are of one face."""
    wide = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    high = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    return wide > 0 and high > 0 and wide * high > 0.4 * min(one.area_px, other.area_px)
