// The sound of a player: off until asked for, played by the path's own <video> or by the speaker, with a level.

import { Speaker } from "./speaker.js";
import { VoiceMeter } from "./voice.js";

const SILENT_MS = 4_000;

export class Sound {
  speaker;

  #on = false;
  #metered;
  #meter = null;
  #voice = null;
  #volume = 1;
  #heardMs = 0;
  #sinceMs = 0;
  #said;
  #told = false;

  /** @param options `clock`, `playout`, `metered` (a level though it is silent), `level(value)`, `said(text)`. */
  constructor({ clock, playout, metered, level, said }) {
    this.speaker = new Speaker(clock, playout);
    this.#metered = metered;
    this.#said = said;
    this.level = (value) => {
      this.#heardMs = performance.now();
      level(value);
    };
    this.speaker.onlevel = this.level;
  }

  get on() {
    return this.#on;
  }

  /** Whether a path should bring blocks of sound beside its pictures. */
  get wanted() {
    return this.#on || (this.#metered && !navigator.connection?.saveData);
  }

  get volume() {
    return this.#volume;
  }

  set volume(value) {
    this.#volume = Math.min(1, Math.max(0, value));
    this.speaker.volume = this.#volume;
    if (this.#voice) this.#voice.volume = this.#volume;
  }

  /** Whether any was heard lately. */
  get flows() {
    return performance.now() - this.#heardMs < SILENT_MS;
  }

  async turn(on) {
    this.#on = on;
    this.#sinceMs = performance.now();
    this.#told = false;
    if (!on) return this.speaker.stop();
    await this.speaker.start().catch((error) => this.#said(`No sound: ${error.message}`));
  }

  /** Another path plays: `voice` is its own <video> with sound, null where blocks of sound come beside it. */
  follow(voice) {
    this.#meter?.close();
    this.#meter = null;
    this.#voice = this.#on ? voice : null;
    if (!this.#voice) return;
    this.#voice.volume = this.#volume;
    this.#meter = new VoiceMeter(this.#voice, this.level);
    this.#voice.play().catch(() => this.#said("The browser lets no page sound by itself. Press the button again."));
  }

  /** Silence for now, as while talking. */
  duck(on) {
    this.speaker.duck(on);
    if (this.#voice) this.#voice.muted = on;
  }

  /** Says so once where none comes; to be called now and then. */
  look(live) {
    if (!this.#on || !live || this.#told || this.flows) return;
    if (performance.now() - this.#sinceMs < SILENT_MS) return;
    this.#told = true;
    this.#said("This camera sends no sound.");
  }

  /** What plays, in words. */
  get text() {
    if (!this.#on) return "";
    const { form, delayMs } = this.speaker;
    if (this.#voice || !form || !delayMs) return this.flows ? "On" : "On, none comes";
    const channels = form.channels === 1 ? "mono" : "stereo";
    return `PCM ${form.rateHz / 1000} kHz ${channels}, ${Math.round(delayMs)} ms after its capture`;
  }

  close() {
    this.#meter?.close();
    this.speaker.stop();
  }
}
