// Runs beside the page: takes the microphone's samples, 128 at a time, and hands on blocks of 20 ms as s16.

const BLOCK = 320;

class Taker extends AudioWorkletProcessor {
  #block = new Int16Array(BLOCK);
  #filled = 0;

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.#block[this.#filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      this.#filled += 1;
      if (this.#filled < BLOCK) continue;
      this.port.postMessage(this.#block.buffer, [this.#block.buffer]);
      this.#block = new Int16Array(BLOCK);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("framecast-talk", Taker);
