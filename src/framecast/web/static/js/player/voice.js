// How loud a <video> is that brings its own sound (WebRTC, MSE).

import { loudness } from "./speaker.js";

const LOOK_MS = 100;
const AGAIN_MS = 1_000;
const SAMPLES = 1024;

export class VoiceMeter {
  /** Whether this browser lets it hear the <video> at all. */
  hears;

  #context = new AudioContext();
  #timer = 0;
  #askedMs = 0;

  /** @param video Plays with sound. @param onlevel Called with the level, 0 to 1, ten times a second. */
  constructor(video, onlevel) {
    const stream = video.srcObject ?? video.captureStream?.();
    this.hears = stream !== undefined;
    if (!stream?.getAudioTracks().length) return;
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = SAMPLES;
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const wave = new Float32Array(SAMPLES);
    this.#timer = setInterval(() => {
      if (this.held) return this.#resume();
      analyser.getFloatTimeDomainData(wave);
      onlevel(loudness(wave.map((sample) => sample * 32768)));
    }, LOOK_MS);
  }

  /** Whether the device plays nothing now, as during a call. */
  get held() {
    return this.#timer !== 0 && this.#context.state !== "running";
  }

  close() {
    clearInterval(this.#timer);
    this.#context.close();
  }
  #resume() {
    if (performance.now() - this.#askedMs < AGAIN_MS) return;
    this.#askedMs = performance.now();
    this.#context.resume().catch(() => {});
  }
}
