"""`cloudflared` as a child: a stand-in with its options and words comes online, loses its way, crashes and hangs."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from framecast.service.tunnel.cloudflared import Cloudflared, environment
from framecast.service.tunnel.provider import TunnelError
from tests.service.serving import until
from tests.service.tunnel.edge import NAME, Report, Standin

pytestmark = pytest.mark.anyio
QUICK = {"connect_timeout_s": 20.0, "look_period_s": 1.0}


@asynccontextmanager
async def running(tunnel: Cloudflared, report: Report) -> AsyncIterator[asyncio.Task[None]]:
    """The tunnel, for the length of the block."""
    task = asyncio.create_task(tunnel.run(1, report))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, TunnelError):
            await task


async def failure(tunnel: Cloudflared) -> TunnelError:
    """What it ends with."""
    with pytest.raises(TunnelError) as caught:
        await tunnel.run(1, Report())
    return caught.value


def lives(pid: int) -> bool:
    """Whether this process does anything yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def test_it_says_where_the_server_is_to_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGROK_AUTHTOKEN", "secret-of-ngrok")
    monkeypatch.setenv("TUNNEL_URL", "http://127.0.0.1:22")
    monkeypatch.setenv("TUNNEL_TRANSPORT_PROTOCOL", "http2")
    standin, report = Standin(tmp_path), Report()
    async with running(Cloudflared(str(standin.program), **QUICK), report):
        await until(lambda: report.told)
        assert report.told == [("online", f"https://{NAME}")]
        (call,) = standin.calls
    assert call["arguments"] == [
        *("tunnel", "--no-autoupdate", "--grace-period", "1s", "--metrics", "127.0.0.1:0"),
        *("--config", "/dev/null", "--url", "http://127.0.0.1:1"),
    ]
    assert "NGROK_AUTHTOKEN" not in call["environment"]
    assert "TUNNEL_URL" not in call["environment"]
    assert call["environment"]["TUNNEL_TRANSPORT_PROTOCOL"] == "http2"
    assert not lives(call["pid"])


async def test_a_tunnel_made_at_cloudflare_gets_its_token_where_nobody_else_sees_it(tmp_path: Path) -> None:
    standin, report = Standin(tmp_path), Report()
    tunnel = Cloudflared(str(standin.program), token="eyJh", domain="cams.example.net", **QUICK)
    async with running(tunnel, report):
        await until(lambda: report.told)
        assert report.told == [("online", "https://cams.example.net")]
    (call,) = standin.calls
    assert call["arguments"][-1] == "run"
    assert "eyJh" not in " ".join(call["arguments"])
    assert call["environment"]["TUNNEL_TOKEN"] == "eyJh"


async def test_a_lost_connection_is_its_own_affair(tmp_path: Path) -> None:
    standin, report = Standin(tmp_path), Report()
    async with running(Cloudflared(str(standin.program), **QUICK), report) as task:
        await until(lambda: report.told)
        pid = standin.calls[0]["pid"]
        os.kill(pid, signal.SIGUSR1)
        # That it is lost may be known, by asking, before it has said why.
        await until(lambda: "no recent network activity" in report.told[-1][1])
        assert {kind for kind, _ in report.told[1:]} == {"waiting"}
        os.kill(pid, signal.SIGUSR2)
        await until(lambda: report.told[-1] == ("online", f"https://{NAME}"))
        assert not task.done()
        assert len(standin.calls) == 1


async def test_why_it_was_lost_is_told_once_it_is_known(tmp_path: Path) -> None:
    standin, report = Standin(tmp_path, how="wordless"), Report()
    async with running(Cloudflared(str(standin.program), **QUICK), report):
        await until(lambda: report.told)
        os.kill(standin.calls[0]["pid"], signal.SIGUSR1)
        await until(lambda: len(report.told) == 2)
        os.kill(standin.calls[0]["pid"], signal.SIGUSR1)
        await until(lambda: len(report.told) == 3)
    assert [kind for kind, _ in report.told] == ["online", "waiting", "waiting"]
    assert "no recent network activity" not in report.told[1][1]
    assert "no recent network activity" in report.told[2][1]


