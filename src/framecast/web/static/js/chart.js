// A plot of some numbers over hours: <fc-chart>, in SVG, so that its colours are the stylesheet's.
//
// It can be walked through: by pointer, or with the arrow keys once it has the focus. What stands there is said in words.

import { h, setText } from "./dom.js";
import { momentText, nearest, niceTop, stretches, tickText, ticks } from "./timeaxis.js";

const HEIGHT_PX = 148;
const TOP_PX = 8;
const BOTTOM_PX = 22;
const LEFT_PX = 76;
const RIGHT_PX = 12;
const TICK_PX = 84;
const EDGE_PX = 24;
// A camera that took a moment to connect was not down.
const LEAST_DOWN = 0.02;

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

class Chart extends HTMLElement {
  #title = "";
  #format = String;
  #series = [];
  #bars = false;
  #now = h("p", { class: "chart-now" });
  #legend = h("ul", { class: "chart-legend" });
  #plot = svg("svg", { class: "chart-plot", "aria-hidden": "true", focusable: "false" });
  #cursor = svg("line", { class: "chart-cursor", y1: TOP_PX, y2: HEIGHT_PX - BOTTOM_PX });
  #data = null;
  #at = -1;
  #width = 0;

  /**
   * @param title What is plotted.
   * @param format Number to text with its unit.
   * @param series Array of {column, label, look}; `look` is main, second or third.
   * @param bars Whether each point is a bar: for counts.
   */
  setup({ title, format, series, bars = false }) {
    this.#title = title;
    this.#format = format;
    this.#series = series;
    this.#bars = bars;
    return this;
  }

