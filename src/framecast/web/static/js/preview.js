// What the detector sees, drawn over the picture, and what it costs: for whoever sets it up.
//
// It listens to the looks themselves, so it shows what the rules and everybody else get, and nothing is looked at
// twice for it.

import { cameraApi } from "./api.js";
import { h, setText } from "./dom.js";
import { EventStream } from "./events/stream.js";
import { duration, fps, plural } from "./format.js";
import { letterbox } from "./masks.js";
import { zoneShapes } from "./zones.js";

const OVER_MS = 5_000;
const STALE_MS = 2_000;
const STAGES = { decode: "Small picture", motion: "Motion", objects: "Objects", people: "People", faces: "Faces" };

const percent = (value) => `${value * 100}%`;

function rectangle([x, y, width, height], look, text = "") {
  const element = h("div", { class: `seen ${look}` }, text ? h("span", {}, text) : null);
  Object.assign(element.style, { left: percent(x), top: percent(y), width: percent(width), height: percent(height) });
  return element;
}

function nameOf({ label, name, score, track }) {
  return [name || label, track ? `no. ${track}` : "", `${Math.round(score * 100)} %`].filter(Boolean).join(", ");
}

export class Preview {
  element = h("div", { class: "stack-tight" });
  zones = [];

  #layer = h("div", { class: "seen-layer", "aria-hidden": "true" });
  #host;
  #shape;
  #stream;
  #looks = [];
  #cost = h("dl", { class: "facts" });
  #found = h("p", { class: "quiet" });
  #state = h("p", { class: "seen-state", role: "status" });
  #resize = null;
  #timer = 0;

  /** @param id The camera's. @param host Element over whose picture it draws. @param shape Gives its width / height. */
  constructor(id, host, shape) {
    this.#host = host;
    this.#shape = shape;
    this.#stream = new EventStream(cameraApi(id, "/detections"), (look) => this.#take(look), {
      state: (open) => open || setText(this.#state, "Waiting for the detector."),
    });
    this.element.append(
      this.#state,
      h(
        "ul",
        { class: "seen-key" },
        [["seen-motion", "what moved"], ["seen-region", "what the model looks at"], ["seen-thing", "what it found"]].map(([look, text]) => h("li", {}, h("span", { class: `seen ${look}` }), text)),
      ),
      this.#found,
      this.#cost,
    );
  }

  start() {
    if (this.#resize) return;
    this.#resize = new ResizeObserver(() => this.#place());
    this.#resize.observe(this.#host);
    this.#host.append(this.#layer);
    this.#place();
    setText(this.#state, "Waiting for the detector.");
    this.#stream.start();
    this.#timer = setInterval(() => this.#age(), 1000);
  }

  stop() {
    if (!this.#resize) return;
    this.#resize.disconnect();
    this.#resize = null;
    this.#stream.stop();
    clearInterval(this.#timer);
    this.#layer.remove();
    this.#looks = [];
  }

  #place() {
    const box = letterbox({ x: 0, y: 0, width: this.#host.clientWidth, height: this.#host.clientHeight }, this.#shape());
    for (const [side, value] of [["left", box.x], ["top", box.y], ["width", box.width], ["height", box.height]]) {
      this.#layer.style[side] = `${value}px`;
    }
  }

  #take(look) {
    const now = performance.now();
    this.#looks.push({ at: now, ms: look.ms, asked: "objects" in look.ms || "people" in look.ms });
    while (now - this.#looks[0].at > OVER_MS) this.#looks.shift();
    this.#place();
    this.#layer.replaceChildren(
      zoneShapes(this.zones),
      ...look.motion.map((box) => rectangle(box, "seen-motion")),
      ...(look.region ? [rectangle(look.region, "seen-region")] : []),
      ...look.things.map((thing) => rectangle(thing.box, thing.seen ? "seen-thing" : "seen-thing seen-waited", nameOf(thing))),
    );
    setText(this.#state, look.state ? look.reason || look.state : look.region ? "Looking." : "Nothing moves, so the model rests.");
    const moved = look.share > 0 ? `, ${(look.share * 100).toFixed(look.share < 0.1 ? 1 : 0)} % of the picture moved` : "";
    setText(this.#found, `${plural(look.things.length, "thing")} seen${moved}`);
    this.#showCost();
  }

  #showCost() {
    const looks = this.#looks;
    const spanS = Math.max(1, (looks.at(-1).at - looks[0].at) / 1000);
    const rate = (looks.length - 1) / spanS;
    const rows = [
      ["Pictures looked at", fps(rate).replace("fps", "a second")],
      ["Inferences", fps((rate * looks.filter(({ asked }) => asked).length) / looks.length).replace("fps", "a second")],
    ];
    let sumMs = 0;
    for (const stage of new Set(looks.flatMap(({ ms }) => Object.keys(ms)))) {
      const costs = looks.map(({ ms }) => ms[stage]).filter((each) => each !== undefined);
      const mean = costs.reduce((sum, each) => sum + each, 0) / costs.length;
      sumMs += (mean * costs.length) / looks.length;
      rows.push([STAGES[stage] ?? stage, mean < 10 ? `${mean.toFixed(1)} ms` : duration(mean)]);
    }
    rows.push(["Altogether", `${((sumMs * rate) / 10).toFixed(1)} % of a core`]);
    this.#cost.replaceChildren(...rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
  }

  /** Boxes that are no longer true go, whatever the reason. */
  #age() {
    const last = this.#looks.at(-1);
    if (!last || performance.now() - last.at < STALE_MS) return;
    this.#layer.replaceChildren(zoneShapes(this.zones));
    setText(this.#state, "No picture is looked at now.");
    setText(this.#found, "");
  }
}
