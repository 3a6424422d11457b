"""Models into their folder, from a server that may lie, and what is there when it goes wrong."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from framecast.vision import catalog
from framecast.vision.catalog import MODELS, MissingModel, find, folders, known, present
from framecast.vision.modelfiles import ModelError, fault, fetch, take, take_own
from tests.vision import tinymodel

CONTENT = bytes(range(256)) * 1_000


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(CONTENT[:1000])
            self.close_connection = True
        else:
            self.wfile.write(CONTENT if self.path == "/good" else CONTENT[::-1])


@contextmanager
def mirror() -> Iterator[str]:
    """The address of a server with a model, and with what pretends to be one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


MODEL = replace(
    MODELS[0], url="http://127.0.0.1:1/gone", sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT)
)


def test_a_model_is_fetched_checked_and_put_in_its_place(tmp_path: Path) -> None:
    folder, told = tmp_path / "data" / "models", list[int]()
    with mirror() as url:
        path = fetch(replace(MODEL, url=f"{url}/good"), folder, progress=told.append)
        assert path == folder / MODEL.file
        assert path.read_bytes() == CONTENT
        assert told[-1] == len(CONTENT)
        assert fetch(MODEL, folder, f"{url}/moved").read_bytes() == CONTENT
    assert [each.name for each in folder.iterdir()] == [MODEL.file]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/other", "nothing was kept"),
        ("/cut", "nothing was kept"),
        ("/none", "answers 404"),
    ],
)
def test_what_is_not_that_model_is_not_kept(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / MODEL.file).write_bytes(b"what was there")
    with mirror() as url, pytest.raises(ModelError, match=words) as refused:
        fetch(MODEL, tmp_path, url + path)
    assert f"framecast models install {MODEL.name} --from FILE" in str(refused.value)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(MODEL.file, b"what was there")]


def test_nobody_there_and_other_schemes_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be fetched: Connection refused"):
        fetch(MODEL, tmp_path)
    with pytest.raises(ModelError, match="http:// and https://"):
        fetch(MODEL, tmp_path, "file:///etc/passwd")


def test_a_file_at_hand_has_to_be_that_model(tmp_path: Path) -> None:
    source = tmp_path / "download.bin"
    source.write_bytes(CONTENT)
    assert take(MODEL, source, tmp_path / "models").read_bytes() == CONTENT
    source.write_bytes(b"<html>")
    with pytest.raises(ModelError, match=r"is not yolox_nano: it is a web page"):
        take(MODEL, source, tmp_path / "models")
    source.write_bytes(bytes(1000))
    with pytest.raises(ModelError, match=r"its SHA-256 is [0-9a-f]{64}, and that of yolox_nano is"):
        take(MODEL, source, tmp_path / "models")
    with pytest.raises(ModelError, match="gone: No such file or directory"):
        take(MODEL, tmp_path / "gone", tmp_path / "models")
    assert (tmp_path / "models" / MODEL.file).read_bytes() == CONTENT


def test_a_model_of_ones_own_is_tried_before_it_is_kept(tmp_path: Path) -> None:
    folder, labels = tmp_path / "models", tmp_path / "names.txt"
    labels.write_text("fox\n")
    source = tinymodel.write(tmp_path / "best.onnx")
    assert take_own("garden", source, folder, labels) == folder / "garden.onnx"
    assert catalog.labels_of(folder / "garden.onnx") == ("fox",)
    source.write_bytes(b"fake")
    with pytest.raises(ModelError, match="it is a text file"):
        take_own("other", source, folder)
    assert sorted(each.name for each in folder.iterdir()) == ["garden.onnx", "garden.txt"]


def test_models_are_found_by_name_and_the_listed_ones_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = tmp_path / "data" / "models", tmp_path / "other"
    assert folders(tmp_path / "data", None) == (own,)
    where = folders(tmp_path / "data", other)
    assert where == (own, other)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders(tmp_path / "data", Path("~/other")) == where
    assert present(where) == []
    missing = find("", "objects", where)
    assert isinstance(missing, MissingModel)
    assert missing.reason == "there is no model for objects: framecast models install yolox_nano"
    own.mkdir(parents=True)
    other.mkdir()
    for folder, name in ((own, "zebra"), (own, "ant"), (other, "yolox_tiny"), (other, "ant"), (own, "-bad name")):
        (folder / f"{name}.onnx").write_bytes(b"x")
    (own / "folder.onnx").mkdir()
    yunet = known("yunet")
    assert yunet is not None
    (other / yunet.file).write_bytes(b"x")
    assert [each.name for each in present(where)] == ["yolox_tiny", "yunet", "ant", "zebra"]
    assert find("", "objects", where) == other / "yolox_tiny.onnx"
    assert find("ant", "objects", where) == own / "ant.onnx"
    assert find("yunet", "faces", where) == other / yunet.file
    assert find("", "faces", where) == other / yunet.file
    for name in ("../data/models/ant", "/etc/passwd", "..", "ant.onnx/../zebra"):
        assert isinstance(find(name, "objects", where), MissingModel)


def test_what_is_there_is_checked(tmp_path: Path) -> None:
    tinymodel.write(tmp_path / "mine.onnx")
    (tmp_path / "zz.onnx").write_bytes(tinymodel.write(tmp_path / "half.onnx").read_bytes()[:2000])
    (tmp_path / MODEL.file).write_bytes(CONTENT)
    faults = {each.name: fault(each) for each in present([tmp_path])}
    assert faults["mine"] == ""
    assert faults["zz"].startswith("it can't be opened as an ONNX model")
    assert faults["yolox_nano"].startswith(f"its SHA-256 is {hashlib.sha256(CONTENT).hexdigest()}, and that of")
    (listed,) = [each for each in present([tmp_path]) if each.model is not None]
    assert fault(replace(listed, model=MODEL)) == ""


def test_the_list_names_each_once_and_says_what_it_takes() -> None:
    assert len({model.name for model in MODELS}) == len({model.file for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.url.startswith("https://")
        assert model.url.endswith(model.file)
        assert len(bytes.fromhex(model.sha256)) == 32
        assert model.size_bytes < catalog.LARGEST_BYTES
        assert model.licence in ("Apache-2.0", "MIT")
