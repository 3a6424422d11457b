// One camera on the wall. Its size is the wall's business; what happens inside never changes it.

import { cameraPage } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import { duration, fps, plural } from "./format.js";
import { renditionWidth } from "./layout.js";
import { Picture } from "./picture.js";
import { explain, lastPicture, stateName, stateOf } from "./words.js";

// A picture older than this counts up on its own, whatever the server says about the camera.
const LATE_MS = 2_000;
// A new age moves the shown one by a quarter: readable at 30 fps, and right within a second.
const SMOOTH = 0.25;

export class Tile extends HTMLElement {
  camera = null;

  #dashboard;
  #playout;
  #picture = null;
  #visible = false;
  #widthPx = 0;
  #askedPx = 0;
  #ageMs = null;
  #parts = {};

  /** Gives the tile its camera and where its pictures come from; call before it is put into the page. */
  bind(camera, dashboard, playout) {
    this.#dashboard = dashboard;
    this.#playout = playout;
    this.#build();
    this.update(camera);
    return this;
  }

  disconnectedCallback() {
    this.show(false);
    this.#picture?.close();
    this.#picture = null;
  }

  get link() {
    return this.#parts.link;
  }

  get canvas() {
    return this.#parts.canvas;
  }

  /** Whether frames are wanted: false while scrolled out of view. */
  show(visible) {
    if (visible === this.#visible) return;
    this.#visible = visible;
    if (visible) this.#subscribe();
    else {
      this.#dashboard.unwant(this.camera.id);
      this.#picture?.clear();
    }
  }

  /** Tells how wide the tile is drawn, in CSS pixels. */
  resized(widthPx) {
    if (widthPx === this.#widthPx) return;
    this.#widthPx = widthPx;
    if (this.#visible) this.#subscribe();
  }

  update(camera) {
    this.camera = camera;
    const state = stateOf(camera);
    const { title, text } = explain(camera, state);
    setAttribute(this, "data-state", state);
    setText(this.#parts.name, camera.name);
    this.link.title = camera.name;
    setText(this.#parts.state, stateName(state));
    setText(this.#parts.title, title);
    setText(this.#parts.why, text);
    setText(this.#parts.fps, camera.state === "live" && camera.video ? fps(camera.video.fps) : "");
    setText(this.#parts.viewers, plural(camera.viewers, "viewer"));
    this.link.href = cameraPage(camera.id);
    this.refresh();
    if (this.#visible) this.#subscribe();
  }

  /** Takes this camera's entry of a stats message. */
  numbers(numbers) {
    if (numbers.state !== this.camera.state || numbers.reason !== this.camera.reason) {
      this.update({ ...this.camera, state: numbers.state, reason: numbers.reason ?? "" });
    }
    if (numbers.width && numbers.width !== this.camera.video?.width) {
      this.camera.video = { ...this.camera.video, width: numbers.width, height: numbers.height };
      if (this.#visible) this.#subscribe();
    }
    setText(this.#parts.fps, this.camera.state === "live" ? fps(numbers.fps) : "");
    setText(this.#parts.viewers, plural(numbers.viewers, "viewer"));
  }

  /** The server is gone, and what it said last is no longer known to be so; the next `update` mends it. */
  lost() {
    setAttribute(this, "data-state", "gone");
    setText(this.#parts.state, "Unknown");
    for (const part of ["title", "why", "fps", "viewers"]) setText(this.#parts[part], "");
    this.refresh();
  }

  /** Writes the age of what is on the canvas; called twice a second by the wall. */
  refresh() {
    const shown = this.#picture?.shown;
    const ageMs = shown ? this.#dashboard.clock.now() - shown.capturedMs : null;
    const live = this.dataset.state === "live";
    const late = ageMs !== null && ageMs > LATE_MS;
    setAttribute(this, "data-late", late && live ? "" : null);
    // Where the state is written over the picture, its age stands there too.
    setText(this.#parts.age, ageMs === null || !live ? "" : duration(late ? ageMs : this.#ageMs));
    setText(this.#parts.ago, ageMs === null || live ? "" : lastPicture(ageMs));
  }

  #subscribe() {
    const sourcePx = this.camera.video?.width ?? 0;
    const shownPx = Math.round(this.#widthPx * devicePixelRatio);
    const widthPx = renditionWidth(shownPx, sourcePx);
    // While the size is not known yet (no picture ever came), what was asked before stays.
    if (sourcePx) this.#askedPx = widthPx;
    this.#picture ??= new Picture(this.canvas, {
      clock: this.#dashboard.clock,
      playout: this.#playout,
      ack: (frame) => this.#dashboard.ack(frame),
      onpaint: (frame, ageMs) => this.#painted(ageMs),
    });
    const options = this.#askedPx ? { width: this.#askedPx } : {};
    this.#dashboard.want(this.camera.id, options, (frame) => this.#picture.push(frame));
  }

  #painted(ageMs) {
    this.#ageMs = this.#ageMs === null || ageMs > LATE_MS ? ageMs : this.#ageMs + (ageMs - this.#ageMs) * SMOOTH;
  }

  #build() {
    const part = (name, element) => (this.#parts[name] = element);
    const text = (name, css) => part(name, h("span", { class: css }));
    this.className = "tile";
    this.append(
      part(
        "link",
        h(
          "a",
          { class: "tile-link" },
          h(
            "span",
            { class: "tile-picture picture" },
            part("canvas", h("canvas", { "aria-hidden": "true" })),
            h(
              "span",
              { class: "note" },
              text("title", "note-title"),
              text("ago", "note-ago"),
              text("why", "note-why"),
            ),
          ),
          h(
            "span",
            { class: "tile-bar" },
            text("name", "tile-name"),
            text("state", "state"),
            h(
              "span",
              { class: "tile-figures" },
              text("fps", "figure"),
              text("age", "figure age"),
              text("viewers", "figure"),
            ),
          ),
        ),
      ),
    );
  }
}

customElements.define("fc-tile", Tile);
