// Lays PCM blocks end to end in an AudioContext, as one continuous sound.
//
// Buffers of another rate than the context's would be brought to it each for itself: at every edge the filter begins
// anew, and the next buffer between two samples. One resampler over all edges makes buffers that are whole samples of
// the context, put one behind the other. It bends the rate, too: up to 1 % leads a block to where it should be; only
// from further away the thread is cut and begun anew.

// Further than this from where it should be, a block is put there instead of led there.
const LEAP_S = 0.08;
const BEND = 0.25;
const MOST_BEND = 0.01;

export class Thread {
  #context;
  #into;
  #resampler = null;
  /** Sample of the context after the last that was laid. */
  #next = 0;
  #playing = new Set();

  /** @param context AudioContext. @param into The node that is played into. */
  constructor(context, into) {
    this.#context = context;
    this.#into = into;
  }

  /** Time of the context at which the thread ends. */
  get endS() {
    return this.#next / this.#context.sampleRate;
  }

  /** Lays a block, {samples (s16, interleaved), rateHz, channels}, which should be heard at `wantedS`. */
  lay({ samples, rateHz, channels }, wantedS) {
    const { currentTime: nowS, sampleRate } = this.#context;
    const offS = wantedS - this.endS;
    const astray = Math.abs(offS) > LEAP_S || this.endS < nowS || this.#resampler?.channels !== channels;
    if (astray) {
      if (wantedS < nowS - samples.length / channels / rateHz) return; // all of it is past
      this.#next = Math.ceil(Math.max(wantedS, nowS) * sampleRate);
      for (const source of this.#playing) source.stop(this.endS);
      this.#resampler = new Resampler(channels);
    }
    const bend = astray ? 0 : Math.max(-MOST_BEND, Math.min(MOST_BEND, offS * BEND));
    const laid = this.#resampler.push(samples, (rateHz / sampleRate) * (1 - bend));
    const length = laid[0].length;
    if (!length) return;
    const buffer = this.#context.createBuffer(channels, length, sampleRate);
    for (let channel = 0; channel < channels; channel += 1) buffer.copyToChannel(laid[channel], channel);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#into);
    source.start(this.endS);
    this.#next += length;
    this.#playing.add(source);
    source.addEventListener("ended", () => this.#playing.delete(source));
  }
}

/** Brings samples to another rate by a cubic through the four nearest, which reach over the edges of blocks. */
class Resampler {
  #before;
  /** Where the next sample lies among those kept from before and the next block's; the first sample is 0. */
  #at = 1;

  constructor(channels) {
    this.channels = channels;
    this.#before = Array.from({ length: channels }, () => new Float32Array(3));
  }

  /** s16 in, interleaved; a Float32Array for each channel out, one sample for every `step` of them. */
  push(samples, step) {
    const kept = this.#before[0].length;
    const length = kept + samples.length / this.channels;
    // The last sample that has two behind it: later ones wait for the next block.
    const count = Math.max(0, Math.ceil((length - 2 - this.#at) / step));
    const endAt = this.#at + count * step;
    const keep = Math.min(length, Math.floor(endAt) - 1);
    const out = this.#before.map((before, channel) => {
      const wave = new Float32Array(length);
      wave.set(before);
      for (let at = kept; at < length; at += 1) {
        wave[at] = samples[(at - kept) * this.channels + channel] / 32768;
      }
      this.#before[channel] = wave.slice(keep);
      const into = new Float32Array(count);
      for (let index = 0; index < count; index += 1) into[index] = between(wave, this.#at + index * step);
      return into;
    });
    this.#at = endAt - keep;
    return out;
  }
}

/** The wave between two samples (Catmull and Rom's spline). */
function between(wave, at) {
  const index = Math.floor(at);
  const part = at - index;
  const a = wave[index - 1];
  const b = wave[index];
  const c = wave[index + 1];
  const d = wave[index + 2];
  return b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)));
}
