"""Detectors are opened once, and again when their file is another one."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framecast.vision.detectors import Opened, open_detector
from framecast.vision.shelf import RECHECK_S, Shelf
from tests.vision import tinymodel


def from_two_threads(shelf: Shelf, names: tuple[str, str] = ("", ""), threads: int = 1) -> list[Opened]:
    """What both are given who ask at the same time."""
    both = threading.Barrier(2)

    def ask(name: str) -> Opened:
        both.wait(timeout=20)
        return shelf.get(name, threads, 0.0)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(ask, names))


def test_a_model_is_opened_once_for_all_who_look(tmp_path: Path) -> None:
    tinymodel.write(tmp_path / "tiny.onnx")
    shelf = Shelf([tmp_path])
    first, second = from_two_threads(shelf)
    assert (first.name, first.state) == ("tiny", "")
    assert first.detector is second.detector
    assert shelf.get("", 1, 100.0).detector is first.detector


def test_each_thread_has_its_own_where_one_does_not_do_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tinymodel.write(tmp_path / "tiny.onnx")
    shelf = Shelf([tmp_path])
    first, second = from_two_threads(shelf, threads=2)
    assert first.detector is not second.detector, "each is to have two threads for an inference"

    def by_a_gpu(name: str, where: Sequence[Path], threads: int) -> Opened:
        opened = open_detector(name, where, threads)
        monkeypatch.setattr(opened.detector, "provider", "Dml", raising=False)
        return opened

    monkeypatch.setattr("framecast.vision.shelf.open_detector", by_a_gpu)
    first, second = from_two_threads(shelf)
    assert first.detector is not second.detector, "not every provider can be asked by two threads at once"


def test_nobody_waits_for_another_model_that_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        tinymodel.write(tmp_path / f"{name}.onnx")
    both = threading.Barrier(2)

    def slowly(name: str, where: Sequence[Path], threads: int) -> Opened:
        both.wait(timeout=20)
        return open_detector(name, where, threads)

    monkeypatch.setattr("framecast.vision.shelf.open_detector", slowly)
    assert [each.name for each in from_two_threads(Shelf([tmp_path]), ("one", "two"))] == ["one", "two"]


def test_what_nobody_asks_for_any_more_is_let_go(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tinymodel.write(tmp_path / f"{name}.onnx")
    shelf = Shelf([tmp_path])
    one, two = (weakref.ref(shelf.get(name, 1, 0.0).detector) for name in ("one", "two"))
    shelf.get("two", 1, 1.0)
    shelf.let_go(1.0)
    assert one() is None and two() is not None
    shelf.let_go(2.0)
    assert two() is None
    assert shelf.get("two", 1, 3.0).name == "two"


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
