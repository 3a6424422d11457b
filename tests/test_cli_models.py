"""``framecast models``, as a person gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framecast.cli import main
from framecast.vision.catalog import MODELS
from tests.vision import tinymodel
from tests.vision.test_modelfiles import mirror


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRAMECAST_MODEL_DIR", raising=False)
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_model_of_ones_own_is_installed_listed_and_verified(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tinymodel.write(data.parent / "best.onnx")
    (data.parent / "names.txt").write_text("fox\nhen\nowl\n")
    assert main(["models", "verify"]) == 0
    assert "framecast models install yolox_nano" in capsys.readouterr().out
    arguments = ["models", "install", "garden", "--from", str(source), "--labels", "names.txt"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"garden is installed: {data / 'models' / 'garden.onnx'}\n"
    assert main(arguments[:5]) == 0
    assert f"called as {data / 'models' / 'garden.txt'} says" in capsys.readouterr().out, "names that were there stay"
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", *(model.name for model in MODELS), "garden"]
    assert str(data / "models" / "garden.onnx") in lines[-1]
    assert all("not here" in line for line in lines[1:-1])
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert [name for name, row in rows.items() if row["installed"]] == ["garden"]
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out.startswith("   ok  garden")
    (data / "models" / "garden.onnx").write_bytes(source.read_bytes()[:100])
    assert main(["models", "verify", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert "can't be opened as an ONNX model" in row["fault"]


def test_another_folder_can_be_named_in_the_files_as_in_the_environment(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> list[str]:
        assert main(["models", "list", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert [row["name"] for row in answer["models"] if not row["listed"]] == ["fox"]
        return list(answer["folders"])

    here = data.parent
    for name in ("file", "dotenv", "environment"):
        tinymodel.write(here / name / "fox.onnx")
    (here / "framecast.toml").write_text('[vision]\nmodel_dir = "file"\n')
    assert folders() == [str(data / "models"), str(here / "file")]
    (here / ".env").write_text("FRAMECAST_MODEL_DIR=dotenv\n")
    assert folders() == [str(data / "models"), "dotenv"]
    monkeypatch.setenv("FRAMECAST_MODEL_DIR", str(here / "environment"))
    assert folders() == [str(data / "models"), str(here / "environment")]


def test_what_is_not_that_model_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "text.onnx").write_text("a model")
    refusals = {
        ("garden", "--from", "text.onnx"): "it is a text file, not an ONNX model",
        ("yolox_nano", "--from", "text.onnx"): "text.onnx is not yolox_nano: it is a text file",
        ("garden", "--from", "gone.onnx"): "gone.onnx: it can't be read: No such file",
        ("garden",): "there is no model 'garden' to fetch: yolox_nano, ",
        ("../garden", "--from", "text.onnx"): "can't be a model's name",
        ("hog", "--from", "text.onnx"): "and not hog",
        ("yolox_nano", "--from", "text.onnx", "--url", "http://127.0.0.1:1/"): "--from or --url, not both",
        ("yolox_nano", "--labels", "text.onnx"): "--labels goes with a model of your own",
        ("yolox_nano", "--url", "http://127.0.0.1:1/x"): "can't be fetched: Connection refused",
    }
    with mirror() as url:
        refusals["yolox_nano", "--url", f"{url}/good"] = "nothing was kept"
        for arguments, words in refusals.items():
            assert main(["models", "install", *arguments]) == 1
            printed = capsys.readouterr()
            assert printed.out == ""
            assert words in printed.err
            assert len(printed.err.splitlines()) == 1
    assert not [path for path in data.rglob("*") if path.is_file()]
