// Which look belongs to the picture that is on the screen.
//
// A look comes later than its picture by an inference. Where pictures are shown at once, the newest look is drawn over
// one that was taken since; where they wait (in step with others, for their sound, in a <video>), a look waits for its
// own. One that is older than a second, or than two intervals of the looks, is no longer true and is drawn no more.
// What moves goes on as it went over the last looks, for half a second at most (as in process/drift.py).

const HOLDS_MS = 1_000;
const INTERVALS = 2;
// Looks that are further apart are no rhythm.
const LONGEST_INTERVAL_MS = 5_000;
// What a path says of a capture time has gone through a clock or two.
const SLACK_MS = 3;
const MOST_HELD = 100;
const MOST_DRIFT_MS = 500;
// Of the last two looks in what is taken for a thing's speed; the rest is that of before.
const NEWEST_SHARE = 0.5;
const LONGEST_GAP_MS = 1_000;

const key = ({ label, track }) => `${label} ${track}`;
const middle = ({ box: [x, y, width, height] }) => [x + width / 2, y + height / 2];

/** How things move from one look to the next: label and track -> [across, down] in pictures a millisecond. */
function speeds(before, look) {
  const found = new Map();
  const gapMs = look.capturedMs - before.capturedMs;
  if (!(gapMs > 0 && gapMs <= LONGEST_GAP_MS)) return found;
  const old = new Map(before.things.filter(({ track, seen }) => track && seen).map((thing) => [key(thing), thing]));
  for (const thing of look.things) {
    const was = old.get(key(thing));
    if (!was || !thing.seen) continue;
    const newest = middle(thing).map((at, axis) => (at - middle(was)[axis]) / gapMs);
    const known = before.speeds.get(key(thing)) ?? newest;
    found.set(
      key(thing),
      known.map((speed, axis) => speed + NEWEST_SHARE * (newest[axis] - speed)),
    );
  }
  return found;
}

/** How far a thing of a look has gone by a picture taken then: [across, down] in pictures. */
export function driftOf(look, thing, capturedMs) {
  const ageMs = Math.min(MOST_DRIFT_MS, Math.max(-MOST_DRIFT_MS, capturedMs - look.capturedMs));
  return look.speeds.get(key(thing))?.map((speed) => speed * ageMs) ?? [0, 0];
}

export class Looks {
  #held = [];
  #current = null;
  #newest = null;

  /** Takes what the server told: {pts_ns, epoch, things, …}. */
  push(told) {
    const capturedMs = Number(BigInt(told.pts_ns) / 1000n) / 1000;
    const look = { ...told, capturedMs, holdsMs: HOLDS_MS, speeds: new Map() };
    const before = this.#newest;
    if (before?.epoch === look.epoch) {
      const intervalMs = Math.min(look.capturedMs - before.capturedMs, LONGEST_INTERVAL_MS);
      look.holdsMs = Math.max(HOLDS_MS, INTERVALS * intervalMs);
      look.speeds = speeds(before, look);
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

  /** The newest look, where of the picture no more is known than that it is shown at once; `nowMs` by the server. */
  newest(nowMs) {
    return this.#holds(this.#newest, nowMs);
  }

  #holds(look, capturedMs) {
    return look && Math.abs(capturedMs - look.capturedMs) <= look.holdsMs + SLACK_MS ? look : null;
  }
}
