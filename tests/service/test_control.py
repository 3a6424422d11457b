"""The socket by which commands find a running server."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from framecast.cli import main
from framecast.core.errors import ConfigError
from framecast.service.front import control
from tests.service.serving import serving


@pytest.mark.parametrize("depth", [0, 4])
def test_only_one_server_and_only_its_owner(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-folder-with-a-rather-long-name"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(OSError):
        control.connect(folder)
    listener = control.listen(folder)
    assert listener is not None
    with listener:
        assert stat.S_IMODE((folder / control.SOCKET_NAME).stat().st_mode) == 0o600
        with control.connect(folder) as client:
            server, _ = listener.accept()
            with server:
                server.sendall(b"hello")
            assert client.recv(5) == b"hello"
        with pytest.raises(ConfigError, match="another Framecast is running"):
            control.listen(folder)
    # Closed without unlink, as after a crash.
    again = control.listen(folder)
    assert again is not None
    again.close()
    control.unlink(folder)
    assert list(folder.iterdir()) == []
    control.unlink(folder)


def test_folder_that_cannot_hold_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be made there"):
        control.listen(tmp_path / "missing")


@pytest.mark.parametrize("command", [("cameras", "list"), ("serve", "--port", "0"), ("restore", "backup.zip")])
def test_while_the_folder_is_held_commands_are_told_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    with control.held(tmp_path, "A restore is under way here"):
        assert main([*command, "--data", str(tmp_path)]) == 1
        assert capsys.readouterr().err == "framecast: A restore is under way here\n"
    assert not (tmp_path / control.SOCKET_NAME).exists()


def test_a_server_that_does_not_answer_is_named_before_it_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.cli.control._SILENT_S", 0.05)
    monkeypatch.setattr("framecast.cli.control._TIMEOUT_S", 1.0)
    listener = control.listen(tmp_path)
    assert listener is not None
    with listener:
        assert main(["cameras", "list", "--data", str(tmp_path)]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"The server with {tmp_path} does not answer; waiting for it up to 1 s"
    assert last.startswith("framecast: the server doesn't answer: ")


@pytest.mark.anyio
async def test_who_comes_second_leaves_the_first_ones_alone(tmp_path: Path) -> None:
    async with serving(tmp_path):
        with pytest.raises(ConfigError, match="another Framecast is running"):
            async with serving(tmp_path):
                pass
        control.connect(tmp_path / "data").close()
    assert not (tmp_path / "data" / control.SOCKET_NAME).exists()
