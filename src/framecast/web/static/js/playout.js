// Tiles show the same instant. Cameras reach us with different delays; shown as they come, somebody who walks
// from one picture into the next would leave before arriving. So every tile of the group waits for the
// slowest: a frame is painted when the server's clock reads its capture time plus one common delay.
//
// The delay is what was measured, not a setting: the largest 90th percentile of the group's own delays
// (capture to decoded). A camera that is more than CAP_MS later than the quickest is left out of the group
// and shown as it comes, since one bad link must not hold back the wall. A camera alone waits for nothing, except
// for its own sound, which comes later than the picture (`need`).

export const CAP_MS = 150;
// What is remembered of a camera: its delays of the last seconds, the newest SAMPLES of them.
const WINDOW_MS = 8_000;
const SAMPLES = 128;
const ENOUGH = 4;
const HEADROOM_MS = 3;
// The delay rises at once, since a picture that is late is late, and comes down in steps, since each step
// down shows some frame early: a fifth of the way, and at least EASE_MS.
const EASE_MS = 4;
const EASE_SHARE = 0.2;
const REVIEW_MS = 500;
const HIDDEN_MS = 16;
// A frame due within half a refresh of a 60 Hz screen is due.
const SLACK_MS = 8;
// No picture is of a later time than now. One that claims to be, by more than a clock may be off, waits for nothing: the
// clocks have parted, and the next ping will tell.
const FUTURE_MS = 1_000;

class Member {
  #delays = new Float64Array(SAMPLES);
  #times = new Float64Array(SAMPLES).fill(-Infinity);
  #at = 0;
  inStep = false;

  add(delayMs, nowMs) {
    this.#delays[this.#at] = delayMs;
    this.#times[this.#at] = nowMs;
    this.#at = (this.#at + 1) % SAMPLES;
  }

  /** 90th percentile of the recent delays; null while there are too few to say. */
  late(nowMs) {
    const recent = this.#delays.filter((_, index) => nowMs - this.#times[index] < WINDOW_MS).sort();
    return recent.length < ENOUGH ? null : recent[Math.floor(recent.length * 0.9)];
  }
}

/** The delay a group of cameras should share, and who is in it. `lates` maps a key to its late(). */
export function agree(lates) {
  const sorted = [...lates].filter(([, late]) => late !== null).sort((a, b) => a[1] - b[1]);
  const group = sorted.filter(([, late]) => late <= sorted[0][1] + CAP_MS);
  if (group.length < 2) return { delayMs: 0, keys: new Set() };
  return { delayMs: group.at(-1)[1] + HEADROOM_MS, keys: new Set(group.map(([key]) => key)) };
}

export class Playout {
  #members = new Map();
  #waiting = new Set();
  #clock;
  #raf = 0;
  #reviewedMs = 0;
  #needs = new Map();
  #partings = 0;
  #end = new AbortController();

  /** The common delay in milliseconds; 0 while fewer than two cameras play. */
  delayMs = 0;

  constructor(clock) {
    this.#clock = clock;
    // A refresh that was asked for before the page was hidden comes only when it is shown again.
    const changed = () => {
      this.#sleep();
      if (this.#waiting.size) this.#wake();
    };
    document.addEventListener("visibilitychange", changed, { signal: this.#end.signal });
  }

  close() {
    this.#end.abort();
    this.#sleep();
    this.#waiting.clear();
  }

  join(key) {
    if (!this.#members.has(key)) this.#members.set(key, new Member());
  }

  leave(key) {
    this.#members.delete(key);
  }

  /** Asks that no picture be shown earlier than `delayMs` after its capture; null takes that back. */
  need(key, delayMs) {
    if (delayMs === null) this.#needs.delete(key);
    else this.#needs.set(key, delayMs);
  }

  /** Whether this camera is shown in step with others. */
  inStep(key) {
    return this.#members.get(key)?.inStep ?? false;
  }

  /** How many are shown in step. */
  get size() {
    let size = 0;
    for (const member of this.#members.values()) size += member.inStep;
    return size;
  }

  /** Measures a frame that is ready to paint, and says how many milliseconds it should wait. */
  schedule(key, capturedMs) {
    const member = this.#members.get(key);
    if (!member) return 0;
    const now = performance.now();
    const serverNow = this.#clock.now();
    if (this.#partings !== this.#clock.partings) this.#forget();
    if (capturedMs > serverNow + FUTURE_MS) return 0;
    member.add(serverNow - capturedMs, now);
    if (now - this.#reviewedMs > REVIEW_MS) this.#review(now);
    return member.inStep ? capturedMs + this.delayMs - serverNow : 0;
  }

  get #leastMs() {
    return Math.max(0, ...this.#needs.values());
  }

  /** Calls `picture.present(capturedBeforeMs, orAfterMs)` on each screen refresh until it returns false. */
  hold(picture) {
    this.#waiting.add(picture);
    this.#wake();
  }

  release(picture) {
    this.#waiting.delete(picture);
  }

  #refresh() {
    this.#raf = 0;
    const now = this.#clock.now();
    const due = now - this.delayMs + SLACK_MS;
    for (const picture of this.#waiting) {
      if (!picture.present(due, now + FUTURE_MS)) this.#waiting.delete(picture);
    }
    if (this.#waiting.size) this.#wake();
  }

  #wake() {
    const refresh = () => this.#refresh();
    // A hidden page has no screen refreshes, and its picture may still be watched in a window of its own.
    this.#raf ||= document.hidden ? setTimeout(refresh, HIDDEN_MS) : requestAnimationFrame(refresh);
  }

  #sleep() {
    cancelAnimationFrame(this.#raf);
    clearTimeout(this.#raf);
    this.#raf = 0;
  }

  /** The clock is another one: what was measured by the old one is no delay. */
  #forget() {
    this.#partings = this.#clock.partings;
    for (const key of this.#members.keys()) this.#members.set(key, new Member());
    this.delayMs = 0;
  }

  #review(now) {
    this.#reviewedMs = now;
    const lates = new Map();
    for (const [key, member] of this.#members) lates.set(key, member.late(now));
    const agreed = agree(lates);
    const leastMs = this.#leastMs;
    const delayMs = Math.max(agreed.delayMs, leastMs);
    // Whoever would be earlier than some sound allows waits for it, alone or not.
    for (const [key, member] of this.#members) member.inStep = agreed.keys.has(key) || lates.get(key) < leastMs;
    if (delayMs === 0 || delayMs > this.delayMs) this.delayMs = delayMs;
    else this.delayMs = Math.max(delayMs, this.delayMs - Math.max(EASE_MS, (this.delayMs - delayMs) * EASE_SHARE));
  }
}
