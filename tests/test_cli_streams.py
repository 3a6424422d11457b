"""Commands whose output goes where not all of it can go, or that have no input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framecast.cli import main

Framecast = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def framecast(tmp_path: Path) -> Framecast:
    """Run a command as a process of its own, with a camera in its data folder whose name is not ASCII."""
    assert main(["cameras", "add", "door", "mock:", "--name", "Küche", "--data", str(tmp_path)]) == 0

    def run(*arguments: str, shell: str = '"$@"', **options: Any) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", shell, "sh", sys.executable, "-m", "framecast", *arguments, "--data", str(tmp_path)]
        known = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        env = known | options.pop("env", {})
        return subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)

    return run


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_reads_no_further_ends_it_without_a_word(framecast: Framecast, unbuffered: str) -> None:
    nobody, output = os.pipe()
    os.close(nobody)
    try:
        done = framecast("cameras", "list", "--json", stdout=output, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(output)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told(framecast: Framecast) -> None:
    with Path("/dev/full").open("w") as full:
        done = framecast("cameras", "list", "--json", stdout=full)
    assert (done.returncode, done.stderr) == (1, "framecast: the output can't be written: No space left on device\n")


def test_letters_that_the_terminal_lacks(framecast: Framecast) -> None:
    poor = {"PYTHONIOENCODING": "ascii"}
    done = framecast("cameras", "list", stdout=subprocess.PIPE, env=poor)
    assert done.returncode == 0, done.stderr
    assert "K\\xfcche" in done.stdout
    done = framecast("cameras", "list", "--json", stdout=subprocess.PIPE, env=poor)
    assert json.loads(done.stdout)["cameras"][0]["name"] == "Küche"


def test_without_input_it_does_not_ask(framecast: Framecast) -> None:
    done = framecast("user", "create", "anna", "--password", shell='"$@" <&-', stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("framecast: no password came")
    done = framecast("cameras", "remove", "door", shell='"$@" <&-', stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "door removed\n", "")
