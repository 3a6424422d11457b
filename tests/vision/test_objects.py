"""Models of every form, opened from files and asked about pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from framecast.vision.detections import Image
from framecast.vision.detectors import open_detector
from framecast.vision.objects import OnnxObjects, UnusableModel
from tests.vision import tinymodel
from tests.vision.tinymodel import BLUE, FORMS, LABELS, RED, SCORE, WHITE, Form

PLACES = {"person": (48, 100, 128, 200), "bicycle": (300, 220, 420, 300), "car": (200, 20, 300, 60)}
"""Left, top, right, bottom in px."""


def scene(wide: int = 480, high: int = 360) -> Image:
    """Three squares on grey."""
    image = np.full((high, wide, 3), 60, np.uint8)
    for colour, (left, top, right, bottom) in zip((WHITE, RED, BLUE), PLACES.values(), strict=True):
        image[top:bottom, left:right] = colour[::-1]
    return image


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_finds_what_is_there_where_it_is(tmp_path: Path, form: Form, half: bool) -> None:
    detector = OnnxObjects(tinymodel.write(tmp_path / "tiny.onnx", form, 128, 96, half=half))
    found = detector.detect(scene())
    assert {each.label: each.score for each in found} == pytest.approx(dict.fromkeys(LABELS, SCORE), abs=0.01)
    for each in found:
        assert each.box == pytest.approx(PLACES[each.label], abs=4)
    assert (detector.name, detector.input_px, detector.provider) == ("tiny", (128, 96), "CPU")


def test_only_what_is_wanted_and_sure_is_told(tmp_path: Path) -> None:
    detector = OnnxObjects(tinymodel.write(tmp_path / "tiny.onnx"))
    assert [each.label for each in detector.detect(scene(), frozenset({"car", "zebra"}))] == ["car"]
    assert detector.detect(scene(), frozenset({"unicorn"})) == []
    assert detector.detect(scene(), least=0.95) == []
    assert detector.detect(np.zeros((1, 1, 3), np.uint8)) == []


def test_names_come_from_the_file_beside_it_the_metadata_or_coco(tmp_path: Path) -> None:
    plain = tinymodel.write(tmp_path / "plain.onnx")
    assert OnnxObjects(plain).labels[:3] == LABELS
    named = tinymodel.write(tmp_path / "named.onnx", metadata={"names": "{0: 'cat', 1: 'dog', 2: 'hen'}"})
    assert {each.label for each in OnnxObjects(named).detect(scene())} == {"cat", "dog", "hen"}
    (tmp_path / "named.txt").write_text("Katze\nHund\nHuhn\n")
    assert OnnxObjects(named).labels == ("Katze", "Hund", "Huhn")
    (tmp_path / "named.txt").write_bytes(b"\xef\xbb\xbfKatze\r\nHund\r\nHuhn\r\n")  # as Windows' editors keep it
    assert OnnxObjects(named).labels == ("Katze", "Hund", "Huhn")
    broken = tinymodel.write(tmp_path / "broken.onnx", metadata={"names": "__import__('os')", "imgsz": "[[[["})
    assert OnnxObjects(broken).labels[:3] == LABELS


@pytest.mark.parametrize("told", [[], [1, 7, 8400]])
def test_what_a_model_says_of_its_output_need_not_be_true(tmp_path: Path, told: list[int]) -> None:
    detector = OnnxObjects(tinymodel.write(tmp_path / "tiny.onnx", "yolov8", told=told))
    assert len(detector.detect(scene())) == len(detector.detect(scene())) == 3


def test_sides_left_open_are_taken_from_the_metadata(tmp_path: Path) -> None:
    path = tinymodel.write(tmp_path / "open.onnx", "yolov8", 128, 96, open_sides=True, metadata={"imgsz": "[96, 128]"})
    detector = OnnxObjects(path)
    assert detector.input_px == (128, 96)
    assert len(detector.detect(scene())) == 3


@pytest.mark.parametrize("form", ["yolov5", "yolov8"])
def test_what_stands_behind_the_classes_is_no_class(tmp_path: Path, form: Form) -> None:
    names = {"names": str(dict(enumerate(LABELS)))}
    path = tinymodel.write(tmp_path / "outlines.onnx", form, columns=32, metadata=names)
    assert sorted(each.label for each in OnnxObjects(path).detect(scene())) == sorted(LABELS)


def test_cameras_can_share_one(tmp_path: Path) -> None:
    detector = OnnxObjects(tinymodel.write(tmp_path / "tiny.onnx"))
    pictures = [np.roll(scene(), shift, axis=1) for shift in (0, 20, 40)]
    alone = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(detector.detect, pictures * 40)) == alone * 40


def save(path: Path, inputs: list[tuple[str, int, list[int | str]]], nodes: list[onnx.NodeProto]) -> Path:
    """A model whose only output is called ``out``."""
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def same_as(name: str) -> list[onnx.NodeProto]:
    return [helper.make_node("Identity", [name], ["out"])]


def odd_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no object models, and what has to be said of each."""
    whole = tinymodel.write(folder / "whole.onnx").read_bytes()
    contents: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "it is empty"),
        "text": (b"I am a model, believe me\n" * 40, "it is a text file"),
        "page": (b"\n<!DOCTYPE html><html>Not found</html>", "it is a web page"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
        "pytorch": (b"PK\x03\x04archive/data.pkl", "export it as ONNX"),
        "truncated": (whole[: len(whole) // 2], "can't be opened as an ONNX model"),
        "noise": (np.random.default_rng(3).bytes(5_000), "can't be opened as an ONNX model"),
    }
    files = {}
    for name, (content, words) in contents.items():
        (folder / f"{name}.onnx").write_bytes(content)
        files[name] = (folder / f"{name}.onnx", words)
    picture: list[int | str] = [1, 3, 64, 64]
    floats = TensorProto.FLOAT
    shapes: dict[str, tuple[list[tuple[str, int, list[int | str]]], str]] = {
        "grey": ([("in", floats, [1, 1, 64, 64])], "takes one picture"),
        "rows": ([("in", floats, [1, 64, 64, 3])], "takes one picture"),
        "bytes": ([("in", TensorProto.UINT8, picture)], "takes one picture"),
        "two": ([("in", floats, picture), ("other", floats, picture)], "takes one picture"),
        "large": ([("in", floats, [1, 3, 100_000, 100_000])], "32 to 2048 px"),
        "small": ([("in", floats, [1, 3, 8, 8])], "32 to 2048 px"),
        "many": ([("in", floats, [4, 3, 64, 64])], "one picture"),
        "picture": ([("in", floats, picture)], "its output 1x3x64x64"),
    }
    for name, (inputs, words) in shapes.items():
        nodes = [helper.make_node("Cast", ["in"], ["out"], to=floats)] if name == "bytes" else same_as("in")
        files[name] = (save(folder / f"{name}.onnx", inputs, nodes), words)
    wrong = [helper.make_node("MatMul", ["in", "in"], ["out"])]
    files["fails"] = (save(folder / "fails.onnx", [("in", floats, [1, 3, "high", 96])], wrong), "can't be run")
    with (folder / "huge.onnx").open("wb") as file:
        file.truncate(600 << 20)
    files["huge"] = (folder / "huge.onnx", "600 MiB")
    newer = onnx.load(folder / "whole.onnx")
    newer.ir_version = 99
    onnx.save(newer, folder / "newer.onnx")
    files["newer"] = (folder / "newer.onnx", "as an ONNX model: Unsupported model IR version: 99")
    files["gone"] = (folder / "gone.onnx", "it can't be read: No such file")
    return files


def test_a_file_that_is_no_object_model_is_refused_with_its_reason(tmp_path: Path) -> None:
    for path, words in odd_files(tmp_path).values():
        with pytest.raises(UnusableModel) as refused:
            OnnxObjects(path)
        text = str(refused.value)
        assert text.startswith(f"{path}: "), text
        assert words in text, (path, text)
        assert "\n" not in text
        assert len(text) < 700


def test_without_a_usable_model_people_are_looked_for_all_the_same(tmp_path: Path) -> None:
    missing = open_detector("", [tmp_path])
    assert (missing.name, missing.kind, missing.state) == ("hog", "people", "no_model")
    assert "framecast models install yolox_nano" in missing.reason
    (tmp_path / "fake.onnx").write_text("no model")
    fake = open_detector("", [tmp_path])
    assert (fake.name, fake.kind, fake.state) == ("hog", "people", "not_a_model")
    assert fake.reason.startswith("fake.onnx: it is a text file, not an ONNX model; until then")
    assert str(tmp_path) not in missing.reason + fake.reason, "whoever watches need not know where files lie"
    tinymodel.write(tmp_path / "tiny.onnx")
    there = open_detector("tiny", [tmp_path])
    assert (there.name, there.kind, there.state, there.reason) == ("tiny", "objects", "", "")
    asked = open_detector("hog", [tmp_path])
    assert (asked.name, asked.kind, asked.state) == ("hog", "people", "")
    assert open_detector("yunet", [tmp_path]).reason.startswith("the model yunet is for faces")


@pytest.mark.parametrize("values", [np.nan, np.inf, -np.inf, 1e30, 1.0], ids=str)
def test_nonsense_that_a_model_says_does_no_harm(tmp_path: Path, values: float) -> None:
    rng = np.random.default_rng(5)
    raw = rng.uniform(-1, 1, (1, 84, 7)).astype(np.float32)
    raw[rng.uniform(size=raw.shape) < 0.3] = values
    tensor = helper.make_node("Constant", [], ["said"], value=onnx.numpy_helper.from_array(raw))
    # Something of the picture has to go in, or the input is taken away.
    nodes = [
        tensor,
        helper.make_node("ReduceMin", ["in"], ["dark"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Add", ["said", "dark"], ["out"]),
    ]
    path = save(tmp_path / "nonsense.onnx", [("in", TensorProto.FLOAT, [1, 3, 64, 64])], nodes)
    for each in OnnxObjects(path).detect(np.zeros((48, 64, 3), np.uint8)):
        assert 0 <= each.left_px < each.right_px <= 64
        assert 0 <= each.top_px < each.bottom_px <= 48
        assert 0 < each.score <= 1
