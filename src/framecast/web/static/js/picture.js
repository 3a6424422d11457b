// One camera's frames, from bytes to a canvas.
//
// The browser decodes off the main thread (createImageBitmap); one decode at a time for each picture, and
// while it runs only the newest frame waits: a slow machine skips frames, it never falls behind. The bitmap
// is handed to the canvas without a copy (`bitmaprenderer`), and CSS letterboxes it.
//
// A frame is acknowledged once it is decoded: that is when there is room for another. It may then still wait
// for its instant (playout.js), 150 ms at most; waiting for that before acknowledging would cap the rate.

// Decoded frames that wait for their instant: 150 ms at 60 fps, and no more memory than that.
const QUEUE = 9;

export class Picture {
  #context;
  #ack;
  #clock;
  #playout;
  #onpaint;
  #queue = [];
  #next = null;
  #decoding = false;
  #closed = false;

  /** Size and capture time of what is on the canvas, null before the first. */
  shown = null;
  painted = 0;
  /** Frames that arrived but were overtaken by newer ones before they could be shown. */
  skipped = 0;
  /** Frames this browser could not decode. */
  broken = 0;

  /**
   * @param canvas Where to paint.
   * @param options `clock` (ServerClock), `ack(frame)`, and if the picture plays in step with others
   *   `playout`; `onpaint(frame, ageMs)` after each.
   */
  constructor(canvas, { clock, ack, playout = null, onpaint = null }) {
    this.#context = canvas.getContext("bitmaprenderer");
    this.#clock = clock;
    this.#ack = ack;
    this.#playout = playout;
    this.#onpaint = onpaint;
    playout?.join(this);
  }

  push(frame) {
    if (this.#next) {
      this.skipped += 1;
      this.#ack(this.#next);
    }
    this.#next = frame;
    if (!this.#decoding) this.#decode();
  }

  /** Drops what waits; the picture on the canvas stays. */
  clear() {
    for (const { bitmap } of this.#queue) bitmap.close();
    this.#queue.length = 0;
    this.#playout?.release(this);
  }

  close() {
    this.#closed = true;
    this.#next = null;
    this.clear();
    this.#playout?.leave(this);
  }

  /** Paints the newest frame captured before `dueMs`; whether more is waiting. Called by the playout. */
  present(dueMs) {
    let last = -1;
    for (const [index, { frame }] of this.#queue.entries()) if (frame.capturedMs <= dueMs) last = index;
    for (const [index, { frame, bitmap }] of this.#queue.splice(0, last + 1).entries()) {
      if (index === last) this.#paint(frame, bitmap);
      else this.#skip(bitmap);
    }
    return this.#queue.length > 0;
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
      if (bitmap) this.#ready(frame, bitmap);
    }
    this.#decoding = false;
  }

  #ready(frame, bitmap) {
    if (this.#closed) return bitmap.close();
    // The bytes are no longer needed, and a frame that waits should not hold them.
    frame.bytes = frame.payload.byteLength;
    frame.payload = null;
    const waitMs = this.#playout?.schedule(this, frame.capturedMs) ?? 0;
    if (waitMs <= 0 && this.#queue.length === 0) return this.#paint(frame, bitmap);
    this.#queue.push({ frame, bitmap });
    if (this.#queue.length > QUEUE) this.#skip(this.#queue.shift().bitmap);
    this.#playout.hold(this);
  }

  #skip(bitmap) {
    this.skipped += 1;
    bitmap.close();
  }

  #paint(frame, bitmap) {
    const ageMs = this.#clock.now() - frame.capturedMs;
    this.shown = { width: bitmap.width, height: bitmap.height, capturedMs: frame.capturedMs, id: frame.id };
    this.painted += 1;
    // Handing a bitmap over doesn't resize the canvas, and CSS letterboxes by the canvas's own size.
    const { canvas } = this.#context;
    if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
    if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
    // Takes the bitmap over: nothing is left to close.
    this.#context.transferFromImageBitmap(bitmap);
    this.#onpaint?.(frame, ageMs);
  }
}
