// Which look belongs to the picture that is on the screen.
//
// A look comes later than its picture by an inference. Where pictures are shown at once, the newest look is drawn over
// one that was taken since; where they wait (in step with others, for their sound, in a <video>), a look waits for its
// own. One that is older than a second, or than two intervals of the looks, is no longer true and is drawn no more.

const HOLDS_MS = 1_000;
const INTERVALS = 2;
// Looks that are further apart are no rhythm.
const LONGEST_INTERVAL_MS = 5_000;
// What a path says of a capture time has gone through a clock or two.
const SLACK_MS = 3;
const MOST_HELD = 100;

export class Looks {
  #held = [];
  #current = null;
  #newest = null;

  /** Takes what the server told: {pts_ns, epoch, things, …}. */
  push(told) {
    const look = { ...told, capturedMs: Number(BigInt(told.pts_ns) / 1000n) / 1000, holdsMs: HOLDS_MS };
    const before = this.#newest;
    if (before?.epoch === look.epoch) {
      const intervalMs = Math.min(look.capturedMs - before.capturedMs, LONGEST_INTERVAL_MS);
      look.holdsMs = Math.max(HOLDS_MS, INTERVALS * intervalMs);
    } else this.clear();
    this.#newest = look;
    this.#held.push(look);
    if (this.#held.length > MOST_HELD) this.#current = this.#held.shift();
  }

  clear() {
    this.#held.length = 0;
    this.#current = this.#newest = null;
  }

  /** The look for a picture taken then (Unix ms); null where none is true of it. */
  at(capturedMs) {
    while (this.#held.length && this.#held[0].capturedMs <= capturedMs + SLACK_MS) this.#current = this.#held.shift();
    return this.#holds(this.#current, capturedMs);
  }

  /** The newest look, where nothing is known of the picture but that it is shown at once; `nowMs` is the server's time. */
  newest(nowMs) {
    return this.#holds(this.#newest, nowMs);
  }

  #holds(look, capturedMs) {
    return look && Math.abs(capturedMs - look.capturedMs) <= look.holdsMs + SLACK_MS ? look : null;
  }
}
