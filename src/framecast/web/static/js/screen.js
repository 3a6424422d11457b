// The canvas at the end of a path that decodes by itself: decoded pictures go in, and are painted at once or at the
// instant the playout names.
//
// A bitmap is handed to the canvas without a copy (`bitmaprenderer`), and CSS letterboxes it.

// Decoded frames that wait for their instant: a quarter of a second at 60 fps, and no more memory than that.
const QUEUE = 15;

export class Screen {
  #context;
  #clock;
  #playout;
  #onpaint;
  #queue = [];
  #closed = false;

  /** Size, capture time and id of what is on the canvas, null before the first. */
  shown = null;
  painted = 0;
  /** Decoded frames that were overtaken by newer ones before their instant came. */
  skipped = 0;

  /**
   * @param canvas Where to paint.
   * @param options `clock` (ServerClock); if the picture plays in step with others, `playout`;
   *   `onpaint(frame, ageMs)` after each.
   */
  constructor(canvas, { clock, playout = null, onpaint = null }) {
    this.#context = canvas.getContext("bitmaprenderer");
    this.#clock = clock;
    this.#playout = playout;
    this.#onpaint = onpaint;
    playout?.join(this);
  }

  /** Takes a decoded picture, and closes it when it is not needed any more. */
  show(frame, bitmap) {
    if (this.#closed) return bitmap.close();
    const waitMs = this.#playout?.schedule(this, frame.capturedMs) ?? 0;
    if (waitMs <= 0 && this.#queue.length === 0) return this.#paint(frame, bitmap);
    this.#queue.push({ frame, bitmap });
    if (this.#queue.length > QUEUE) this.#skip(this.#queue.shift().bitmap);
    this.#playout.hold(this);
  }

  /** Drops what waits; the picture on the canvas stays. */
  clear() {
    for (const { bitmap } of this.#queue) bitmap.close();
    this.#queue.length = 0;
    this.#playout?.release(this);
  }

  close() {
    this.#closed = true;
    this.clear();
    this.#playout?.leave(this);
  }

  /** Paints the newest frame captured before `dueMs` or after `beyondMs`; whether more waits. Called by the playout. */
  present(dueMs, beyondMs) {
    let last = -1;
    for (const [index, { frame }] of this.#queue.entries()) {
      if (frame.capturedMs <= dueMs || frame.capturedMs > beyondMs) last = index;
    }
    for (const [index, { frame, bitmap }] of this.#queue.splice(0, last + 1).entries()) {
      if (index === last) this.#paint(frame, bitmap);
      else this.#skip(bitmap);
    }
    return this.#queue.length > 0;
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
