// How wide a picture is asked for: no wider than it is drawn, where that costs less than the camera's own.

import { renditionWidth } from "../layout.js";

const RESIZE_MS = 150;

export class Fit {
  /** The width to ask for in pixels, 0 for the camera's own. */
  askedPx = 0;

  #element;
  #sourcePx;
  #changed;
  #widthPx = 0;
  #timer = 0;

  /**
   * @param element What is as wide as the picture. @param options `sourcePx()` (width of the camera's pictures, 0 where
   *   it is not known), `changed()` (another width is to be asked for).
   */
  constructor(element, { sourcePx, changed }) {
    this.#element = element;
    this.#sourcePx = sourcePx;
    this.#changed = changed;
  }

  /** The element or the camera's pictures may have another size. The first is settled at once. */
  look() {
    clearTimeout(this.#timer);
    if (this.#widthPx) this.#timer = setTimeout(() => this.#settle(), RESIZE_MS);
    else this.#settle();
  }

  #settle() {
    this.#widthPx = this.#element.clientWidth;
    const sourcePx = this.#sourcePx();
    const shownPx = Math.round(this.#widthPx * devicePixelRatio);
    // While the size is not known yet (no picture ever came), what was asked before stays.
    const askedPx = sourcePx && shownPx ? renditionWidth(shownPx, sourcePx) : this.askedPx;
    if (askedPx === this.askedPx) return;
    this.askedPx = askedPx;
    this.#changed();
  }
}