async def test_one_that_crashes_ends_the_tunnel_with_a_reason(tmp_path: Path) -> None:
    standin, report = Standin(tmp_path), Report()
    async with running(Cloudflared(str(standin.program), **QUICK), report) as task:
        await until(lambda: report.told)
        os.kill(standin.calls[0]["pid"], signal.SIGKILL)
        with pytest.raises(TunnelError, match=r"ended by signal 9") as caught:
            await task
        assert not caught.value.final


async def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    standin, report = Standin(tmp_path), Report()
    tunnel = Cloudflared(str(standin.program), connect_timeout_s=20.0, look_period_s=0.3)
    async with running(tunnel, report) as task:
        await until(lambda: report.told)
        pid = standin.calls[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(TunnelError, match="hangs"):
            await task
        assert not lives(pid)


async def test_one_that_does_not_get_through_is_ended(tmp_path: Path) -> None:
    standin = Standin(tmp_path, how="mute")
    error = await failure(Cloudflared(str(standin.program), connect_timeout_s=5.0, look_period_s=1.0))
    assert "has not connected within 5 s" in str(error)
    assert "no recent network activity" in str(error)
    assert not error.final
    assert not lives(standin.calls[0]["pid"])


@pytest.mark.parametrize(
    ("how", "words"), [("no-network", "no such host"), ("busy", "failed to unmarshal quick Tunnel")]
)
async def test_why_there_is_no_quick_tunnel(tmp_path: Path, how: str, words: str) -> None:
    error = await failure(Cloudflared(str(Standin(tmp_path, how=how).program), **QUICK))
    assert words in str(error)
    assert not error.final


async def test_a_bad_token_is_not_tried_again(tmp_path: Path) -> None:
    standin = Standin(tmp_path, how="bad-token")
    error = await failure(Cloudflared(str(standin.program), token="x", domain="cams.example.net", **QUICK))
    assert "token is not valid" in str(error)
    assert error.final


async def test_a_quick_tunnel_that_was_forgotten_is_made_anew(tmp_path: Path) -> None:
    program = str(Standin(tmp_path, how="forgotten").program)
    assert not (await failure(Cloudflared(program, **QUICK))).final
    assert (await failure(Cloudflared(program, token="x", domain="cams.example.net", **QUICK))).final


async def test_where_it_is_missing_one_is_told_what_to_do() -> None:
    error = await failure(Cloudflared("cloudflared-that-is-not-there", **QUICK))
    assert "install cloudflared" in str(error)
    assert error.final


async def test_what_can_not_be_run(tmp_path: Path) -> None:
    program = tmp_path / "cloudflared"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o700)
    error = await failure(Cloudflared(str(program), **QUICK))
    assert "cloudflared" in str(error)


async def test_what_the_system_refuses_at_the_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    program = str(Standin(tmp_path).program)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    error = await failure(Cloudflared(program, **QUICK))
    assert "can't be started: Resource temporarily unavailable" in str(error)
    assert not error.final


def test_what_the_child_gets_to_know() -> None:
    ours = {"PATH": "/bin", "FRAMECAST_PASSWORD": "x", "NGROK_AUTHTOKEN": "y", "TUNNEL_NAME": "z", "HOME": "/root"}
    assert environment(ours, "") == {"PATH": "/bin", "HOME": "/root"}
    assert environment(ours, "t") == {"PATH": "/bin", "HOME": "/root", "TUNNEL_TOKEN": "t"}


ORPHAN = """
import asyncio, sys
sys.path[:0] = {path!r}
from framecast.service.tunnel.cloudflared import Cloudflared
class Report:
    def online(self, url): print("online", flush=True)
    def waiting(self, reason): pass
asyncio.run(Cloudflared({program!r}).run(1, Report()))
"""


async def test_it_does_not_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    standin = Standin(tmp_path)
    script = ORPHAN.format(path=sys.path, program=str(standin.program))
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert await server.stdout.readline() == b"online\n"
    pid = standin.calls[0]["pid"]
    assert lives(pid)
    server.kill()
    await server.wait()
    await until(lambda: not lives(pid))
