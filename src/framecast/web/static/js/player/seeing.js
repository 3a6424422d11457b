// A player's interest in what its camera's detector sees. While it is on, the server looks; what it tells is drawn over
// the picture it belongs to.

import { keep, kept } from "../store.js";
import { Looks } from "./looks.js";

const KEY = "framecast.boxes";
const NOTHING = "Nothing is detected.";

/** Whether this browser showed boxes last. */
export function remembered() {
  return kept(KEY) === "on";
}

export function remember(on) {
  keep(KEY, on ? "on" : "off");
}

export class Seeing {
  #server;
  #camera;
  #outlines;
  #told;
  #path = null;
  #looks = new Looks();
  #on = false;
  #all = false;
  #state = "";

  /**
   * @param options `server`, `camera` (its id), `outlines` (what draws); `told(look, why)`: a look has come; `why` is
   *   what keeps the server from seeing anything, "" where that is said already or nothing does.
   */
  constructor({ server, camera, outlines, told }) {
    this.#server = server;
    this.#camera = camera;
    this.#outlines = outlines;
    this.#told = told;
  }

  /** Looks or not; `all`: draws what moved, and the part that the model looked at, too. */
  turn(on, all = false) {
    this.#all = all;
    if (on !== this.#on) {
      this.#on = on;
      this.#looks.clear();
      this.#state = "";
      const { dashboard } = this.#server;
      if (on) dashboard.look(this.#camera, this.#push);
      else dashboard.lookAway(this.#camera, this.#push);
    }
    this.draw();
  }

  close() {
    this.turn(false);
  }

  /** `path` has shown a picture. */
  painted(path) {
    this.#path = path;
    if (this.#on) this.draw();
  }

  /** Draws what is true of the picture on the screen. */
  draw() {
    const { width, height, capturedMs, late } = this.#path ?? {};
    const at = capturedMs || this.#server.clock.now();
    let look = null;
    if (this.#on && capturedMs) look = this.#looks.at(at);
    else if (this.#on && this.#path && !late) look = this.#looks.newest(at);
    this.#outlines.draw(look, at, height ? width / height : 0, this.#all);
  }

  #push = (look) => {
    this.#looks.push(look);
    const reason = look.reason && look.reason[0].toUpperCase() + look.reason.slice(1);
    const why = look.state && look.state !== this.#state ? reason || NOTHING : "";
    this.#state = look.state;
    this.#told(look, why);
    this.draw();
  };
}
