"""What Chromium's <img> shows, read from the canvas: for tests and for the bench."""

from __future__ import annotations

from pathlib import Path

BLOCKCODE = Path(__file__).parent / "blockcode.js"
"""Takes the block code from an ImageData; its text is the first argument of the functions here."""

SHOWN_BY_IMG = """
async ([source, path, milliseconds]) => {
  const code = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  const img = new Image();
  img.src = path;
  document.body.append(img);
  const seen = new Map();
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    if (!img.naturalWidth) continue;
    const shown = code.readBlockCodeFrom(img, img.naturalWidth, img.naturalHeight);
    if (shown && !seen.has(shown.frameId))
      seen.set(shown.frameId, performance.timeOrigin + performance.now() - shown.timeMs);
  }
  img.remove();
  return [...seen.entries()];
}
"""
"""Page function of (source, path, milliseconds): [frame id, its age in ms when first on the canvas] of each frame."""
