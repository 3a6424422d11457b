"""dlib in its own process, on real photographs."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from framecast.core.threads import give_way
from framecast.vision.faces import dlibfaces
from framecast.vision.faces.dlibchild import FIND
from framecast.vision.faces.dlibfaces import MOST, DlibChild, DlibEmbedder, DlibFinder, around
from framecast.vision.faces.face import Face, FacesUnavailable, Vector
from framecast.vision.faces.tools import Workshop
from tests.vision.faces.portraits import astronaut, astronaut_close, hopper, hopper_close, lit, shrunk


@pytest.fixture(scope="module")
def child() -> Iterator[DlibChild]:
    child = DlibChild()
    yield child
    child.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others want every core, the process that stands back gets little of one."""
    for name in ("START_S", "ANSWER_S", "_END_S"):
        monkeypatch.setattr(dlibfaces, name, 100.0)


def known(child: DlibChild, image: np.ndarray) -> tuple[Face, Vector]:
    (face,) = DlibFinder(child).find(image)
    vector = DlibEmbedder(child).embed(image, face)
    assert vector is not None
    return face, vector


def test_two_pictures_of_one_person_are_near_and_those_of_two_are_not(child: DlibChild) -> None:
    distances = DlibEmbedder(child).distances
    _, eileen = known(child, astronaut())
    _, grace = known(child, hopper())
    assert distances(eileen, np.stack([eileen, grace])) == pytest.approx([0, 0.69], abs=0.05)
    others = [lit(astronaut_close(), 0.6), np.ascontiguousarray(astronaut_close()[:, ::-1]), shrunk(astronaut(), 0.9)]
    near = distances(eileen, np.stack([known(child, each)[1] for each in others]))
    assert (near < MOST - 0.1).all()
    assert distances(grace, known(child, hopper_close())[1][None])[0] < MOST - 0.1


def test_boxes_are_where_the_face_is(child: DlibChild) -> None:
    face, _ = known(child, astronaut())
    assert face.box == pytest.approx((179, 83, 267, 171), abs=8)
    assert DlibFinder(child).find(astronaut()[300:]) == []


def test_it_ends_when_nobody_uses_it_any_more() -> None:
    workshop = Workshop(())
    opened = workshop.get("dlib")
    with opened.photo():
        assert len(opened.find(astronaut())) == 1
    assert workshop._child is not None
    process = workshop._child._process
    assert process is not None
    workshop.let_go(math.inf)
    assert process.poll() is None, "somebody has it"
    del opened
    workshop.let_go(math.inf)
    assert process.poll() == 0
    again = workshop.get("dlib")
    with again.photo():
        assert len(again.find(astronaut())) == 1
    workshop.close()


def test_one_that_was_killed_is_started_again(child: DlibChild) -> None:
    finder = DlibFinder(child)
    finder.find(astronaut_close())
    process = child._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(FacesUnavailable, match="started again"):
        finder.find(astronaut_close())
    assert process.stdout is not None
    assert process.stdout.closed
    assert len(finder.find(astronaut())) == 1


def test_one_that_fails_again_and_again_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = tmp_path / "dlib.py"
    broken.write_text("import os\nos._exit(1)  # as by an instruction that this processor does not have\n")
    now_s = 1000.0
    child = DlibChild(lambda: now_s)
    for _ in range(2):
        with pytest.raises(FacesUnavailable, match="can't be started"):
            child.ask(FIND, np.zeros((40, 40, 3), np.uint8))
    for _ in range(3):
        with pytest.raises(FacesUnavailable, match=r"again and again; it is started in \d s"):
            child.start()
    assert child._process is None
    broken.unlink()
    now_s += 2.0
    child.ask(FIND, np.zeros((40, 40, 3), np.uint8))
    child.close()


def test_the_interpreter_goes_on_while_a_face_is_looked_at(child: DlibChild) -> None:
    face, _ = known(child, astronaut())
    done = threading.Event()

    def look() -> None:
        DlibEmbedder(child).embed(astronaut(), face)
        done.set()

    thread = threading.Thread(target=look)
    assert child._process is not None
    child._process.send_signal(signal.SIGSTOP)  # the look lasts until it goes on, however slow this process is
    try:
        thread.start()
        for _ in range(10):
            time.sleep(0.001)
            assert not done.is_set(), "in this process dlib would hold the lock for the whole of it"
    finally:
        child._process.send_signal(signal.SIGCONT)
        thread.join()
    assert done.is_set()


def test_it_stands_back_as_far_as_who_starts_it() -> None:
    """With more, it would not be ready in time where others want every core."""

    def started() -> tuple[int, int]:
        give_way()
        with closing(DlibChild()) as child:
            child.ask(FIND, np.zeros((40, 40, 3), np.uint8))
            assert child._process is not None
            theirs = os.getpriority(os.PRIO_PROCESS, child._process.pid)
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), theirs

    with ThreadPoolExecutor(1) as executor:
        ours, theirs = executor.submit(started).result()
    assert ours == theirs > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_nobody_waits_for_its_start_and_it_ends_when_its_input_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    child = DlibChild()
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert not child.start(), "it has only just been started"
    go.touch()
    child.ask(FIND, np.zeros((40, 40, 3), np.uint8))
    assert child.start()
    process = child._process
    assert process is not None
    child.close()
    assert process.returncode == 0
    child.retire()
    with pytest.raises(FacesUnavailable, match="about to stop"):
        child.start()


def test_a_face_at_the_edge_is_cut_out_with_what_there_is_round_it() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    part, x, y, scale = around(image, Face((180, 10, 200, 30), 1.0), 0.5, 300)
    assert (part.shape, x, y, scale) == ((41, 30, 3), 170, 0, 1.0)
    part, _, _, scale = around(image, Face((0, 0, 100, 100), 1.0), 0.5, 50)
    assert (part.shape, scale) == ((50, 76, 3), 0.5)
