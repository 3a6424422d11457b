"""Puts a player into a page, and reads what it shows from the block code in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.web.conftest import PATIENCE_MS

BLOCKCODE = (Path(__file__).parent.parent / "support" / "blockcode.js").read_text()

PLACE = """
async ([root, attributes]) => {
  await import(new URL("static/js/player.js", root));
  const player = document.createElement("framecast-player");
  for (const [name, value] of Object.entries(attributes)) player.setAttribute(name, value);
  player.style.width = "640px";
  document.querySelector("framecast-player")?.remove();
  document.body.prepend(player);
  window.player = player;
  window.paths = [];
  window.said = [];
  const message = player.shadowRoot.querySelector(".said");
  const note = () => message.textContent && window.said.push(message.textContent);
  new MutationObserver(note).observe(message, { childList: true });
  player.addEventListener("pathchange", ({ detail }) => detail.path && window.paths.push(detail.path));
}
"""
READ = """
async ([count, milliseconds]) => {
  const seen = new Map();
  const end = performance.now() + milliseconds;
  while (seen.size < count && performance.now() < end) {
    await new Promise(requestAnimationFrame);
    const shown = window.player.surface;
    const width = shown?.videoWidth || shown?.naturalWidth || shown?.width;
    const height = shown?.videoHeight || shown?.naturalHeight || shown?.height;
    const code = width ? window.readCode(shown, width, height) : null;
    if (!code || seen.has(code.frameId)) continue;
    const ageMs = performance.timeOrigin + performance.now() - code.timeMs;
    seen.set(code.frameId, { frame: code.frameId, timeMs: code.timeMs, capturedMs: window.player.capturedMs, ageMs });
  }
  return [...seen.values()];
}
"""
PATIENT = """
async (seconds) => {
  const { PATHS } = await import(new URL("static/js/player/paths.js", document.baseURI));
  for (const path of Object.values(PATHS)) path.patienceS = seconds;
}
"""
HINDER_WEBRTC = """
async (seconds) => {
  RTCPeerConnection.prototype.setRemoteDescription = () => new Promise(() => {});
  (await import(new URL("static/js/player/paths.js", document.baseURI))).PATHS.webrtc.patienceS = seconds;
}
"""


def place(page: Page, url: str, **attributes: str) -> None:
    """Show nothing but one player; further attributes by their names."""
    page.evaluate(PLACE, [url + "/", attributes])


def shown(page: Page, count: int) -> list[dict[str, Any]]:
    """The next ``count`` pictures: {frame, timeMs (drawn), capturedMs (as the player says), ageMs}."""
    page.evaluate("() => {" + BLOCKCODE.replace("export ", "") + "; window.readCode = readBlockCodeFrom; }")
    seen: list[dict[str, Any]] = page.evaluate(READ, [count, PATIENCE_MS])
    assert len(seen) == count, page.evaluate("() => window.player.stats")
    return seen


def stats(page: Page) -> dict[str, Any]:
    """The player's numbers of the last second."""
    numbers: dict[str, Any] = page.evaluate("() => window.player.stats")
    return numbers


def wait_path(page: Page, path: str) -> None:
    """Until this path plays."""
    page.wait_for_function("(path) => window.player.stats?.path === path", arg=path)


def wait_said(page: Page, part: str) -> None:
    """Until a short message of the player has had this in it; it may be gone again."""
    page.wait_for_function("(part) => window.said.some((text) => text.includes(part))", arg=part)


def be_patient(page: Page) -> None:
    """Give up no path before its first picture, however long a busy machine takes to it."""
    page.evaluate(PATIENT, PATIENCE_MS / 1000)


def hinder_webrtc(page: Page, *, given_up_s: float) -> None:
    """Let no WebRTC come to a picture; it is given up after so long, and not before any path is."""
    page.evaluate(HINDER_WEBRTC, given_up_s)
