// What a player knows of its camera: how it is, by the server's word.

import { explain, stateOf } from "../words.js";

const NO_CAMERA = { title: "No such camera", text: "The server has no camera with this id." };
const WAITING = { title: "Connecting", text: "Waiting for the first picture." };
const SERVER = {
  off: { title: "Off", text: "" },
  connecting: { title: "Connecting", text: "Waiting for the server." },
  gone: { title: "Server gone", text: "The Framecast server does not answer. The picture returns by itself." },
  denied: { title: "No permission", text: "The server shows this camera only to those who hold a token." },
};

export class Watch {
  camera = null;
  numbers = null;
  server;

  #id;
  #changed;
  #end = new AbortController();

  /**
   * @param server Where. @param id The camera. @param options `changed()` after anything is new; `returned()` when the
   *   server was gone and is back.
   */
  constructor(server, id, { changed, returned }) {
    this.server = server;
    this.#id = id;
    this.#changed = changed;
    const { dashboard } = server;
    const { signal } = this.#end;
    const listen = (type, act) => dashboard.addEventListener(type, act, { signal });
    listen("status", () => {
      if (dashboard.status === "open") returned();
      changed();
    });
    listen("cameras", () => this.#known(dashboard.cameras.get(id)));
    listen("camera", ({ detail }) => detail.id === id && this.#known(detail));
    listen("removed", ({ detail }) => detail.id === id && this.#known(null));
    listen("stats", ({ detail }) => detail[id] && this.#measured(detail[id]));
    server.join();
    this.#keep(dashboard.cameras.get(id));
  }

  close() {
    this.#end.abort();
    this.server.leave();
  }

  /** Whether no socket gets through: the camera's state is not known then, and pictures may come all the same. */
  get blocked() {
    const { status, blocked } = this.server.dashboard;
    return blocked && status !== "open";
  }

  /** "off", "connecting", "gone", "denied", "missing", or the camera's own state. */
  get state() {
    const { status } = this.server.dashboard;
    if (this.blocked) return "live";
    if (status !== "open") return status;
    return this.camera ? stateOf(this.camera) : "missing";
  }

  /** Words for a state: {title, text}. */
  words(state) {
    if (state === "live") return WAITING;
    return SERVER[state] ?? (state === "missing" ? NO_CAMERA : explain(this.camera, state));
  }

  #keep(camera) {
    // A copy: the page keeps and changes its own.
    this.camera = camera ? { ...camera } : null;
  }

  #known(camera) {
    this.#keep(camera);
    this.#changed();
  }

  #measured(numbers) {
    this.numbers = numbers;
    const { state, reason = "", width, height } = numbers;
    const { camera } = this;
    if (!camera) return;
    const turned = width && (width !== camera.video?.width || height !== camera.video?.height);
    if (turned) camera.video = { ...camera.video, width, height };
    if (state !== camera.state || reason !== camera.reason || turned) this.#known({ ...camera, state, reason });
  }
}
