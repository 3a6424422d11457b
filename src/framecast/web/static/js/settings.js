// What an operator may change about a camera. Everything is saved by PATCH, field by field as it is changed;
// nothing here needs a restart of anything.

import { cameraApi, inTurn, request } from "./api.js";
import { ask } from "./ask.js";
import { h, setText } from "./dom.js";
import { MaskEditor } from "./masks.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";

// What is asked before masks are saved for a picture that they were not drawn on: they may bare what others hid.
const OTHERS = [
  "Replace the masks?",
  "The picture was turned, or its masks were changed, elsewhere since you began. What they hide now may be seen again.",
  "Replace",
  "button-danger",
];
const TURNED = [
  "Turn the picture?",
  "The masks that you drew are not saved, and would be in other places then. They are dropped.",
  "Turn it",
  "button-danger",
];
const ROTATIONS = [
  [0, "Not turned"],
  [90, "90° clockwise"],
  [180, "Upside down"],
  [270, "90° anticlockwise"],
];
const MIRRORS = [
  ["none", "Not mirrored"],
  ["horizontal", "Left and right swapped"],
  ["vertical", "Top and bottom swapped"],
];
const POLICIES = [
  ["on_demand", "While somebody watches"],
  ["always", "Always"],
];

function select(id, options, change) {
  return h(
    "select",
    { class: "input", id, change },
    options.map(([value, text]) => h("option", { value: String(value) }, text)),
  );
}

function field(label, control, hint = "") {
  const children = [h("label", { for: control.id }, label), control];
  return h("div", { class: "field" }, children, hint ? h("p", { class: "quiet" }, hint) : null);
}

