// A small plot of one number over the last two minutes: <fc-plot>. Bounded: a ring of SECONDS values.

import { h, setText } from "./dom.js";
import { plural } from "./format.js";

export const SECONDS = 120;
const HEIGHT_PX = 56;
const PAD_PX = 4;

class Plot extends HTMLElement {
  #values = new Float32Array(SECONDS).fill(NaN);
  #at = 0;
  #seconds = 0;
  #canvas = h("canvas", { "aria-hidden": "true" });
  #now = h("span", { class: "plot-now" });
  #range = h("span", { class: "plot-range" });
  #title = "";
  #format = String;

  /** @param title What is plotted. @param format Number to text with its unit. */
  setup(title, format) {
    this.#title = title;
    this.#format = format;
    return this;
  }

  connectedCallback() {
    if (this.childElementCount) return;
    this.className = "plot";
    this.setAttribute("role", "img");
    this.append(h("div", { class: "plot-head" }, h("span", {}, this.#title), this.#now), this.#canvas, this.#range);
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    // A canvas does not follow the palette by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Adds the value of one second; null or NaN leaves a gap. */
  add(value) {
    this.#values[this.#at] = value ?? NaN;
    this.#at = (this.#at + 1) % SECONDS;
    this.#seconds = Math.min(SECONDS, this.#seconds + 1);
    this.#draw();
  }

  #draw() {
    const values = [...this.#values.subarray(this.#at), ...this.#values.subarray(0, this.#at)];
    const known = values.filter((value) => !Number.isNaN(value));
    const most = Math.max(0, ...known);
    const least = known.length ? Math.min(...known) : 0;
    const last = values.at(-1);
    setText(this.#now, this.#format(Number.isNaN(last) ? null : last));
    const span = this.#seconds < SECONDS ? plural(this.#seconds, "second") : "two minutes";
    const range = known.length ? `${this.#format(least)} to ${this.#format(most)} in ${span}` : "Nothing yet";
    setText(this.#range, range);
    this.setAttribute("aria-label", `${this.#title}: now ${this.#now.textContent}, ${range}`);
    this.#line(values, most * 1.1 || 1);
  }

  #line(values, top) {
    const width = this.#canvas.clientWidth;
    if (!width || document.hidden) return;
    const scale = devicePixelRatio;
    this.#canvas.width = width * scale;
    this.#canvas.height = HEIGHT_PX * scale;
    const style = getComputedStyle(this);
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    const x = (index) => (index / (SECONDS - 1)) * (width - 2);
    const y = (value) => HEIGHT_PX - PAD_PX - (value / top) * (HEIGHT_PX - 2 * PAD_PX);
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.beginPath();
    pen.moveTo(0, HEIGHT_PX - 0.5);
    pen.lineTo(width, HEIGHT_PX - 0.5);
    pen.stroke();
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.beginPath();
    let down = false;
    values.forEach((value, index) => {
      if (Number.isNaN(value)) down = false;
      else if (down) pen.lineTo(x(index), y(value));
      else {
        pen.moveTo(x(index), y(value));
        down = true;
      }
    });
    pen.stroke();
  }
}

customElements.define("fc-plot", Plot);
