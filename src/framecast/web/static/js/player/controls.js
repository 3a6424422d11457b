// The bar under the picture: what one can do with it, each by a button and by a key.

import { h, setAttribute, setText } from "../dom.js";
import { icon, redraw } from "./icons.js";
import { talkOff } from "./talk.js";

export const QUALITIES = [
  ["auto", "Auto"],
  ["low", "Low"],
  ["medium", "Medium"],
  ["high", "High"],
  ["source", "Source"],
];

/** The keys of a player that has the focus; pages may bind them for their only player too. */
export const KEYS = [
  { keys: ["m"], text: "Sound on or off", run: (player) => player.toggleSound() },
  { keys: ["t"], text: "Talk, while held", run: (player, event) => event.repeat || player.startTalking(event) },
  { keys: ["s"], text: "Save a snapshot", run: (player) => player.saveSnapshot() },
  { keys: ["p"], text: "Picture in picture", run: (player) => player.togglePictureInPicture() },
  { keys: ["f"], text: "Full screen", run: (player) => player.toggleFullScreen() },
  { keys: ["q"], text: "Next quality", run: (player) => player.nextQuality() },
  { keys: ["d"], text: "Boxes around what is seen", run: (player) => player.toggleBoxes() },
  { keys: ["i"], text: "Numbers", run: (player) => player.toggleNumbers() },
];

const RESTING_MS = 3_000;

export class Controls {
  element;

  #player;
  #parts = {};
  #restTimer = 0;

  constructor(player) {
    this.#player = player;
    const part = (name, element) => (this.#parts[name] = element);
    const button = (name, label, sign, click) => {
      const options = { type: "button", part: `button ${name}`, "aria-label": label, title: label, click };
      return part(name, h("button", options, icon(sign)));
    };
    part("line", h("span", { class: "line", part: "line" }));
    part("level", h("span"));
    const range = { role: "meter", "aria-label": "Level of the sound", "aria-valuemin": 0, "aria-valuemax": 1 };
    part("meter", h("span", { class: "meter", part: "meter", ...range }, this.#parts.level));
    part(
      "quality",
      h(
        "select",
        { part: "quality", "aria-label": "Quality", change: () => (player.quality = this.#parts.quality.value) },
        QUALITIES.map(([value, text]) => h("option", { value }, text)),
      ),
    );
    button("sound", "Sound", "soundOff", () => player.toggleSound());
    button("talk", "Hold to talk", "talk", null);
    button("snapshot", "Save a snapshot", "snapshot", () => player.saveSnapshot());
    button("pip", "Picture in picture", "pip", () => player.togglePictureInPicture());
    button("boxes", "Boxes", "boxes", () => player.toggleBoxes());
    button("numbers", "Numbers", "numbers", () => player.toggleNumbers());
    button("full", "Full screen", "full", () => player.toggleFullScreen());
    this.#holdToTalk();
    this.element = h(
      "div",
      { class: "bar", part: "bar", role: "group", "aria-label": "Player" },
      ["sound", "meter", "talk"].map((name) => this.#parts[name]),
      this.#parts.line,
      h("span", { class: "space" }),
      ["quality", "boxes", "numbers", "snapshot", "pip", "full"].map((name) => this.#parts[name]),
    );
  }

  /** Hides the bar of a full screen until something moves, unless somebody goes through it by keyboard. */
  stir(frame) {
    clearTimeout(this.#restTimer);
    frame.classList.remove("resting");
    const rest = () => {
      if (this.element.querySelector(":focus-visible")) this.stir(frame);
      else frame.classList.add("resting");
    };
    this.#restTimer = setTimeout(rest, RESTING_MS);
  }

  /** The one line that says what plays. */
  line(text) {
    setText(this.#parts.line, text);
    this.#parts.line.title = text;
  }

  /** Loudness, 0 to 1. */
  level(value) {
    this.#parts.level.style.transform = `scaleX(${value.toFixed(3)})`;
    setAttribute(this.#parts.meter, "aria-valuenow", value.toFixed(2));
  }

  /**
   * How the buttons stand: {sound, metered (whether a level is known), talk ("", "asking", "talking"), canTalk, heard
   * (by a device), pip, canPip, boxes and numbers (shown), quality, qualityText}.
   */
  show(state) {
    const { sound, talk, pip, quality, boxes, numbers } = this.#parts;
    this.#parts.meter.hidden = !state.metered;
    setAttribute(sound, "aria-pressed", String(state.sound));
    redraw(sound.firstChild, state.sound ? "soundOn" : "soundOff");
    talk.hidden = !state.canTalk;
    talk.classList.add("talk");
    talk.classList.toggle("unheard", !state.heard);
    setAttribute(talk, "aria-pressed", String(state.talk !== ""));
    const off = talkOff();
    setAttribute(talk, "aria-disabled", off ? "true" : null);
    label(talk, off || "Hold to talk");
    pip.hidden = !state.canPip;
    setAttribute(pip, "aria-pressed", String(state.pip));
    setAttribute(boxes, "aria-pressed", String(state.boxes));
    setAttribute(numbers, "aria-pressed", String(state.numbers));
    if (quality.value !== state.quality) quality.value = state.quality;
    quality.title = state.qualityText;
  }

  #holdToTalk() {
    const { talk } = this.#parts;
    const begin = (event) => {
      event.preventDefault();
      talk.setPointerCapture?.(event.pointerId);
      this.#player.startTalking();
    };
    const end = () => this.#player.stopTalking();
    talk.addEventListener("pointerdown", begin);
    for (const type of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) talk.addEventListener(type, end);
    talk.addEventListener("contextmenu", (event) => event.preventDefault());
    talk.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") {
        event.preventDefault();
        if (!event.repeat) this.#player.startTalking(event);
      }
    });
    // Firefox clicks when the space bar is let go, whatever became of its keydown.
    talk.addEventListener("keyup", (event) => event.preventDefault());
    // Switches and voice control click without a pointer, and can hold nothing.
    talk.addEventListener("click", ({ pointerType, detail }) => {
      if (pointerType ?? detail) return;
      if (this.#player.talking?.state) end();
      else this.#player.startTalking();
    });
  }
}

function label(button, text) {
  setAttribute(button, "aria-label", text);
  if (button.title !== text) button.title = text;
}
