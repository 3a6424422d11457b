// What lies over the picture: the state in words while it is not live, the numbers on demand, short messages.

import { h, setText } from "../dom.js";
import { bitrate, count, duration, fps, size } from "../format.js";
import { lastPicture } from "../words.js";
import { missingText } from "./features.js";
import { Outlines } from "./outlines.js";

const SAID_MS = 5_000;

export class View {
  element;
  /** What is drawn around the things that are seen. */
  outlines = new Outlines();

  #picture;
  #parts = {};
  #rows = new Map();
  #saidTimer = 0;

  constructor() {
    const span = (name, css) => (this.#parts[name] = h("span", { class: css }));
    // The age ticks, so it stands outside of what is read out whenever it changes.
    this.#parts.note = h(
      "div",
      { class: "note", part: "note" },
      h("div", { class: "note-status", role: "status" }, span("title", "note-title"), span("why", "note-why")),
      span("ago", "note-ago"),
    );
    this.#parts.numbers = h("dl", { class: "numbers", part: "numbers", hidden: true });
    this.#parts.said = h("div", { class: "said", part: "message", role: "status" });
    this.#picture = h(
      "div",
      { class: "picture not-live", part: "picture" },
      this.outlines.element,
      this.#parts.note,
      // What a page puts into the element lies over the picture.
      h("div", { class: "over" }, h("slot")),
      this.#parts.numbers,
      this.#parts.said,
    );
    this.element = this.#picture;
  }

  /** The element that shows the picture, null before the first. */
  get surface() {
    return this.#picture.querySelector(":scope > :is(canvas, video, img)");
  }

  /** Puts another element in the place of the picture. */
  swap(element) {
    element.setAttribute("part", "surface");
    this.surface?.remove();
    this.#picture.prepend(element);
  }

  /** Keeps the shape of the picture, so that the page does not move when it comes. */
  shape(width, height) {
    if (width && height) this.#picture.style.setProperty("--aspect", (width / height).toFixed(4));
  }

  /** Says how the camera is; `live` leaves the picture alone. */
  state({ live, title, why, ageMs }) {
    this.#picture.classList.toggle("not-live", !live);
    setText(this.#parts.title, live ? "" : title);
    setText(this.#parts.why, live ? "" : why);
    setText(this.#parts.ago, live || ageMs === null ? "" : lastPicture(ageMs));
  }

  /** A short message; "" takes it away. */
  say(text, showMs = SAID_MS) {
    clearTimeout(this.#saidTimer);
    setText(this.#parts.said, text);
    if (text) this.#saidTimer = setTimeout(() => setText(this.#parts.said, ""), showMs);
  }

  get numbersShown() {
    return !this.#parts.numbers.hidden;
  }

  showNumbers(shown) {
    this.#parts.numbers.hidden = !shown;
  }

  /** Writes the numbers of a second. */
  numbers(stats) {
    if (!this.numbersShown) return;
    this.#put("Connection", stats.connection);
    this.#put("Path", stats.trying ? `${stats.title}, trying ${stats.trying}` : stats.title);
    this.#put("Codec", stats.codec || "–");
    this.#put("Picture", size(stats.width, stats.height));
    this.#put("Frame rate", fps(stats.fps));
    this.#put("To this page", bitrate(stats.bitrateBps));
    this.#put("Latency", duration(stats.latencyMs));
    this.#put("Frames", count(stats.frames));
    this.#put("Dropped", count(stats.drops));
    this.#put("Round trip", duration(stats.rttMs));
    this.#put("Quality", stats.qualityText);
    this.#put("Sound", stats.sound);
    for (const { title, why } of stats.failures) this.#put(`Not ${title}`, why);
    this.#leave(stats.failures.map(({ title }) => `Not ${title}`));
    this.#put("", missingText());
  }

  #put(term, text) {
    let row = this.#rows.get(term);
    if (!row) {
      row = term ? { dt: h("dt", {}, term), dd: h("dd") } : { dd: h("dd", { class: "wide" }) };
      this.#rows.set(term, row);
      this.#parts.numbers.append(...Object.values(row));
    }
    for (const element of Object.values(row)) element.hidden = !text;
    setText(row.dd, text);
  }

  /** Takes away the rows of paths that are no longer a failure. */
  #leave(kept) {
    for (const [term, row] of this.#rows) {
      if (!term.startsWith("Not ") || kept.includes(term)) continue;
      for (const element of Object.values(row)) element.remove();
      this.#rows.delete(term);
    }
  }
}
