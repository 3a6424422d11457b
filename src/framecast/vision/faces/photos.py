"""Somebody's face in a photograph: read, found and made ready to be kept."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from framecast.vision.detections import Image
from framecast.vision.faces.face import Face, FacesUnavailable
from framecast.vision.faces.people import Sample
from framecast.vision.faces.stage import portrait
from framecast.vision.faces.tools import Tools
from framecast.wire.jpeg import JpegError, read_header

LARGEST_JPEG_PX = 36_000_000
LARGEST_PNG_PX = 16_000_000
"""Less than of a JPEG, which can be decoded at half its size."""
MOST_SCANS = 64
"""A phone's progressive picture has ten, and so has the preview that some put behind it; each goes over all of it."""
LONGEST_PX = 2400
SMALLEST_FACE_PX = 40
MOST_ENLARGED = 3.0
RIVAL = 0.4
"""A face of so much of the largest one's area makes it unclear whose photo it is."""
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})
"""What of a PNG is decoded: neither texts that unpack to a thousand times as much nor animations."""
_HALVES = ((1, cv2.IMREAD_COLOR), (2, cv2.IMREAD_REDUCED_COLOR_2), (4, cv2.IMREAD_REDUCED_COLOR_4))


class BadPhoto(ValueError):
    """A photo by which nobody can be known; ``code`` says why for programs, the message for people."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


def read(data: bytes) -> Image:
    """The picture of a JPEG or PNG file, upright: ``(H, W, 3) uint8`` BGR, made smaller where it is very large.

    Raises:
        BadPhoto: It is none, is damaged, or too large.
    """
    if data.startswith(_PNG):
        data = _picture_of(data)
    longer = max(_size(data))
    how = next((how for part, how in _HALVES if longer <= part * LONGEST_PX), _HALVES[-1][1])
    if data.startswith(_PNG):
        how = cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        image = None
    if image is None:
        raise BadPhoto("bad_picture", "The picture is damaged and can't be decoded")
    scale = LONGEST_PX / max(image.shape[:2])
    if scale < 1:
        return np.asarray(_scaled(np.asarray(image, np.uint8), scale), np.uint8)
    return np.asarray(image, np.uint8)


def sample(tools: Tools, image: Image) -> Sample:
    """The one face in a photo, as it is kept.

    Raises:
        BadPhoto: There is none, several, or one that is too small.
        FacesUnavailable: Faces can't be known here.
    """
    if tools.embedder is None:
        raise FacesUnavailable("faces can be found here, but not known: framecast models install sface")
    face = the_face(tools, image)
    if face.width_px < SMALLEST_FACE_PX:
        words = f"The face is {face.width_px:.0f} px wide; at least {SMALLEST_FACE_PX} px are needed to know it again"
        raise BadPhoto("face_too_small", words)
    with tools.photo():
        vector = tools.embed(image, face)
    if vector is None:
        raise BadPhoto("no_face", "The face can't be told from others; take a photo that shows it from the front")
    return Sample(portrait(image, face), tools.embedder.name, vector.tobytes(), face.width_px)


def the_face(tools: Tools, image: Image) -> Face:
    """The face that a photo is of; raises BadPhoto."""
    found: list[Face] = []
    for side_px in tools.finder.photo_px:
        scale = min(MOST_ENLARGED, side_px / max(image.shape[:2]))
        scaled = _scaled(image, scale)
        with tools.photo():
            found = [face.placed(scale, 0, 0) for face in tools.find(scaled)]
        if found:
            break
    if not found:
        raise BadPhoto("no_face", "No face is found in the picture; take one that shows the face from the front")
    found.sort(key=lambda face: -face.area_px)
    rivals = [face for face in found if face.area_px >= RIVAL * found[0].area_px]
    if len(rivals) > 1:
        raise BadPhoto("several_faces", f"The picture shows {len(rivals)} faces; cut it so that one is left")
    return found[0]


def _scaled(image: Image, scale: float) -> Image:
    if scale == 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _picture_of(png: bytes) -> bytes:
    """A PNG without all that is no picture; raises BadPhoto.

    OpenCV believes a chunk that says it has four gigabytes, and makes room for them.
    """
    kept, at, kind = [_PNG], len(_PNG), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(png):
            raise BadPhoto("bad_picture", "The picture is damaged: it ends before its end")
        if kind in _CHUNKS:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height, before anything is decoded; raises BadPhoto."""
    if data.startswith(_PNG):
        if data[12:16] != b"IHDR" or len(data) < 24:
            raise BadPhoto("bad_picture", "The picture is damaged: it does not begin with its size")
        width, height = struct.unpack(">II", data[16:24])
        most = LARGEST_PNG_PX
    elif data.startswith(b"\xff\xd8"):
        try:
            header = read_header(data, max_pixels=1 << 62)
        except JpegError as error:
            raise BadPhoto("bad_picture", f"The picture is damaged ({error})") from None
        if data.count(b"\xff\xda") > MOST_SCANS:
            raise BadPhoto("bad_picture", f"The picture has more than {MOST_SCANS} scans")
        width, height = header.width_px, header.height_px
        most = LARGEST_JPEG_PX
    else:
        raise BadPhoto("bad_picture", "Send a photo as JPEG or PNG")
    if not width or not height or width * height > most or max(width, height) > 32 * min(width, height):
        words = f"The picture has {width}x{height} px; at most {most // 1_000_000} million are taken, and no strips"
        raise BadPhoto("bad_picture", words)
    return width, height
