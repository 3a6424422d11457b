// The tables of what is known of a camera: a term, and a value that is written again and again.

import { h, setText } from "./dom.js";

/** A definition list whose values are written again and again; rows that are not known are left out. */
export class Facts {
  #rows = new Map();

  /** @param grouped Whether each pair has a box of its own, for lists that are no two columns. */
  constructor(element, grouped = false) {
    this.element = element;
    this.grouped = grouped;
  }

  put(term, text) {
    let row = this.#rows.get(term);
    if (!row) {
      row = h("dd", {});
      this.#rows.set(term, row);
      const pair = [h("dt", {}, term), row];
      this.element.append(...(this.grouped ? [h("div", {}, pair)] : pair));
    }
    setText(row, text);
  }
}