export class Settings {
  #camera = null;
  #host;
  #shape;
  #masks = null;
  #open = false;
  #saving = 0;
  #inTurn = inTurn();
  #name = h("input", {
    class: "input",
    id: "set-name",
    type: "text",
    maxLength: 80,
    autocomplete: "off",
    change: () => this.#rename(),
  });
  #policy = select("set-policy", POLICIES, () => this.#save({ policy: this.#policy.value }, "Saved."));
  #rotate = select("set-rotate", ROTATIONS, () => this.#turn({ rotate: Number(this.#rotate.value) }));
  #mirror = select("set-mirror", MIRRORS, () => this.#turn({ mirror: this.#mirror.value }));
  #address = h("input", {
    class: "input",
    id: "set-url",
    type: "text",
    inputMode: "url",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
  });
  #origin = h("p", { class: "quiet" });
  #audio = h("input", {
    class: "input",
    id: "set-audio",
    type: "text",
    inputMode: "url",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
  });
  #noAudio = h("button", { class: "button", type: "button", click: () => this.#save({ audio_url: "" }, "Saved.") }, "Remove");
  #maskBox = h("div", { class: "stack" });

  /** @param host The element whose picture masks are drawn on. @param shape Gives its width / height. */
  constructor(host, shape, { restart, remove }) {
    this.#host = host;
    this.#shape = shape;
    // Nothing can be changed of a camera that is not known yet.
    this.element = h(
      "fieldset",
      { class: "stack fieldset", "aria-label": "Settings", disabled: true },
      field("Name", this.#name),
      field(
        "Read the camera",
        this.#policy,
        "Always gives a picture at once; otherwise the camera rests when nobody watches.",
      ),
      field("Turn the picture", this.#rotate),
      field("Mirror the picture", this.#mirror),
      h(
        "section",
        { class: "stack-tight" },
        h("h3", {}, "Privacy masks"),
        h("p", { class: "quiet" }, "What lies under a mask is black for every viewer."),
        this.#maskBox,
      ),
      h(
        "form",
        { class: "field", submit: (event) => this.#readdress(event) },
        h("label", { for: "set-url" }, "Address"),
        h("div", { class: "field-row" }, this.#address, h("button", { class: "button", type: "submit" }, "Change")),
        this.#origin,
      ),
      h(
        "form",
        { class: "field", submit: (event) => this.#hear(event) },
        h("label", { for: "set-audio" }, "Address of its sound"),
        h(
          "div",
          { class: "field-row" },
          this.#audio,
          h("button", { class: "button", type: "submit" }, "Change"),
          this.#noAudio,
        ),
        h(
          "p",
          { class: "quiet" },
          "WAV or raw PCM of its microphone, where sound does not come with the pictures.",
        ),
      ),
      h(
        "div",
        { class: "row" },
        h("button", { class: "button", type: "button", click: restart }, "Restart the reader"),
        h("button", { class: "button button-bad", type: "button", click: remove }, "Remove this camera"),
      ),
    );
  }

  /** Shows the camera's settings, except in a field that is being changed. */
  update(camera) {
    const first = this.#camera === null;
    this.#camera = camera;
    this.element.disabled = false;
    // What is on its way is newer than what comes.
    if (!this.#saving) this.#put(camera);
    this.#address.placeholder = camera.url;
    this.#audio.placeholder = camera.audio?.url ?? "http://192.168.1.20:82/audio";
    this.#noAudio.hidden = !camera.audio?.url;
    const where = {
      config: "It comes from the configuration.",
      "command line": "It was named on the command line.",
    };
    setText(this.#origin, where[camera.origin] ?? "A new address takes effect at once; viewers stay.");
    if (first || !this.#masks) this.#showMasks();
  }

  #put({ name, policy, transform }, refused = false) {
    if (document.activeElement !== this.#name) this.#name.value = name;
    const choices = [
      [this.#policy, policy],
      [this.#rotate, String(transform.rotate)],
      [this.#mirror, transform.mirror],
    ];
    for (const [control, value] of choices) if (refused || document.activeElement !== control) control.value = value;
  }

  /** Whether masks were drawn that are not saved. */
  get isUnsaved() {
    return this.#masks?.isChanged ?? false;
  }

  /** What is drawn goes from the picture with this panel, and comes back with it. */
  show(open) {
    this.#open = open;
    if (this.#masks) this.#masks.hidden = !open;
  }

  /** A key while masks are drawn: like “Cancel”; whether it was meant for that. */
  key(key) {
    if (key !== "Escape" || !this.#open || !this.#masks) return false;
    this.#leave();
    return true;
  }

  /** Ends editing masks without saving. */
  #leave() {
    const editing = this.#masks !== null;
    const held = this.#maskBox.contains(document.activeElement) || this.#host.contains(document.activeElement);
    this.#masks?.close();
    this.#masks = null;
    if (this.#camera) this.#showMasks();
    if (editing && held) this.#maskBox.querySelector("button")?.focus({ preventScroll: true });
  }

  #showMasks() {
    const count = this.#camera.transform.masks.length;
    // Only when it differs: written anew it would take the focus from its button.
    if (this.#maskBox.dataset.count === String(count)) return;
    this.#maskBox.dataset.count = count;
    this.#maskBox.replaceChildren(
      h("p", {}, count === 0 ? "None." : count === 1 ? "One mask." : `${count} masks.`),
      h(
        "div",
        { class: "row" },
        h("button", { class: "button", type: "button", click: () => this.#editMasks() }, "Edit masks"),
      ),
    );
  }

  #editMasks() {
    const editor = (this.#masks = new MaskEditor(this.#host, this.#camera.transform.masks, this.#shape));
    const before = JSON.stringify(this.#camera.transform);
    const save = async () => {
      if (JSON.stringify(this.#camera.transform) !== before && !(await ask(...OTHERS))) return;
      if ((await this.#save({ masks: editor.masks }, "Masks saved.")) && this.#masks === editor) this.#leave();
    };
    const add = h("button", { class: "button", type: "button", click: () => editor.add() }, "Add a mask");
    delete this.#maskBox.dataset.count;
    this.#maskBox.replaceChildren(
      h("p", {}, "Draw a rectangle on the picture, or add one and type its place."),
      editor.list,
      h(
        "div",
        { class: "row" },
        add,
        h("button", { class: "button", type: "button", click: () => this.#leave() }, "Cancel"),
        h("button", { class: "button button-main", type: "button", click: save }, "Save masks"),
      ),
    );
    add.focus({ preventScroll: true });
    this.#host.scrollIntoView({ block: "nearest" });
  }

  #rename() {
    const name = this.#name.value.trim();
    if (name && name !== this.#camera.name) this.#save({ name }, "Renamed.");
    else this.#name.value = this.#camera.name;
  }

  async #turn(change) {
    if (this.isUnsaved && !(await ask(...TURNED))) return this.#put(this.#camera, true);
    this.#leave();
    // Only what was changed: the other may show what it was before a change that is still under way. Masks and zones
    // stay where they are in the scene: the server sees to that.
    await this.#save(change, "Saved.");
  }

  async #readdress(event) {
    event.preventDefault();
    const url = this.#address.value.trim();
    if (url && (await this.#save({ url }, "The camera is read from there now."))) this.#address.value = "";
  }

  async #hear(event) {
    event.preventDefault();
    const audio_url = this.#audio.value.trim();
    if (audio_url && (await this.#save({ audio_url }, "Its sound is read from there now."))) this.#audio.value = "";
  }

  async #save(change, said) {
    this.#saving += 1;
    let refused = false;
    try {
      this.#camera = await this.#inTurn(() => request("PATCH", cameraApi(this.#camera.id), change));
      toast(said);
    } catch (error) {
      refused = true;
      toast(`Not saved. ${apology(error)}`, { bad: true });
    }
    this.#saving -= 1;
    // What was refused is not so, though its field has the focus.
    if (refused && !this.#saving) this.#put(this.#camera, true);
    this.update(this.#camera);
    return !refused;
  }
}
