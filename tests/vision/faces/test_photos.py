"""Photographs as people send them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.vision.detections import Image
from framecast.vision.faces import photos
from framecast.vision.faces.dlibfaces import DlibChild, DlibEmbedder, DlibFinder
from framecast.vision.faces.face import Face, FacesUnavailable, Vector
from framecast.vision.faces.photos import BadPhoto
from framecast.vision.faces.tools import Tools
from framecast.vision.faces.turns import Turns
from tests.vision.faces.portraits import astronaut, astronaut_close, hopper_close, jpeg, shrunk


class Given:
    """Finds what it is told to."""

    name = "given"
    crop_px = 100
    photo_px: tuple[int, ...] = (200, 400)
    is_quick = True
    most = 1.0

    def __init__(self, *widths_px: int, at_px: int = 0) -> None:
        self.widths_px = widths_px
        self.at_px = at_px

    def find(self, image: Image) -> list[Face]:
        if max(image.shape[:2]) < self.at_px:
            return []
        return [Face((100 * place, 0, 100 * place + width, width), 1.0) for place, width in enumerate(self.widths_px)]

    def embed(self, image: Image, face: Face) -> Vector | None:
        return np.zeros(128, np.float32)

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        raise NotImplementedError


def tools(finder: Given) -> Tools:
    return Tools(finder, finder, Turns())


@pytest.fixture(scope="module")
def dlib() -> Iterator[Tools]:
    child = DlibChild()
    yield Tools(DlibFinder(child), DlibEmbedder(child), Turns())
    child.close()


SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = bytes(4) + b"IEND\xaeB`\x82"


def chunk(kind: bytes, data: bytes, says_bytes: int | None = None) -> bytes:
    """A part of a PNG, which may lie about its length."""
    length = len(data) if says_bytes is None else says_bytes
    return struct.pack(">I", length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """The head of a PNG of this size, and no picture but what is in the chunks."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + b"".join(chunks) + END


def exif(orientation: int) -> bytes:
    """A segment by which a phone says how it was held."""
    tiff = b"MM\x00\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    body = b"Exif\x00\x00" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def test_jpeg_and_png_are_read_and_large_ones_are_made_smaller() -> None:
    image = astronaut_close()
    assert np.abs(photos.read(jpeg(image)).astype(int) - image).mean() < 4
    done, coded = cv2.imencode(".png", image)
    assert done
    assert (photos.read(coded.tobytes()) == image).all()
    assert max(photos.read(jpeg(np.zeros((3000, 4000, 3), np.uint8))).shape) <= photos.LONGEST_PX


def test_what_a_png_holds_besides_its_picture_is_not_unpacked() -> None:
    done, coded = cv2.imencode(".png", astronaut_close())
    assert done
    data = coded.tobytes()
    at = len(SIGNATURE) + 25
    text = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20)))
    frames = chunk(b"acTL", struct.pack(">II", 1 << 30, 0))
    assert (photos.read(data[:at] + frames + text * 3 + data[at:]) == astronaut_close()).all()


def test_a_phone_held_upright_gives_an_upright_face(dlib: Tools) -> None:
    lying = np.ascontiguousarray(np.rot90(astronaut_close()))
    data = jpeg(lying)
    with pytest.raises(BadPhoto):
        photos.sample(dlib, photos.read(data))
    upright = photos.read(data[:2] + exif(6) + data[2:])
    assert upright.shape == astronaut_close().shape
    assert photos.sample(dlib, upright).model == "dlib"


def test_what_is_kept_of_a_photo_is_a_small_picture_that_can_be_looked_at_anew(dlib: Tools) -> None:
    sample = photos.sample(dlib, astronaut())
    kept = photos.read(sample.picture)
    assert max(kept.shape) < 250
    again = photos.sample(dlib, kept)
    one, other = (np.frombuffer(each.vector, np.float32) for each in (sample, again))
    assert np.linalg.norm(one - other) < 0.2
    assert photos.sample(dlib, shrunk(hopper_close(), 0.6)).quality < 100, "small ones are enlarged to be found"


def claiming(width_px: int, height_px: int) -> bytes:
    """A small JPEG whose header says that it is large."""
    data = bytearray(jpeg(np.zeros((64, 64, 3), np.uint8)))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height_px, width_px)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "JPEG or PNG"),
        (b"GIF89a", "JPEG or PNG"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (png(100, 100), "damaged"),
        (png(8, 8, chunk(b"IDAT", b"x", 0xF000_0000)), "ends before its end"),
        (SIGNATURE + chunk(b"PLTE", bytes(30)) + END, "does not begin with its size"),
        (png(8, 8)[:-1], "ends before its end"),
        (png(0, 100), "0x100"),
        (png(20_000, 20_000), "20000x20000 px; at most 16 million"),
        (claiming(16_000, 16_000), "16000x16000 px; at most 36 million"),
        (png(4, 1000), "no strips"),
        (jpeg(np.zeros((64, 64, 3), np.uint8)) + b"\xff\xda" * 64, "more than 64 scans"),
        (jpeg(np.zeros((64, 64, 3), np.uint8))[:300], "damaged"),
    ],
)
def test_what_is_no_photo_is_refused_before_it_costs_anything(data: bytes, words: str) -> None:
    with pytest.raises(BadPhoto, match=words) as caught:
        photos.read(data)
    assert caught.value.code == "bad_picture"


@pytest.mark.parametrize(
    ("widths_px", "code"), [((), "no_face"), ((80, 70), "several_faces"), ((30,), "face_too_small"), ((80, 40), "")]
)
def test_a_photo_is_of_one_face(widths_px: tuple[int, ...], code: str) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    if not code:
        assert photos.sample(tools(Given(*widths_px)), image).quality == 80
        return
    with pytest.raises(BadPhoto) as caught:
        photos.sample(tools(Given(*widths_px)), image)
    assert caught.value.code == code


def test_a_small_face_is_searched_in_a_larger_picture() -> None:
    face = photos.the_face(tools(Given(100, at_px=400)), np.zeros((200, 200, 3), np.uint8))
    assert face.width_px == 50


def test_without_an_embedder_nobody_can_be_known() -> None:
    with pytest.raises(FacesUnavailable, match="models install sface"):
        photos.sample(Tools(Given(80), None, Turns()), np.zeros((200, 200, 3), np.uint8))