  connectedCallback() {
    if (this.childElementCount) return;
    this.className = "chart";
    this.tabIndex = 0;
    this.setAttribute("role", "slider");
    this.setAttribute("aria-label", this.#title);
    this.#legend.hidden = this.#series.length < 2;
    this.#legend.append(
      ...this.#series.map(({ label, look }) => h("li", {}, h("span", { class: `chart-key chart-${look}` }), label)),
    );
    this.append(
      h("div", { class: "chart-head" }, h("h3", {}, this.#title), this.#legend),
      this.#plot,
      this.#now,
    );
    new ResizeObserver(() => this.#fit()).observe(this);
    this.addEventListener("pointermove", (event) => this.#point(event));
    this.addEventListener("pointerdown", (event) => this.#point(event));
    this.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#tell(null));
    this.addEventListener("keydown", (event) => this.#walk(event));
    this.addEventListener("blur", () => this.#tell(null));
  }

  /** @param data {fromS, toS, nowS, stepS, times, values: {column: [number or null]}, down: [0..1 or null]} */
  show(data) {
    this.#data = data;
    this.#at = Math.min(this.#at, data.times.length - 1);
    this.#draw();
  }

  /** Marks the point of this moment; null for none. */
  mark(timeS) {
    this.#at = timeS === null ? -1 : nearest(this.#data.times, timeS, this.#data.stepS);
    this.#say();
  }

  #fit() {
    const width = Math.round(this.clientWidth);
    if (width === this.#width) return;
    this.#width = width;
    this.#draw();
  }

  #x(timeS) {
    const { fromS, toS } = this.#data;
    return LEFT_PX + ((timeS - fromS) / (toS - fromS)) * (this.#width - LEFT_PX - RIGHT_PX);
  }

  /** Where a point stands: in the middle of its time, as far as that has passed. */
  #middle(timeS) {
    const { stepS, toS } = this.#data;
    return this.#x(Math.min(timeS + stepS / 2, toS));
  }

  #values() {
    return this.#series.map(({ column }) => this.#data.values[column]);
  }

  #draw() {
    if (!this.#data || this.#width < LEFT_PX + RIGHT_PX + 40) return;
    const known = this.#values().flatMap((values) => values.filter((value) => value !== null));
    const top = niceTop(known.reduce((most, value) => Math.max(most, value), 0));
    const y = (value) => TOP_PX + (1 - value / top) * (HEIGHT_PX - TOP_PX - BOTTOM_PX);
    this.#plot.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT_PX}`);
    this.#plot.setAttribute("height", HEIGHT_PX);
    this.#plot.replaceChildren(
      ...this.#downs(),
      ...this.#levels(top).flatMap((value) => this.#level(value, y(value))),
      ...this.#moments(),
      ...this.#series.map((series, index) =>
        this.#bars ? this.#columns(series, index, y) : this.#line(series, y),
      ),
      this.#cursor,
    );
    this.#say();
  }

  /** Bands where the camera was to be live and was not. */
  #downs() {
    const { times, stepS, down, toS } = this.#data;
    return times
      .map((time, index) => [time, down[index]])
      .filter(([, share]) => share >= LEAST_DOWN)
      .map(([time, share]) => {
        const left = this.#x(time);
        const width = Math.max(1, this.#x(Math.min(time + stepS, toS)) - left);
        const box = { x: left, y: TOP_PX, width, height: HEIGHT_PX - TOP_PX - BOTTOM_PX };
        return svg("rect", { class: "chart-down", ...box, opacity: Math.max(0.4, share) });
      });
  }

  /** None, half and all of it; half only where it is written otherwise than the others. */
  #levels(top) {
    const texts = new Set([this.#format(0), this.#format(top)]);
    const isCount = this.#bars && !Number.isInteger(top / 2);
    return isCount || texts.has(this.#format(top / 2)) ? [0, top] : [0, top / 2, top];
  }

  #level(value, y) {
    const text = svg("text", { class: "chart-text", x: LEFT_PX - 8, y: y + 4, "text-anchor": "end" });
    text.textContent = this.#format(value);
    return [svg("line", { class: "chart-level", x1: LEFT_PX, x2: this.#width - RIGHT_PX, y1: y, y2: y }), text];
  }

  #moments() {
    const { fromS, toS } = this.#data;
    const most = Math.max(1, Math.floor((this.#width - LEFT_PX - RIGHT_PX) / TICK_PX));
    const { stepS, times } = ticks(fromS, toS, most, -60 * new Date(toS * 1000).getTimezoneOffset());
    return times.map((time) => {
      const x = this.#x(time);
      const anchor = x > this.#width - RIGHT_PX - EDGE_PX ? "end" : "middle";
      const text = svg("text", { class: "chart-text", x, y: HEIGHT_PX - 6, "text-anchor": anchor });
      text.textContent = tickText(time, stepS);
      return text;
    });
  }

  #line({ column, look }, y) {
    const { times, values, stepS } = this.#data;
    const path = stretches(times, values[column], stepS)
      .map((indices) => {
        const points = indices.map((i) => `${this.#middle(times[i]).toFixed(1)} ${y(values[column][i]).toFixed(1)}`);
        // A point alone is a dot: the ends of lines are round.
        return `M${points.join("L")}${points.length === 1 ? "h0.01" : ""}`;
      })
      .join("");
    return svg("path", { class: `chart-line chart-${look}`, d: path });
  }

  #columns({ column, look }, index, y) {
    const { times, values, stepS } = this.#data;
    const count = this.#series.length;
    const bars = times.flatMap((time, at) => {
      if (!values[column][at]) return [];
      const whole = Math.max(2, this.#x(time + stepS) - this.#x(time) - 1);
      const width = Math.max(1, whole / count);
      const height = Math.max(1, y(0) - y(values[column][at]));
      return [svg("rect", { x: this.#x(time) + index * width, y: y(0) - height, width, height })];
    });
    return svg("g", { class: `chart-bars chart-${look}` }, ...bars);
  }

  #point(event) {
    if (!this.#data?.times.length) return;
    const box = this.#plot.getBoundingClientRect();
    const { fromS, toS } = this.#data;
    const share = (event.clientX - box.left - LEFT_PX) / (this.#width - LEFT_PX - RIGHT_PX);
    this.#tell(fromS + Math.min(1, Math.max(0, share)) * (toS - fromS));
  }

  #walk(event) {
    const count = this.#data?.times.length ?? 0;
    if (!count || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#at < 0 ? count : this.#at;
    const to = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      PageUp: at - 10,
      PageDown: at + 10,
      Home: 0,
      End: count - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const index = Math.min(count - 1, Math.max(0, to));
    this.#tell(this.#data.times[index] + this.#data.stepS / 2);
  }

  /** All charts of a page are marked at the same moment. */
  #tell(timeS) {
    this.dispatchEvent(new CustomEvent("moment", { bubbles: true, detail: timeS }));
  }

  #say() {
    const { times, nowS } = this.#data;
    const index = this.#at;
    const known = index >= 0;
    this.#cursor.setAttribute("visibility", known ? "visible" : "hidden");
    this.setAttribute("aria-valuemin", 0);
    this.setAttribute("aria-valuemax", Math.max(0, times.length - 1));
    this.setAttribute("aria-valuenow", known ? index : Math.max(0, times.length - 1));
    if (!known) {
      const text = this.#range();
      setText(this.#now, text);
      this.setAttribute("aria-valuetext", text);
      return;
    }
    const x = this.#middle(times[index]);
    this.#cursor.setAttribute("x1", x);
    this.#cursor.setAttribute("x2", x);
    const values = this.#values().map((values) => values[index]);
    const named = this.#series.map(({ label }, at) =>
      this.#series.length > 1 ? `${label} ${this.#format(values[at])}` : this.#format(values[at]),
    );
    const share = this.#data.down[index];
    const down = share >= LEAST_DOWN ? [`not live for ${Math.max(1, Math.round(share * 100))} %`] : [];
    const text = `${momentText(times[index], nowS)}: ${[...named, ...down].join(", ")}`;
    setText(this.#now, text);
    this.setAttribute("aria-valuetext", text);
  }

  #range() {
    const parts = this.#series.map(({ label }, at) => {
      const known = this.#values()[at].filter((value) => value !== null);
      const name = this.#series.length > 1 ? `${label} ` : "";
      if (!known.length) return `${name}nothing`;
      if (this.#bars) return `${name}${this.#format(known.reduce((sum, value) => sum + value, 0))} in all`;
      const [least, most] = [Math.min(...known), Math.max(...known)].map(this.#format);
      return `${name}${least === most ? most : `${least} to ${most}`}`;
    });
    return parts.every((part) => part.endsWith("nothing")) ? "Nothing in this time" : parts.join(", ");
  }
}

customElements.define("fc-chart", Chart);
