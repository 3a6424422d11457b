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
  #heardMs = -Infinity;
  #sinceMs = 0;
  #ducked = false;
  #said;
  #refused;
  #told = false;

  /**
   * @param options `clock`, `playout`, `metered` (a level though it is silent), `level(value)`, `said(text)`,
   *   `refused()` (the browser plays none; to turn it off).
   */
  constructor({ clock, playout, metered, level, said, refused }) {
    this.speaker = new Speaker(clock, playout);
    this.#metered = metered;
    this.#said = said;
    this.#refused = refused;
    this.level = (value) => {
      this.#heardMs = performance.now();
      level(value);
    };
    this.speaker.onlevel = this.level;
  }

  get on() {
    return this.#on;
  }

  /** Whether its level is wanted though it is silent. */
  get metered() {
    return this.#metered && !navigator.connection?.saveData;
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
    this.#told = false;
    this.follow(this.#voice);
    if (!on) return this.speaker.stop();
    try {
      if (!(await this.speaker.start())) this.refuse();
    } catch (error) {
      this.#said(`No sound: ${error.message}`);
    }
  }

  /** Another path plays: `voice` is its own <video> with sound, null where blocks of sound come beside it. */
  follow(voice) {
    this.#meter?.close();
    this.#meter = null;
    this.#voice = voice;
    this.#sinceMs = performance.now();
    if (!voice) return;
    voice.volume = this.#volume;
    this.#hush();
    if (this.#on) this.#meter = new VoiceMeter(voice, this.level);
    // What was refused with sound stands still until it is played without.
    voice.play().catch((error) => error.name === "NotAllowedError" && this.refuse());
  }

  /** The browser plays none: turns it off, and says so. */
  refuse() {
    if (!this.#on) return;
    this.#refused();
    this.#said("The browser lets no page sound by itself. Press the button.");
  }

  /** Silence for now, as while talking. */
  duck(on) {
    this.#ducked = on;
    this.speaker.duck(on);
    this.#hush();
  }

  /** Says so once where none comes; to be called now and then. */
  look(live) {
    if (!this.#on || !live || this.#told || this.flows || this.#unknown) return;
    if (performance.now() - this.#sinceMs < SILENT_MS) return;
    this.#told = true;
    this.#said("This camera sends no sound. If it has a microphone, put its address into Settings, “Address of its sound”.");
  }

  /** What plays, in words. */
  get text() {
    if (!this.#on) return "";
    const { form, delayMs } = this.speaker;
    if ((this.#meter ?? this.speaker).held) return "On, held up by this device";
    if (this.#voice || !form || !delayMs) return this.flows || this.#unknown ? "On" : "On, none comes";
    const channels = form.channels === 1 ? "mono" : "stereo";
    return `PCM ${form.rateHz / 1000} kHz ${channels}, ${Math.round(delayMs)} ms after its capture`;
  }

  close() {
    this.#meter?.close();
    this.speaker.stop();
  }

  /** Whether sound may play that no meter can hear. */
  get #unknown() {
    return this.#meter !== null && (!this.#meter.hears || this.#meter.held);
  }

  #hush() {
    if (this.#voice) this.#voice.muted = !this.#on || this.#ducked;
  }
}
