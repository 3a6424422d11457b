// H.264 over the WebSocket, decoded by the page (WebCodecs): the bandwidth of video at the delay of single pictures.
// Access units come in Annex B, with their parameter sets before each key picture, so the decoder needs no description.
//
// A picture is acknowledged when it is decoded. One that can't be decoded makes the following ones useless: the
// decoder is made anew, and the server is asked for a key picture.

import { h } from "../dom.js";
import { H264, VIDEO } from "../media.js";
import { Screen } from "../screen.js";
import { SocketPath } from "./path.js";

// Errors of the decoder within that time that mean it can't cope with this stream.
const MOST_ERRORS = 4;
const ERRORS_MS = 15_000;

export class WebCodecsPath extends SocketPath {
  form = "h264";
  element = h("canvas");

  #screen = null;
  #decoder = null;
  #config = "";
  #wanted = "";
  #needsKey = true;
  #waiting = new Map();
  #chain = Promise.resolve();
  #errors = [];
  #skipped = 0;

  start() {
    this.#screen = new Screen(this.element, {
      clock: this.host.server.clock,
      playout: this.host.playout,
      onpaint: (_, ageMs) => {
        const { width, height } = this.#screen.shown;
        this.drops = this.#skipped + this.#screen.skipped;
        this.shown(width, height, ageMs);
      },
    });
    super.start();
  }

  stop() {
    super.stop();
    this.#close();
    this.#screen?.close();
  }

  formed({ codec }) {
    this.#wanted = codec;
    this.codec = `H.264 (${codec})`;
  }

  take(message) {
    if (message.kind !== VIDEO || message.codec !== H264 || !this.#wanted) return this.ack(message);
    if (message.key && (!this.#decoder || this.#config !== this.#wanted)) this.#open();
    if (this.#needsKey && !message.key) {
      this.#skipped += 1;
      return this.ack(message);
    }
    this.#needsKey = false;
    const timestamp = Math.round(message.capturedMs * 1000);
    const chunk = new EncodedVideoChunk({ type: message.key ? "key" : "delta", timestamp, data: message.payload });
    message.payload = null;
    this.#waiting.set(timestamp, message);
    try {
      this.#decoder.decode(chunk);
    } catch (error) {
      this.#failed(error);
    }
  }

  #open() {
    this.#close();
    this.#config = this.#wanted;
    const decoder = new VideoDecoder({
      output: (picture) => this.#decoded(picture),
      error: (error) => decoder === this.#decoder && this.#failed(error),
    });
    this.#decoder = decoder;
    decoder.configure({ codec: this.#wanted, optimizeForLatency: true });
  }

  #close() {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = null;
    this.#needsKey = true;
    for (const message of this.#waiting.values()) this.ack(message);
    this.#skipped += this.#waiting.size;
    this.#waiting.clear();
  }

  #failed(error) {
    this.#close();
    const now = performance.now();
    this.#errors = [...this.#errors.filter((at) => now - at < ERRORS_MS), now];
    if (error.name === "NotSupportedError" || this.#errors.length >= MOST_ERRORS) {
      return this.fail(`This browser can't decode ${this.#config}: ${error.message}`);
    }
    this.dashboard.askKey(this.#number);
  }

  get #number() {
    return this.dashboard.cameras.get(this.host.camera)?.number;
  }

  #decoded(picture) {
    const message = this.#waiting.get(picture.timestamp);
    // All that were due before it and never came out of the decoder.
    for (const [timestamp] of this.#waiting) if (timestamp <= picture.timestamp) this.#waiting.delete(timestamp);
    if (!message || this.stopped) return picture.close();
    this.ack(message);
    // In their order; a copy, since a decoder has few pictures of its own to lend.
    this.#chain = this.#chain.then(() => this.#paint(message, picture));
  }

  async #paint(message, picture) {
    try {
      const bitmap = await createImageBitmap(picture);
      this.#screen.show(message, bitmap);
    } catch {
      this.#skipped += 1;
    } finally {
      picture.close();
    }
  }
}
