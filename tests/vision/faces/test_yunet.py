"""YuNet's and SFace's files, as OpenCV runs them: what they say becomes faces and vectors."""

from __future__ import annotations

import math
import weakref
from pathlib import Path

import numpy as np
import pytest

from framecast.vision.faces import tools
from framecast.vision.faces.face import FacesUnavailable
from framecast.vision.faces.register import Register
from framecast.vision.faces.tools import Workshop, choose
from framecast.vision.faces.yunet import SFACE_MOST, SfaceEmbedder, YunetFinder
from tests.vision import tinymodel
from tests.vision.faces import tinyfaces

YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"


def picture() -> np.ndarray:
    """Two white squares, one of them with a shadow; 200x150 px, which is no multiple of the model's."""
    image = np.zeros((150, 200, 3), np.uint8)
    image[32:64, 64:96] = 255
    image[96:128, 128:160] = 255
    image[100:104, 132:136] = 0
    return image


def test_faces_are_where_they_are(tmp_path: Path) -> None:
    found = sorted(YunetFinder(tinyfaces.write_yunet(tmp_path / YUNET)).find(picture()), key=lambda face: face.box)
    assert [face.box for face in found] == [pytest.approx((64, 32, 96, 64)), pytest.approx((128, 96, 160, 128))]
    assert found[0].score > 0.9
    assert found[0].points is not None
    assert found[0].points.ravel() == pytest.approx([64, 32] * 5 + np.array(tinyfaces.POINTS) * 32)
    assert YunetFinder(tmp_path / YUNET).find(np.zeros((40, 40, 3), np.uint8)) == []


def test_vectors_of_one_face_are_near(tmp_path: Path) -> None:
    found = YunetFinder(tinyfaces.write_yunet(tmp_path / YUNET)).find(picture())
    embedder = SfaceEmbedder(tinyfaces.write_sface(tmp_path / SFACE))
    one, other = (embedder.embed(picture(), face) for face in found)
    assert one is not None
    assert other is not None
    assert np.linalg.norm(one) == pytest.approx(1)
    near, far = embedder.distances(one, np.stack([one, other]))
    assert near == pytest.approx(0, abs=1e-5)
    assert 0 < far < SFACE_MOST
    assert embedder.embed(np.zeros((150, 200, 3), np.uint8), found[0]) is None, "nothing has no direction"


def test_what_is_no_such_model_is_refused_with_its_reason(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    half = tmp_path / "half.onnx"
    half.write_bytes(tinyfaces.write_yunet(tmp_path / YUNET).read_bytes()[:1000])
    other = tinymodel.write(tmp_path / "other.onnx")
    for kind, words in ((YunetFinder, "YuNet"), (SfaceEmbedder, "SFace")):
        with pytest.raises(FacesUnavailable, match=r"text\.onnx: it is a text file"):
            kind(text)
        for file in (half, other):
            with pytest.raises(FacesUnavailable, match=f"{file.name}: not {words}"):
                kind(file)


def test_what_is_there_is_taken_and_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = (tmp_path,)
    yunet, sface = tmp_path / YUNET, tmp_path / SFACE
    assert choose("auto", where) == choose("dlib", where) == tools.Choice("dlib", "dlib")
    assert choose("yunet", where).finder is None
    tinyfaces.write_yunet(yunet)
    assert choose("auto", where) == choose("yunet", where) == tools.Choice(yunet, "dlib")
    find_spec = tools.importlib.util.find_spec
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None if name == "dlib" else find_spec(name))
    found_only = choose("auto", where)
    assert (found_only.finder, found_only.embedder) == (yunet, None)
    assert "framecast models install sface" in found_only.reason
    assert "framecast[faces]" in choose("dlib", where).reason
    tinyfaces.write_sface(sface)
    assert choose("auto", where) == tools.Choice(yunet, sface)
    workshop = Workshop(where)
    opened = workshop.get("auto")
    assert (opened.finder.name, opened.embedder and opened.embedder.name) == ("yunet", "sface")
    assert opened is workshop.get("yunet"), "once for all"
    with opened.look() as is_ready:
        assert is_ready
    workshop.close()
    with pytest.raises(FacesUnavailable, match="about to stop"):
        workshop.get("auto")
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(tools.sys.modules, "cv2")
    assert "framecast[vision]" in choose("auto", where).reason
    assert "switched off" in choose("off", where).reason


def test_what_nobody_uses_any_more_is_let_go(tmp_path: Path) -> None:
    tinyfaces.write_yunet(tmp_path / YUNET)
    tinyfaces.write_sface(tmp_path / SFACE)
    workshop, register = Workshop((tmp_path,)), Register()
    opened = workshop.get("yunet")
    finder, embedder = weakref.ref(opened.finder), weakref.ref(opened.embedder)
    register.known(opened.embedder)
    workshop.let_go(math.inf)
    assert workshop.get("yunet") is opened, "a camera has them"
    used_s = opened.used_s
    del opened
    workshop.let_go(used_s)
    assert finder() is not None, "they were just used"
    workshop.let_go(math.inf)
    assert finder() is embedder() is None
    with workshop.get("yunet").look() as is_ready:
        assert is_ready
    workshop.close()


def test_a_file_that_was_seen_before_it_was_whole_is_opened_again(tmp_path: Path) -> None:
    tinyfaces.write_sface(tmp_path / SFACE)
    whole = tinyfaces.write_yunet(tmp_path / YUNET).read_bytes()
    (tmp_path / YUNET).write_bytes(whole[:1000])
    workshop = Workshop((tmp_path,))
    with pytest.raises(FacesUnavailable, match="not YuNet"):
        workshop.get("yunet")
    mark = workshop.mark("yunet")
    assert workshop.mark("yunet") == mark
    assert "not YuNet" in workshop.reason("yunet")
    (tmp_path / YUNET).write_bytes(whole)
    assert workshop.mark("yunet") != mark
    assert workshop.reason("yunet") == ""
    opened = workshop.get("yunet")
    assert opened.find(picture())
    tinyfaces.write_yunet(tmp_path / YUNET)
    (tmp_path / SFACE).touch()
    assert workshop.get("yunet") is not opened
    workshop.close()
