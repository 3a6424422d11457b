// From what a path has counted to the numbers of a second.

import { bitrate, duration, fps } from "../format.js";

const SECOND_MS = 1_000;

export class Rates {
  #beforeMs = 0;
  #before = null;
  #path = null;
  #frames = 0;

  /** Pictures shown since the path began. */
  get frames() {
    return this.#path?.frames ?? this.#frames;
  }

  /** Capture time of the picture that is shown, Unix ms; null where it is not known. */
  capturedMs = null;

  /** When the picture that is shown came to be shown, by performance.now(); null before the first. */
  shownMs = null;

  /** Another path begins; null: none is there for now, and its last picture stays. */
  reset(path) {
    this.#frames = path ? 0 : this.frames;
    this.#path = path;
    this.#before = null;
    if (!path) return;
    this.#before = { frames: path.frames, bytes: path.bytes };
    this.#beforeMs = performance.now();
  }

  /** The numbers since the last call, null before a second has passed. */
  second(path) {
    if (path?.frames) {
      this.capturedMs = path.capturedMs || null;
      this.shownMs = path.shownMs;
    }
    const now = performance.now();
    const passedMs = now - this.#beforeMs;
    if (passedMs < SECOND_MS * 0.9) return null;
    this.#beforeMs = now;
    const stats = path?.stats() ?? { codec: "", width: 0, height: 0, frames: 0, drops: 0, bytes: 0, quality: null };
    const before = this.#before ?? stats;
    this.#before = stats;
    const perSecond = (name) => Math.max(0, ((stats[name] - before[name]) * SECOND_MS) / passedMs);
    return {
      ...stats,
      latencyMs: stats.latencyMs ?? null,
      fps: perSecond("frames"),
      bitrateBps: perSecond("bytes") * 8,
      qualityText: qualityText(stats.quality),
    };
  }
}

/** What the server chose, and why: "medium, 640 px, 15 fps: your link is slow". */
function qualityText(quality) {
  if (!quality) return "";
  const { level, width, fps: rate, reason } = quality;
  const parts = [level, width ? `${width} px` : "", rate ? `${Math.round(rate)} fps` : ""].filter(Boolean);
  return parts.join(", ") + (reason ? `: ${reason}` : "");
}

/** The one line of the bar. */
export function summary({ state, title, codec, latencyMs, bitrateBps, fps: rate, path, quality }) {
  if (state !== "live" || !path) return "";
  const [short] = codec.split(" ");
  const level = quality?.level && quality.level !== "source" ? quality.level : "";
  const parts = [title, title.includes(short) ? "" : short, level, fps(rate), bitrateBps ? bitrate(bitrateBps) : ""];
  return [...parts, latencyMs === null ? "" : duration(latencyMs)].filter(Boolean).join(" · ");
}
