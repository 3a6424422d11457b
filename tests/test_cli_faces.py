"""``framecast faces``, with the state alone and with a running server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framecast.cli import main
from tests.service.serving import serving
from tests.vision.faces import tinyfaces
from tests.vision.faces.portraits import jpeg

Run = Callable[..., tuple[int, str, str]]
SIDE_PX = 1280
FACE_PX = 64
"""Both twice of what the tiny model sees."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the data folder ``data`` below the test's, where there are photos, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FRAMECAST_VISION_FACES", "yunet")
    tinyfaces.write_yunet(tmp_path / "data" / "models" / "face_detection_yunet_2023mar.onnx")
    tinyfaces.write_sface(tmp_path / "data" / "models" / "face_recognition_sface_2021dec.onnx")
    for count in range(3):
        picture = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
        for place in range(count):
            picture[FACE_PX : 2 * FACE_PX, (2 * place + 1) * FACE_PX : (2 * place + 2) * FACE_PX] = 255
        (tmp_path / f"{count}.jpg").write_bytes(jpeg(picture))
    (tmp_path / "letter.jpg").write_text("Dear Anna")

    def execute(*arguments: str) -> tuple[int, str, str]:
        status = main(["faces", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return execute


def steps(run: Run) -> None:
    """What has to hold with a server and without one."""
    assert "framecast faces enroll NAME PHOTO" in run("list")[2]
    assert run("enroll", "Anna", "1.jpg") == (0, "Anna is known by 1 photo\n", "")
    status, out, err = run("enroll", "ANNA", "0.jpg", "1.jpg", "2.jpg", "letter.jpg")
    assert (status, out) == (1, "")
    for words in (
        "0.jpg: No face is found",
        "2.jpg: The picture shows 2 faces",
        "letter.jpg: Send a photo as JPEG or PNG",
        "3 of 4 photos could not be taken",
    ):
        assert words in err
    heads, anna = run("list")[1].splitlines()
    assert heads.split() == ["NAME", "PHOTOS", "KNOWN", "SINCE", "LAST", "SEEN"]
    assert (anna.split()[:2], anna.split()[-1]) == (["Anna", "2"], "never")
    assert run("enroll", "Bert", "0.jpg")[0] == 1
    assert [each["name"] for each in json.loads(run("list", "--json")[1])["people"]] == ["Anna"], "Bert is nobody"
    assert run("enroll", "Bert", "missing.jpg")[2] == "framecast: missing.jpg: No such file or directory\n"
    assert "A person's name has" in run("enroll", "<b>", "1.jpg")[2]
    assert run("rename", "anna", "Anne") == (0, "anna is called Anne now\n", "")
    assert "nobody called 'anna' is known" in run("rename", "anna", "Anne")[2]
    assert run("forget", "ANNE") == (0, "Anne is forgotten\n", "")
    assert run("forget", "Anne")[0] == 1


def test_faces_without_a_server(run: Run) -> None:
    steps(run)


@pytest.mark.anyio
async def test_who_had_no_photo_before_is_not_forgotten_for_a_bad_one(run: Run, tmp_path: Path) -> None:
    async with serving(tmp_path, options={"vision.faces": "yunet"}) as server:
        anna = await server.json("POST", "/api/v1/people", status=201, json={"name": "Anna"})
        assert (await asyncio.to_thread(run, "enroll", "anna", "0.jpg"))[0] == 1
        assert (await server.json("GET", "/api/v1/people"))["people"] == [anna]


@pytest.mark.anyio
async def test_faces_of_a_running_server(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, options={"vision.faces": "yunet"}) as server:
        await asyncio.to_thread(steps, run)
        entries = (await server.json("GET", "/api/v1/audit"))["entries"]
    assert entries[0]["action"] == "forgot a face"
    assert entries[0]["who"] == "control socket"
    assert "Trained 2 faces for 1 people" in caplog.text
