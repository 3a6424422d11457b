// H.264 in fragments of MP4, played by the browser's own <video> (Media Source Extensions): over the WebSocket, or,
// where none gets through, from stream.mp4.
//
// A <video> waits for data in stock. It is kept short: `LEAD_S` ahead of what is shown, more after it ran dry, and less
// again with time; the rate of playing is bent to get there, and beyond `LEAP_S` the player leaps.
//
// A fragment is acknowledged when the browser has taken it. When it is shown would be too late: the <video> does not
// begin before it has more than the server would send without an acknowledgement.

import { Cutter, mimeOf, stretch, videoTime } from "./boxes.js";
import { SocketPath } from "./path.js";
import { liveVideo, streamQuery, watchFrames } from "./video.js";

const LEAD_S = 0.06;
const MOST_LEAD_S = 0.8;
const LEAP_S = 1.5;
const KEEP_S = 8;
const TRIM_S = 16;
const STEER_MS = 100;
// A picture is said to last so long at least, and so many intervals.
const LASTS_S = 0.4;
const LASTS_INTERVALS = 3;
const ASK_MS = 1_000;
// Where appending can't keep up, what waits is old anyway.
const MOST_WAITING = 120;
const REMEMBERED = 240;

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** Whether this browser can. */
export const hasMediaSource = Source !== undefined;

export class MsePath extends SocketPath {
  form = "mp4";

  #source = null;
  #buffer = null;
  #mime = "";
  #queue = [];
  #timer = 0;
  #unwatch = null;
  #leadS = LEAD_S;
  #intervalS = 0.04;
  #beforeS = null;
  /** Each rendition has a media time of its own; what its init segment says brings all to that of the first. */
  #zeroMs = null;
  #offsetS = 0;
  /** Media and capture time of the pictures on the way to the screen. */
  #known = [];
  #abort = null;
  #askedMs = 0;

