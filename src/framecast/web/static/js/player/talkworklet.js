// Runs beside the page: takes the microphone's samples, 128 at a time at the rate of the machine, and hands on blocks
// of 20 ms at 16 kHz as s16. Each sample is the mean of those it stands for, which is filter enough for speech.

const RATE_HZ = 16_000;
const BLOCK = 320;

class Taker extends AudioWorkletProcessor {
  #block = new Int16Array(BLOCK);
  #filled = 0;
  #sum = 0;
  #count = 0;
  #phase = 0;

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.#sum += sample;
      this.#count += 1;
      this.#phase += RATE_HZ;
      for (; this.#phase >= sampleRate; this.#phase -= sampleRate) this.#put(this.#sum / this.#count);
      if (this.#phase < RATE_HZ) this.#sum = this.#count = 0;
    }
    return true;
  }

  #put(value) {
    this.#block[this.#filled] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
    this.#filled += 1;
    if (this.#filled < BLOCK) return;
    this.port.postMessage(this.#block.buffer, [this.#block.buffer]);
    this.#block = new Int16Array(BLOCK);
    this.#filled = 0;
  }
}

registerProcessor("framecast-talk", Taker);
