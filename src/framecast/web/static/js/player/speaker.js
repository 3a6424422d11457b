// Plays PCM blocks at the instant of their capture plus one delay, the same by which the pictures wait.
//
// Blocks are laid end to end (thread.js) as buffers of an AudioContext, which any page may have (a worklet needs a
// secure one). The delay is what was measured: the latest block of the last seconds, and a margin. Where the blocks and
// the clock drift apart (a device's crystal is some 100 ppm off, and its stamps follow ours), a block is played up to
// 1 % faster or slower; only after a gap is the thread cut and begun anew.
//
// A telephone that rings, or another app that plays, takes the sound away, and not every browser gives it back by itself:
// while blocks come, it is asked for again and again.

import { Thread } from "./thread.js";

const MARGIN_MS = 15;
const MOST_DELAY_MS = 500;
const EASE_MS = 0.5;
const QUIETEST_DB = -60;
const FALLBACK_HZ = 48_000;
// So long a page that nobody has touched yet waits to be let sound, and any other for the device to wake.
const UNTOUCHED_MS = 300;
const WAKE_MS = 3_000;
const AGAIN_MS = 1_000;

export class Speaker {
  #clock;
  #playout;
  #context = null;
  #gain = null;
  #volume = 1;
  #ducked = false;
  #thread = null;
  #askedMs = 0;

  /** Milliseconds from capture to the ear; 0 while silent. */
  delayMs = 0;
  /** Loudness of the newest block, 0 (-60 dB and less) to 1. */
  level = 0;
  /** What came last: {rateHz, channels}, null before the first block. */
  form = null;
  /** Called with each block's level. */
  onlevel = null;

  /** @param clock ServerClock. @param playout What the pictures wait by. */
  constructor(clock, playout) {
    this.#clock = clock;
    this.#playout = playout;
  }

  get on() {
    return this.#context !== null;
  }

  /** Whether the device plays nothing now, though it was asked to. */
  get held() {
    return this.on && this.#context.state !== "running";
  }

  /** Begins to play; resolves to whether it may: browsers let no page sound without a click or a key. */
  async start() {
    if (this.#context) return true;
    const context = new AudioContext({ latencyHint: "interactive", sampleRate: this.form?.rateHz ?? FALLBACK_HZ });
    this.#context = context;
    this.#gain = context.createGain();
    this.#gain.connect(context.destination);
    this.#thread = new Thread(context, this.#gain);
    this.#applyVolume();
    // Where it is refused, a browser may leave this open for ever.
    const begun = new Promise((resolve) => context.addEventListener("statechange", resolve, { once: true }));
    this.#resume();
    const patienceMs = navigator.userActivation?.hasBeenActive === false ? UNTOUCHED_MS : WAKE_MS;
    if (context.state !== "running") await Promise.race([begun, new Promise((late) => setTimeout(late, patienceMs))]);
    return context !== this.#context || context.state === "running";
  }

  stop() {
    this.#context?.close();
    this.#context = null;
    this.#thread = null;
    this.delayMs = 0;
    this.#playout.need(this, null);
  }

  set volume(value) {
    this.#volume = value;
    this.#applyVolume();
  }

  /** Silence for now, as while talking. */
  duck(on) {
    this.#ducked = on;
    this.#applyVolume();
  }

  /** Takes a block: {rateHz, channels, capturedMs, payload}, s16le. */
  push({ rateHz, channels, capturedMs, payload }) {
    const frames = Math.floor(payload.byteLength / 2 / channels);
    if (frames === 0) return;
    // A copy where it does not lie on an even address; little-endian as every browser's machine is.
    const even = payload.byteOffset % 2 ? payload.slice() : payload;
    const samples = new Int16Array(even.buffer, even.byteOffset, frames * channels);
    this.form = { rateHz, channels };
    this.level = loudness(samples);
    this.onlevel?.(this.level);
    if (!this.#context) return;
    if (!this.held) this.#play({ samples, rateHz, channels }, capturedMs);
    else if (performance.now() - this.#askedMs > AGAIN_MS) this.#resume();
  }

  #resume() {
    this.#askedMs = performance.now();
    // Refused as long as what took the sound away goes on.
    this.#context.resume().catch(() => {});
  }

  #applyVolume() {
    if (this.#gain) this.#gain.gain.value = this.#ducked ? 0 : this.#volume;
  }

  #play(block, capturedMs) {
    const context = this.#context;
    const now = this.#clock.now();
    const outputS = context.outputLatency || context.baseLatency || 0;
    this.#adjust(now - capturedMs + outputS * 1000 + MARGIN_MS);
    this.#thread.lay(block, context.currentTime + (capturedMs + this.delayMs - now) / 1000 - outputS);
  }

  /** The delay rises at once to what is needed, and comes down slowly. */
  #adjust(neededMs) {
    const needed = Math.min(MOST_DELAY_MS, neededMs);
    this.delayMs = Math.max(needed, this.delayMs - EASE_MS);
    this.#playout.need(this, this.delayMs);
  }
}

/** Root mean square of s16 samples, as a fraction of the range from -60 dB to full scale. */
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const level = 10 * Math.log10(sum / samples.length / 32768 ** 2 || 1e-12);
  return Math.min(1, Math.max(0, 1 - level / QUIETEST_DB));
}