  start() {
    this.element = liveVideo(this.wish.sound);
    this.element.addEventListener("waiting", () => (this.#leadS = Math.min(MOST_LEAD_S, this.#leadS * 1.5)));
    this.element.addEventListener("error", () => this.fail(`The player gave up: ${this.element.error?.message}`));
    this.#source = new Source();
    this.#source.addEventListener("sourceopen", () => this.#append(), { once: true });
    this.element.src = URL.createObjectURL(this.#source);
    this.#unwatch = watchFrames(this.element, (metadata) => this.#painted(metadata));
    this.#timer = setInterval(() => this.#steer(), STEER_MS);
    if (this.host.server.dashboard.blocked) this.#overHttp();
    else super.start();
  }

  stop() {
    super.stop();
    clearInterval(this.#timer);
    this.#unwatch?.();
    this.#abort?.abort();
    this.element.pause();
    const address = this.element.src;
    if (this.#source.readyState === "closed") {
      // Not begun yet: it would look for what is about to be gone.
      this.element.removeAttribute("src");
      this.element.load();
    }
    URL.revokeObjectURL(address);
  }

  get voice() {
    return this.wish.sound ? this.element : null;
  }

  get listens() {
    return this.wish.sound;
  }

  /** Over HTTP all of it stands in the address; and a buffer can't get a track of sound later. */
  get follows() {
    return this.#abort ? [] : ["quality", "width", "fps"];
  }

  blocked() {
    // Should the socket get through after all, it would bring the same stream once more.
    this.leave();
    this.#overHttp();
  }

  formed({ mime, codec }) {
    if (mime) this.#mime = mime;
    if (codec) this.codec = `H.264 (${codec})`;
  }

  take(message) {
    const { init, payload, capturedMs } = message;
    if (init && capturedMs !== undefined) {
      this.#zeroMs ??= capturedMs;
      this.#offsetS = message.offsetS = (capturedMs - this.#zeroMs) / 1000;
    }
    const mediaS = init ? null : videoTime(payload);
    if (mediaS !== null) {
      const timeS = mediaS + this.#offsetS;
      if (this.#beforeS !== null && timeS > this.#beforeS) this.#intervalS = Math.min(1, timeS - this.#beforeS);
      this.#beforeS = timeS;
      stretch(payload, Math.max(LASTS_S, LASTS_INTERVALS * this.#intervalS));
      this.#known.push({ timeS, capturedMs });
      if (this.#known.length > REMEMBERED) this.#known.shift();
    }
    this.#queue.push(message);
    if (this.#queue.length > MOST_WAITING) this.fail("This browser can't keep up.");
    else this.#append();
  }

  async #overHttp() {
    this.#abort = new AbortController();
    this.holdsBack("");
    const query = streamQuery(this.wish);
    try {
      const path = `api/v1/cameras/${encodeURIComponent(this.host.camera)}/stream.mp4?${query}`;
      const answer = await this.host.server.fetch(path, { signal: this.#abort.signal });
      const reader = answer.body.getReader();
      const cutter = new Cutter();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.bytes += value.byteLength;
        for (const part of cutter.push(value)) this.take(part);
      }
      this.fail("The stream ended.");
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error.message);
    }
  }

  #append() {
    if (this.#source.readyState !== "open" || this.#buffer?.updating || this.stopped) return;
    this.#check();
    const next = this.#queue.shift();
    if (!next) return this.#trim();
    try {
      if (next.init) this.#open(next);
      this.#buffer?.appendBuffer(next.payload);
      if (next.id !== undefined && !next.init) this.ack(next);
    } catch (error) {
      this.fail(`The player refused the stream: ${error.message}`);
    }
  }

  /** Whether the browser has kept the last picture; after a gap it keeps none until a key picture. */
  #check() {
    const ranges = this.#buffer?.buffered;
    const now = performance.now();
    if (!ranges?.length || this.#queue.length || now - this.#askedMs < ASK_MS) return;
    if (ranges.end(ranges.length - 1) >= this.#beforeS) return;
    this.#askedMs = now;
    const number = this.dashboard?.cameras.get(this.host.camera)?.number;
    if (number !== undefined) this.dashboard.askKey(number);
  }

  #open({ payload, offsetS = 0 }) {
    const mime = mimeOf(payload) || this.#mime;
    if (!Source.isTypeSupported(mime)) return this.fail(`This browser can't play ${mime}.`);
    this.codec = `H.264 (${/avc1\.\w+/.exec(mime)?.[0] ?? ""})`;
    if (this.#buffer) {
      this.#buffer.changeType(mime);
      this.#buffer.timestampOffset = offsetS;
      return;
    }
    this.#buffer = this.#source.addSourceBuffer(mime);
    this.#buffer.addEventListener("updateend", () => this.#append());
  }

  #trim() {
    const { element: video } = this;
    if (!this.#buffer?.buffered.length || video.currentTime - this.#buffer.buffered.start(0) < TRIM_S) return;
    this.#buffer.remove(0, video.currentTime - KEEP_S);
  }

  #steer() {
    const { element: video } = this;
    const ranges = video.buffered;
    if (!ranges.length || this.stopped) return;
    const begin = ranges.start(ranges.length - 1);
    // Not where the last range ends: its last picture was stretched.
    const end = Math.max(begin, this.#beforeS) + this.#intervalS;
    const lead = end - video.currentTime;
    const target = this.#leadS + this.#intervalS;
    if (video.currentTime < begin || lead > LEAP_S + target) video.currentTime = Math.max(begin, end - target);
    else if (lead > target + 0.02) video.playbackRate = Math.min(1.5, 1 + (lead - target) * 2);
    else if (lead < 0) {
      video.playbackRate = 0.5;
      this.#leadS = Math.min(MOST_LEAD_S, this.#leadS * 1.2);
    } else video.playbackRate = lead < target - 0.04 ? 0.95 : 1;
    this.#leadS = Math.max(LEAD_S, this.#leadS * 0.998);
    if (video.paused && !document.hidden) video.play().catch(() => {});
  }

  #painted({ mediaTime, width, height }) {
    let shown = null;
    // Half a tick of its clock: the browser tells media times in microseconds.
    while (this.#known.length && this.#known[0].timeS <= mediaTime + 0.0005) {
      if (shown) this.drops += 1;
      shown = this.#known.shift();
    }
    const capturedMs = shown?.capturedMs;
    this.shown(width, height, capturedMs === undefined ? null : this.host.server.clock.now() - capturedMs);
  }
}
