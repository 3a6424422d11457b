// A live look at what the detector sees and what that costs, for whoever sets it up.
//
// The player draws it, as it draws boxes for everybody, with what moved and the part that the model looked at besides;
// here stand the numbers. It listens to the looks that the rules get, so nothing is looked at twice for it.

import { h, setText } from "./dom.js";
import { capital } from "./events/words.js";
import { duration, fps, plural } from "./format.js";
import { letterbox } from "./masks.js";
import { zoneShapes } from "./zoneshapes.js";

const OVER_MS = 5_000;
const STALE_MS = 2_000;
const STAGES = { decode: "Small picture", motion: "Motion", objects: "Objects", people: "People", faces: "Faces" };
const MODELS = ["objects", "people"];
const WAITING = "Waiting for the detector.";

const aSecond = (rate) => fps(rate).replace("fps", "a second");

export class Preview {
  element = h("div", { class: "stack-tight" });

  #layer = h("div", { class: "zone-layer", "aria-hidden": "true" });
  #player;
  #host;
  #shape;
  #before = null;
  #looks = [];
  #cost = h("dl", { class: "facts" });
  #found = h("p", { class: "quiet" });
  #state = h("p", { class: "seen-state", role: "status" });
  #resize = null;
  #timer = 0;
  #take = ({ detail }) => this.#took(detail);

  /**
   * @param player What shows the camera. @param host Element over its picture, for the zones.
   * @param shape Gives the picture's width / height.
   */
  constructor(player, host, shape) {
    this.#player = player;
    this.#host = host;
    this.#shape = shape;
    const key = [
      ["thing", "what it found"],
      ["moved", "what moved"],
      ["region", "what the model looks at"],
    ];
    this.element.append(
      this.#state,
      h(
        "ul",
        { class: "seen-key" },
        key.map(([look, text]) => h("li", {}, h("span", { class: `seen-${look}` }), text)),
      ),
      this.#found,
      this.#cost,
    );
  }

  /** Draws these zones, as the API tells them, under what is seen. */
  set zones(zones) {
    this.#layer.replaceChildren(zoneShapes(zones));
  }

  start() {
    if (this.#resize) return;
    this.#resize = new ResizeObserver(() => this.#place());
    this.#resize.observe(this.#host);
    this.#host.append(this.#layer);
    this.#before = this.#player.getAttribute("boxes");
    this.#player.setAttribute("boxes", "all");
    this.#player.addEventListener("detections", this.#take);
    setText(this.#state, WAITING);
    this.#timer = setInterval(() => this.#age(), 1000);
  }

  stop() {
    if (!this.#resize) return;
    this.#resize.disconnect();
    this.#resize = null;
    this.#player.removeEventListener("detections", this.#take);
    if (this.#before === null) this.#player.removeAttribute("boxes");
    else this.#player.setAttribute("boxes", this.#before);
    clearInterval(this.#timer);
    this.#layer.remove();
    this.#looks = [];
  }

  #place() {
    const box = letterbox(
      { x: 0, y: 0, width: this.#host.clientWidth, height: this.#host.clientHeight },
      this.#shape(),
    );
    for (const [side, value] of [
      ["left", box.x],
      ["top", box.y],
      ["width", box.width],
      ["height", box.height],
    ]) {
      this.#layer.style[side] = `${value}px`;
    }
  }

  #took(look) {
    const now = performance.now();
    this.#looks.push({ at: now, ms: look.ms, asked: MODELS.some((stage) => stage in look.ms) });
    while (now - this.#looks[0].at > OVER_MS) this.#looks.shift();
    this.#place();
    setText(
      this.#state,
      look.state ? capital(look.reason || look.state) : look.region ? "Looking." : "Nothing moves, so the model rests.",
    );
    const moved =
      look.share > 0 ? `, ${(look.share * 100).toFixed(look.share < 0.1 ? 1 : 0)} % of the picture moved` : "";
    setText(this.#found, `${plural(look.things.length, "thing")} seen${moved}`);
    this.#showCost();
  }

  #showCost() {
    const looks = this.#looks;
    const spanS = Math.max(1, (looks.at(-1).at - looks[0].at) / 1000);
    const rate = (looks.length - 1) / spanS;
    const asked = looks.filter((look) => look.asked).length / looks.length;
    const rows = [
      ["Pictures looked at", aSecond(rate)],
      ["Shown to the model", aSecond(rate * asked)],
    ];
    let sumMs = 0;
    for (const stage of new Set(looks.flatMap(({ ms }) => Object.keys(ms)))) {
      const costs = looks.map(({ ms }) => ms[stage]).filter((each) => each !== undefined);
      const sum = costs.reduce((total, each) => total + each, 0);
      const mean = sum / costs.length;
      sumMs += sum / looks.length;
      rows.push([STAGES[stage] ?? stage, mean < 10 ? `${mean.toFixed(1)} ms` : duration(mean)]);
    }
    rows.push(["Altogether", `${((sumMs * rate) / 10).toFixed(1)} % of a core`]);
    this.#cost.replaceChildren(...rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
  }

  #age() {
    const last = this.#looks.at(-1);
    if (!last || performance.now() - last.at < STALE_MS) return;
    setText(this.#state, "No picture is looked at now.");
    setText(this.#found, "");
  }
}
