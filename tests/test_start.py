"""What is imported when. Seconds would depend on the machine, modules don't."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "numpy",
    "simplejpeg",
    "PIL",
    "av",
    "aioice",
    "pylibsrtp",
    "OpenSSL",
    "cryptography",
    "argon2",
    "ngrok",
    "segno",
    "cv2",
    "onnxruntime",
    "dlib",
    "aiomqtt",
    "http_ece",
    "py_vapid",
}
"""What takes long to import, or seldom is needed: none of it may keep a server from being ready."""

SERVER = {"asyncio", "aiohttp", "uvloop", "framecast.app", "framecast.service.server"}

SERVE = f"""
import gc, sys
from framecast import app
from framecast.cli import main

announce, warm_up = app.announce, app._warm_up

def announced(service, listeners):
    print(sorted({HEAVY!r} & set(sys.modules)), gc.isenabled(), flush=True)
    announce(service, listeners)

async def warmed_up(parts):
    await warm_up(parts)
    print(sorted({{"numpy", "simplejpeg", "PIL"}} & set(sys.modules)), gc.isenabled(), flush=True)

app.announce, app._warm_up = announced, warmed_up
sys.exit(main(["serve", "--port", "0", "--data", "data", "--camera", "a=push:"]))
"""


def test_a_server_is_ready_before_what_it_needs_later_is_imported(tmp_path: Path) -> None:
    """And the rest comes in at once, in a thread, so that the first picture or rendition holds nobody up."""
    command = [sys.executable, "-c", SERVE]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path) as child,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(child.kill)  # or it would be waited for, whatever failed
        assert child.stdout is not None
        at_ready, ready, later = (child.stdout.readline() for _ in range(3))
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    assert at_ready == "[] False\n"
    assert ready.startswith("Framecast is ready at http://")
    assert later == "['PIL', 'numpy', 'simplejpeg'] True\n"


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], {*SERVER, *HEAVY, "framecast.service.config", "sqlite3"}),
        (["token", "--help"], {*SERVER, *HEAVY, "framecast.cli.serve", "sqlite3"}),
        (["token", "list", "--data", "data"], {*SERVER, *HEAVY, "framecast.cli.serve"}),
        (["cameras", "list", "--data", "data"], {*SERVER, *HEAVY, "framecast.cli.serve"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_starts_quickly_enough_to_be_used_in_scripts(
    tmp_path: Path, arguments: list[str], unneeded: set[str]
) -> None:
    program = f"import sys; from framecast.cli import main; main({arguments!r}); print({unneeded!r} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.splitlines()[-1] == "set()"


def test_the_sources_are_compiled_when_they_are_installed(tmp_path: Path) -> None:
    """Where Python may write no ``__pycache__``, each start would compile all of them again."""
    shutil.copy(Path(__file__).parent.parent / "start.sh", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "part.py").touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n[ "$2" = pip ] || exec {sys.executable} "$@"\n')  # all is installed already
    python.chmod(0o700)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    subprocess.run(["./start.sh", "--install"], check=True, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    assert list((tmp_path / "src" / "__pycache__").glob("part.*.pyc"))
