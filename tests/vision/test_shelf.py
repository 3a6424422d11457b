"""Detectors are opened once, and again when their file is another one."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framecast.vision.detectors import Opened, open_detector
from framecast.vision.shelf import RECHECK_S, Shelf
from tests.vision import tinymodel


def test_a_model_is_opened_once_for_all_who_look_from_a_thread(tmp_path: Path) -> None:
    tinymodel.write(tmp_path / "tiny.onnx")
    shelf = Shelf([tmp_path])
    first = shelf.get("", 1, 0.0)
    assert first.name == "tiny"
    assert shelf.get("", 1, 100.0).detector is first.detector
    others = []
    thread = threading.Thread(target=lambda: others.append(shelf.get("", 1, 100.0)))
    thread.start()
    thread.join()
    assert others[0].detector is not first.detector, "not every provider can be asked by two threads at once"


def test_no_thread_waits_for_a_model_that_another_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tinymodel.write(tmp_path / "tiny.onnx")
    both = threading.Barrier(2)

    def slowly(name: str, where: Sequence[Path], threads: int) -> Opened:
        both.wait(timeout=20)
        return open_detector(name, where, threads)

    monkeypatch.setattr("framecast.vision.shelf.open_detector", slowly)
    shelf = Shelf([tmp_path])
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda _: shelf.get("", 1, 0.0), range(2)))
    assert [each.name for each in opened] == ["tiny", "tiny"]


def test_a_file_that_comes_changes_or_goes_is_noticed(tmp_path: Path) -> None:
    shelf = Shelf([tmp_path])
    assert shelf.get("", 1, 0.0).state == "no_model"
    path = tinymodel.write(tmp_path / "tiny.onnx")
    assert shelf.get("", 1, RECHECK_S / 2).state == "no_model", "it is not looked for all the time"
    first = shelf.get("", 1, RECHECK_S)
    assert (first.name, first.state) == ("tiny", "")
    tinymodel.write(path, "yolov8")
    os.utime(path, ns=(1, 1))
    second = shelf.get("", 1, 2 * RECHECK_S)
    assert second.detector is not first.detector
    path.with_suffix(".txt").write_text("cat\ndog\n")
    third = shelf.get("", 1, 3 * RECHECK_S)
    assert third.detector is not None
    assert third.detector.labels == ("cat", "dog")
    path.write_text("no model at all")
    broken = shelf.get("", 1, 4 * RECHECK_S)
    assert (broken.state, broken.name) == ("not_a_model", "hog")
    assert "text" in broken.reason
    path.unlink()
    assert shelf.get("", 1, 5 * RECHECK_S).state == "no_model"
