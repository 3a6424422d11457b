// One camera's JPEGs, from bytes to a canvas.
//
// The browser decodes off the main thread (createImageBitmap); one decode at a time for each picture, and
// while it runs only the newest frame waits: a slow machine skips frames, it never falls behind.
//
// A frame is acknowledged once it is decoded: that is when there is room for another. It may then still wait
// for its instant (playout.js); waiting for that before acknowledging would cap the rate.

import { Screen } from "./screen.js";

export class Picture {
  #screen;
  #ack;
  #next = null;
  #decoding = false;
  #closed = false;
  #overtaken = 0;

  /** Frames this browser could not decode. */
  broken = 0;

  /**
   * @param canvas Where to paint.
   * @param options `clock` (ServerClock), `ack(frame)`, and if the picture plays in step with others
   *   `playout`; `onpaint(frame, ageMs)` after each.
   */
  constructor(canvas, { clock, ack, playout = null, onpaint = null }) {
    this.#screen = new Screen(canvas, { clock, playout, onpaint });
    this.#ack = ack;
  }

  /** Size, capture time and id of what is on the canvas, null before the first. */
  get shown() {
    return this.#screen.shown;
  }

  get painted() {
    return this.#screen.painted;
  }

  /** Frames that arrived but were overtaken by newer ones before they could be shown. */
  get skipped() {
    return this.#overtaken + this.#screen.skipped;
  }

  push(frame) {
    if (this.#next) {
      this.#overtaken += 1;
      this.#ack(this.#next);
    }
    this.#next = frame;
    if (!this.#decoding) this.#decode();
  }

  /** Drops what waits; the picture on the canvas stays. */
  clear() {
    this.#screen.clear();
  }

  close() {
    this.#closed = true;
    this.#next = null;
    this.#screen.close();
  }

  async #decode() {
    this.#decoding = true;
    while (this.#next && !this.#closed) {
      const frame = this.#next;
      this.#next = null;
      let bitmap = null;
      try {
        bitmap = await createImageBitmap(new Blob([frame.payload], { type: "image/jpeg" }));
      } catch {
        // Passed the server's gate and still does not decode here: counted, and the last picture stays.
        this.broken += 1;
      }
      this.#ack(frame);
      // The bytes are no longer needed, and a frame that waits should not hold them.
      frame.bytes = frame.payload.byteLength;
      frame.payload = null;
      if (bitmap) this.#screen.show(frame, bitmap);
    }
    this.#decoding = false;
  }
}
