"""The fuzzer itself, and what it found before: every stored input must still hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz import corpus, datagrams, device, front, worker
from fuzz.__main__ import main
from fuzz.seeds import seeds
from fuzz.targets import TARGETS, Broken, Target
from fuzz.worker import Report, Session


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(corpus, "OUT", tmp_path)
    monkeypatch.setattr(corpus, "COUNTS", tmp_path / "counts.json")
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    for each in (front, device, datagrams):
        each.close()


@pytest.mark.parametrize("name", TARGETS)
def test_every_stored_input_holds_and_so_do_some_damaged_ones(name: str) -> None:
    session = Session(TARGETS[name], seed=1)
    report = session.turn(0.3)
    assert report.inputs >= len(seeds()[name])
    assert report.findings == {}


def test_the_stored_corpus_is_what_the_script_writes() -> None:
    for name, inputs in seeds().items():
        stored = sorted((corpus.STORED / name).glob("[0-9]*.bin"))
        assert [path.read_bytes() for path in stored] == inputs, name


def explode(data: bytes) -> str:
    if b"\xff\xd9" in data:
        raise Broken("found")
    return "fine"


def test_a_finding_is_kept_once_with_its_report(out: Path) -> None:
    session = Session(Target("jpeg", explode), seed=1)
    report = session.turn(0.1)
    ((kind, path),) = report.findings.items()
    assert kind.startswith("Broken")
    assert b"\xff\xd9" in Path(path).read_bytes()
    assert "found" in Path(path).with_suffix(".txt").read_text()
    assert len(list((out / "crashes").iterdir())) == 2


def forever(data: bytes) -> str:
    while True:
        pass


def test_an_input_that_never_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HANG_S", 0.05)
    report = Session(Target("media", forever), seed=1).turn(0.01)
    assert list(report.findings) == ["hang"]
    weighed = Report("media")
    Session(Target("media", forever), seed=1).weigh(weighed)
    assert list(weighed.findings) == ["hang"]


def spin(data: bytes) -> str:
    sum(range(20_000))
    return "slow"


def test_an_input_that_takes_too_long_is_a_finding() -> None:
    report = Session(Target("media", spin, base_s=1e-6, per_byte_s=0), seed=1).turn(0.05)
    assert list(report.findings) == ["slow"]


def test_a_parser_that_leaves_something_behind_is_a_finding() -> None:
    kept: list[bytes] = []
    leaky, clean = Report("media"), Report("media")
    Session(Target("media", lambda data: kept.append(bytes(500))), seed=1).weigh(leaky)
    assert list(leaky.findings) == ["growth"]
    Session(TARGETS["media"], seed=1).weigh(clean)
    assert clean.findings == {}


def test_counts_add_up_over_runs(out: Path) -> None:
    assert corpus.add_counts({"a": 5}) == {"a": 5}
    assert corpus.add_counts({"a": 2, "b": 1}) == {"a": 7, "b": 1}
    assert json.loads((out / "counts.json").read_text()) == {"a": 7, "b": 1}


def test_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.bin"
    path.write_bytes(b"GIF89a")
    monkeypatch.setattr("sys.argv", ["fuzz", "--replay", str(path), "jpeg"])
    assert main() == 0
    assert capsys.readouterr().out == "not_jpeg\n"
