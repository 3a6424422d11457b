"""Somebody far away opens the public address in Chromium, and what lies between holds answers back."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.service.tunnel.edge import NAME, Standin, certificate
from tests.support.ports import free_port
from tests.web.conftest import ARGUMENTS, CHROMIUM, DESK, PATIENCE_MS, Process
from tests.web.playing import place, shown
from tests.web.test_access import make_token

URL = f"https://{NAME}"
HELD = "A proxy holds pictures back"


class ToEdge(socketserver.BaseRequestHandler):
    """A company's proxy, by which this machine gets to the internet: all of that is the stand-in's edge here."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.request.recv(1)
        assert head.startswith(f"CONNECT {NAME}:443 ".encode())
        port = self.server.edge  # type: ignore[attr-defined]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as edge:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            there = threading.Thread(target=self.pipe, args=(self.request, edge))
            there.start()
            self.pipe(edge, self.request)
            there.join()

    @staticmethod
    def pipe(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def way_out(edge: int) -> Iterator[int]:
    """That proxy's port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ToEdge) as server:
        server.daemon_threads = True
        server.edge = edge  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def visiting(port: int, secret: str) -> Iterator[Page]:
    """A browser that has logged in by the public address."""
    names = f"--host-resolver-rules=MAP {NAME} 127.0.0.1:{port}"
    arguments = [word for word in ARGUMENTS if not word.startswith("--host-resolver-rules")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*arguments, names])
        page = browser.new_context(viewport=DESK, ignore_https_errors=True).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(URL + "/docs")
        log_in = (
            """(key) => fetch("api/v1/session", {method: "POST", body: JSON.stringify({key})}).then((a) => a.status)"""
        )
        assert page.evaluate(log_in, secret) == 200
        yield page
        browser.close()


def test_what_holds_pictures_back_is_said_and_gone_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = free_port()
    files, authority = certificate(tmp_path)
    (tmp_path / "authority.pem").write_bytes(authority)
    standin = Standin(tmp_path, edge={**files, "port": edge}, hold_bytes=4 << 20)
    secret = make_token(tmp_path / "data", "eve", "watch")
    with way_out(edge) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("FRAMECAST_TUNNEL_CLOUDFLARED", str(standin.program))
        monkeypatch.setenv("FRAMECAST_TUNNEL_STATUS_PAGE", "false")
        options = ["--port", "0", "--camera", "cam=mock:?fps=15&size=320x240", "--tunnel", "cloudflare"]
        server = Process(tmp_path, "serve", *options, "--data", str(tmp_path / "data"))
        try:
            assert URL in server.line_with("from the internet")
            with visiting(edge, secret) as page:
                # The self-test has found it out by then, and pages are told.
                page.wait_for_function(
                    "async () => (await (await fetch('api/v1/system', {cache: 'no-store'})).json()).buffered"
                )
                page.goto("about:blank")  # the one before may have looked for itself until now
                looked: list[str] = []
                page.on("request", lambda request: looked.append(request.url))
                page.goto(URL + "/cameras/cam")
                expect(page.locator("#facts")).to_contain_text(HELD)
                assert not any("selftest" in url for url in looked)
                page.goto(URL + "/docs")
                place(page, URL, camera="cam", path="img")
                page.wait_for_function("() => window.player.stats?.path === 'jpeg'")
                first, second = shown(page, 2)
                assert first["frame"] != second["frame"]
        finally:
            server.stop()
