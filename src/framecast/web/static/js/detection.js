// What is looked for in a camera's pictures: its settings, its zones and lines, and a live look at all of it.

import { cameraApi, inTurn, request, url } from "./api.js";
import { ask } from "./ask.js";
import { capital } from "./events/words.js";
import { failed } from "./access/rows.js";
import { h } from "./dom.js";
import { labelChoice } from "./labels.js";
import { Preview } from "./preview.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";
import { ZoneEditor } from "./zones.js";

// What is asked before zones take the place of others, which somebody else drew or a turned picture turned.
const OTHERS = [
  "Replace the zones?",
  "They were changed elsewhere, or the picture was turned, since you began. Saved, yours take the place of those as you drew them.",
  "Replace",
  "button-danger",
];

function number(id, options, change) {
  return h("input", { class: "input", id, type: "number", change, ...options });
}

function field(label, control, hint = "") {
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    hint ? h("p", { class: "quiet" }, hint) : null,
  );
}

export class Detection {
  #id;
  #host;
  #shape;
  #camera = null;
  #preview;
  #zones = [];
  /** What editing began with, as text. */
  #before = "";
  #editor = null;
  #busy = false;
  #open = false;
  #saving = 0;
  #inTurn = inTurn();
  #state = h("div", { class: "problem problem-warning", hidden: true });
  #labels = labelChoice("detect-labels", [], () => this.#save({ detect: this.#labels.value() }));
  #fps = number("detect-fps", { min: 0.1, max: 60, step: "any" }, () => this.#saveNumber("detect_fps", this.#fps, 1));
  #threshold = number("detect-threshold", { min: 5, max: 99, step: 1 }, () =>
    this.#saveNumber("detect_threshold", this.#threshold, 100),
  );
  #faces = h("input", { type: "checkbox", change: () => this.#save({ detect_faces: this.#faces.checked }) });
  #usual = h("button", { class: "button", type: "button", click: () => this.#reset() }, "As for all cameras");
  #zoneBox = h("div", { class: "stack" });

  /**
   * @param id The camera's. @param player What shows it. @param host Element over the picture, for what is drawn there.
   * @param shape Gives the picture's width / height.
   */
  constructor(id, player, host, shape) {
    this.#id = id;
    this.#host = host;
    this.#shape = shape;
    this.#preview = new Preview(player, host, shape);
    this.element = h(
      "div",
      { class: "stack" },
      this.#state,
      h(
        "section",
        { class: "stack-tight", "aria-labelledby": "seen-title" },
        h("h3", { id: "seen-title" }, "What it sees now"),
        this.#preview.element,
      ),
      h(
        "section",
        { class: "stack-tight" },
        h("h3", {}, "Zones and lines"),
        h("p", { class: "quiet" }, "Rules speak of them: who stands in a zone, who steps over a line."),
        this.#zoneBox,
      ),
      h("fieldset", { class: "fieldset" }, h("legend", {}, h("b", {}, "What to look for")), this.#labels.element),
      h("label", { class: "check" }, this.#faces, "Look for faces, too"),
      field("Pictures to look at, a second", this.#fps, "More follows quick movements better, and costs more."),
      field("How sure it has to be, %", this.#threshold, "Lower finds more, and more that is not there."),
      h("div", {}, this.#usual),
    );
  }

  /** Whether zones were drawn that are not saved. */
  get isUnsaved() {
    return this.#editor?.isChanged ?? false;
  }

  /**
   * Looks while it is open, and nobody for this page once it is not. What is being drawn goes from the picture with this
   * panel, and comes back with it.
   */
  show(open) {
    if (open === this.#open) return;
    this.#open = open;
    if (this.#editor) this.#editor.hidden = !open;
    if (open) this.#preview.start();
    else this.#preview.stop();
    if (this.#editor) return;
    // What there was then is no ground to begin with when this is opened again.
    if (open) this.#loadZones();
    else this.#zoneBox.replaceChildren();
  }

  /** Shows what is set, except in a field that is being changed. */
  update(camera) {
    this.#camera = camera;
    const { vision } = camera;
    if (!vision) return;
    const asleep = ["running", "idle", "off"].includes(vision.state);
    this.#state.hidden = asleep;
    if (!asleep)
      this.#state.replaceChildren(h("b", {}, "Not everything can be found now"), h("span", {}, capital(vision.reason)));
    const { asked } = vision;
    // What is on its way is newer than what comes.
    if (!asked || this.#saving) return;
    const put = (control, value) => {
      if (document.activeElement !== control) control.value = value;
    };
    this.#labels.set(asked.labels);
    this.#faces.checked = asked.faces;
    put(this.#fps, asked.fps);
    put(this.#threshold, Math.round(asked.threshold * 100));
    this.#usual.hidden = !asked.own;
  }

  #saveNumber(name, input, per) {
    if (!input.checkValidity() || input.value === "") return input.reportValidity();
    this.#save({ [name]: input.valueAsNumber / per });
  }

  #reset() {
    this.#save({ detect: null, detect_fps: null, detect_threshold: null, detect_faces: null });
  }

  async #save(change) {
    this.#saving += 1;
    let camera = null;
    try {
      camera = await this.#inTurn(() => request("PATCH", cameraApi(this.#id), change));
      toast("Saved.");
    } catch (error) {
      toast(`Not saved. ${apology(error)}`, { bad: true });
    }
    this.#saving -= 1;
    this.update(camera ?? this.#camera);
  }

  // --- zones ---------------------------------------------------------------------------------------------------

  async #zonesNow() {
    return (await request("GET", cameraApi(this.#id, "/zones"))).zones;
  }

  /** What is drawn holds for these zones, in a picture that is turned like this. */
  #ground(zones) {
    const { rotate, mirror } = this.#camera?.transform ?? {};
    return JSON.stringify([zones, rotate, mirror]);
  }

  async #loadZones() {
    try {
      const zones = await this.#zonesNow();
      if (!this.#open || this.#editor) return;
      this.#zones = zones;
      this.#showZones();
    } catch (error) {
      if (this.#open && !this.#editor) this.#zoneBox.replaceChildren(failed(error, () => this.#loadZones()));
    }
  }

  /** Ends editing without saving. */
  #leave() {
    const { activeElement: active } = document;
    const held = this.#editor && (this.#zoneBox.contains(active) || this.#host.contains(active));
    this.#editor?.close();
    this.#editor = null;
    this.#showZones();
    if (held) this.#zoneBox.querySelector("button").focus({ preventScroll: true });
  }

  #showZones() {
    this.#preview.zones = this.#zones;
    const names = this.#zones.map(({ name }) => name).join(", ");
    this.#zoneBox.replaceChildren(
      h("p", {}, names || "None."),
      h(
        "div",
        { class: "row" },
        h(
          "button",
          { class: "button", type: "button", click: () => this.#begin() },
          this.#zones.length ? "Edit zones" : "Draw zones",
        ),
        h("a", { class: "button", href: url("events#rules").href }, "Rules"),
        h("a", { class: "button", href: url(`events?camera=${this.#id}`).href }, "Events"),
      ),
    );
  }

  /** Begins with what there is now: the page may have been open for long, here and elsewhere. */
  async #begin() {
    try {
      const zones = await this.#zonesNow();
      if (!this.#open || this.#editor) return;
      this.#zones = zones;
      this.#before = this.#ground(zones);
      this.#edit();
    } catch (error) {
      toast(apology(error), { bad: true });
    }
  }

  #edit() {
    const button = (text, click, look = "") => h("button", { class: `button ${look}`, type: "button", click }, text);
    // Whoever presses with the keyboard can't draw: a zone comes to lie in the middle, and its corners are moved.
    const draw = (kind) => (event) => this.#editor.draw(kind, event.detail === 0);
    const begin = h("div", { class: "row" }, button("Draw a zone", draw("zone")), button("Draw a line", draw("line")));
    const end = h(
      "div",
      { class: "row" },
      button("Close the zone", () => this.#editor.finish(true)),
      button("Stop drawing", () => this.#editor.finish(false)),
    );
    const changed = () => {
      begin.hidden = this.#editor?.drawing ?? false;
      end.hidden = !begin.hidden;
    };
    this.#preview.zones = [];
    this.#editor = new ZoneEditor(this.#host, this.#zones, this.#shape, changed);
    changed();
    const held = this.#zoneBox.contains(document.activeElement);
    this.#zoneBox.replaceChildren(
      begin,
      end,
      this.#editor.said,
      this.#editor.list,
      h(
        "p",
        { class: "quiet" },
        "Corners are dragged; the dots between make new ones. L and R are a line’s left and right.",
      ),
      h(
        "div",
        { class: "row" },
        button("Cancel", () => this.#leave()),
        button("Save zones", () => this.#saveZones(), "button-main"),
      ),
    );
    if (held) begin.querySelector("button").focus({ preventScroll: true });
    this.#host.scrollIntoView({ block: "nearest" });
  }

  /** Keys while zones are drawn; whether one was meant for that. */
  key(key) {
    if (!this.#open || !this.#editor) return false;
    if (!this.#editor.drawing) {
      // Like “Cancel”: what is drawn would be lost with the page all the same.
      if (key !== "Escape") return false;
      this.#leave();
      this.#zoneBox.querySelector("button")?.focus({ preventScroll: true });
      return true;
    }
    this.#editor.finish(key === "Enter");
    return true;
  }

  async #saveZones() {
    if (this.#busy) return;
    this.#busy = true;
    const editor = this.#editor;
    try {
      const wanted = editor.zones;
      if (this.#ground(await this.#zonesNow()) !== this.#before && !(await ask(...OTHERS))) return;
      const { zones } = await request("PUT", cameraApi(this.#id, "/zones"), { zones: wanted });
      this.#zones = zones;
      // Who pressed “Cancel” too late sees what was saved; who began anew goes on with that.
      if (!this.#editor || this.#editor === editor) this.#leave();
      toast("Zones saved.");
    } catch (error) {
      toast(`Not saved. ${apology(error)}`, { bad: true });
    } finally {
      this.#busy = false;
    }
  }
}
