// One camera on the wall. Its size is the wall's business; what happens inside never changes it.

import { cameraPage } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import { duration, fps, plural } from "./format.js";
import "./player.js";
import { stateName, stateOf } from "./words.js";

// A picture older than this counts up on its own, whatever the server says about the camera.
const LATE_MS = 2_000;

export class Tile extends HTMLElement {
  camera = null;

  #clock;
  #parts = {};

  /** Gives the tile its camera and the server's clock; call before it is put into the page. */
  bind(camera, clock) {
    this.#clock = clock;
    this.#build(camera);
    this.update(camera);
    return this;
  }

  get link() {
    return this.#parts.link;
  }

  get player() {
    return this.#parts.player;
  }

  update(camera) {
    this.camera = camera;
    const state = stateOf(camera);
    setAttribute(this, "data-state", state);
    setText(this.#parts.name, camera.name);
    this.link.title = camera.name;
    setText(this.#parts.state, stateName(state));
    setText(this.#parts.fps, camera.state === "live" && camera.video ? fps(camera.video.fps) : "");
    setText(this.#parts.viewers, plural(camera.viewers, "viewer"));
    this.link.href = cameraPage(camera.id);
    this.refresh();
  }

  /** Takes this camera's entry of a stats message. */
  numbers(numbers) {
    if (numbers.state !== this.camera.state || numbers.reason !== this.camera.reason) {
      this.update({ ...this.camera, state: numbers.state, reason: numbers.reason ?? "" });
    }
    if (numbers.width && numbers.width !== this.camera.video?.width) {
      this.camera.video = { ...this.camera.video, width: numbers.width, height: numbers.height };
    }
    setText(this.#parts.fps, this.camera.state === "live" ? fps(numbers.fps) : "");
    setText(this.#parts.viewers, plural(numbers.viewers, "viewer"));
  }

  /** The server is gone, and what it said last is no longer known to be so; the next `update` mends it. */
  lost() {
    setAttribute(this, "data-state", "gone");
    setText(this.#parts.state, "Unknown");
    for (const part of ["fps", "viewers"]) setText(this.#parts[part], "");
    this.refresh();
  }

  /** Writes the age of what is shown; called twice a second by the wall. */
  refresh() {
    const { capturedMs, stats } = this.player;
    const ageMs = capturedMs ? this.#clock.now() - capturedMs : null;
    const live = this.dataset.state === "live";
    const late = ageMs !== null && ageMs > LATE_MS;
    setAttribute(this, "data-late", late && live ? "" : null);
    // Where the state is written over the picture, its age stands there too.
    setText(this.#parts.age, ageMs === null || !live ? "" : duration(late ? ageMs : (stats?.latencyMs ?? ageMs)));
  }

  #build(camera) {
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
            part("player", h("framecast-player", { controls: "none", group: true, role: "none", camera: camera.id })),
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
