// The server's clock, as seen from here. Capture times come in the server's time; ages and synchronous
// playing need it on this side.
//
// Each ping gives one sample: the server read its clock somewhere between our sending and our receiving. The
// middle is off by half of the asymmetry at most, so the sample with the shortest round trip is the best of
// the recent ones. Samples age out, because two quartz clocks drift by some 3 ms a minute. Where two samples can't
// both be true, one of the clocks was set or stood still between them, and only the newer one counts.

const SAMPLES = 24;
const MAX_AGE_MS = 90_000;
// As far as two clocks drift apart while a sample lives.
const DRIFT_MS = 5;

export class ServerClock {
  #samples = [];
  #offsetMs = null;

  /** Round trip of the best recent sample in milliseconds, null before the first. */
  rttMs = null;

  /** How often the two clocks parted: times that were compared before mean nothing after it. */
  partings = 0;

  /** Takes one ping: local times of sending and receiving (performance.now) and the server's own. */
  sample(sentMs, receivedMs, serverNs) {
    const rttMs = receivedMs - sentMs;
    const offsetMs = serverNs / 1e6 - (sentMs + receivedMs) / 2;
    const apartMs = this.#samples.length ? Math.abs(offsetMs - this.#offsetMs) : 0;
    if (apartMs > (rttMs + this.rttMs) / 2 + DRIFT_MS) {
      this.#samples = [];
      this.partings += 1;
    }
    this.#samples.push({ rttMs, receivedMs, offsetMs });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#samples = this.#samples.filter((sample) => receivedMs - sample.receivedMs < MAX_AGE_MS);
    const best = this.#samples.reduce((a, b) => (b.rttMs < a.rttMs ? b : a));
    this.#offsetMs = best.offsetMs;
    this.rttMs = best.rttMs;
  }

  /** A first guess from a message that just came: late by its one-way time until the first ping is back. */
  guess(serverNs) {
    if (this.#samples.length === 0) this.#offsetMs = serverNs / 1e6 - performance.now();
  }

  /** Forgets everything: another server process may have another clock. */
  reset() {
    this.#samples = [];
    this.#offsetMs = null;
    this.rttMs = null;
  }

  /** The server's time now in Unix milliseconds. */
  now() {
    return this.#offsetMs === null ? Date.now() : performance.now() + this.#offsetMs;
  }
}
