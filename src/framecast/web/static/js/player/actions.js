// What a visitor can do with a player, by a button, by a key or from a page's own script.

import { setAttribute } from "../dom.js";
import { KEYS, QUALITIES } from "./controls.js";
import { remember, remembered, Seeing } from "./seeing.js";
import { dress } from "./style.js";
import { View } from "./view.js";
import { fullScreen, PictureWindow, save } from "./window.js";

export class Actions extends HTMLElement {
  view = new View();
  frame = document.createElement("div");
  /** The bar (controls.js), null without one. */
  bar = null;
  /** Its sound (sound.js) and its microphone (talk.js), null without a camera. */
  hearing = null;
  talking = null;
  /** What its camera sees (seeing.js), null without a camera. */
  seeing = null;

  #window = null;
  #named = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    dress(root);
    this.frame.className = "player";
    this.frame.append(this.view.element);
    root.append(this.frame);
    this.addEventListener("keydown", (event) => this.#key(event));
    for (const type of ["pointermove", "pointerdown", "keydown"]) {
      this.addEventListener(type, () => this.bar?.stir(this.frame));
    }
  }

  // --- properties that mirror attributes -----------------------------------------------------------------------

  /** Id of the camera. */
  get camera() {
    return this.getAttribute("camera") ?? "";
  }

  set camera(id) {
    this.setAttribute("camera", id);
  }

  /** "auto", "low", "medium", "high" or "source". */
  get quality() {
    const asked = this.getAttribute("quality") ?? "auto";
    return QUALITIES.some(([name]) => name === asked) ? asked : "auto";
  }

  set quality(name) {
    this.setAttribute("quality", name);
  }

  // --- sound ---------------------------------------------------------------------------------------------------

  /** Whether it is silent, as it is at first. */
  get muted() {
    return !this.hearing?.on;
  }

  set muted(muted) {
    if (!this.hearing || muted === this.muted) return;
    this.hearing.turn(!muted);
    this.refresh();
    this.tell("soundchange", { muted, volume: this.volume });
  }

  /** 0 to 1. */
  get volume() {
    return this.hearing?.volume ?? 1;
  }

  set volume(value) {
    if (!this.hearing) return;
    this.hearing.volume = value;
    this.tell("soundchange", { muted: this.muted, volume: this.volume });
  }

  toggleSound() {
    this.muted = !this.muted;
  }

  /** Opens the microphone; `key`, the keydown that asks for it, ends it by itself when it is let go. */
  startTalking(key = null) {
    this.talking?.start(key);
  }

  stopTalking() {
    this.talking?.stop();
  }

  // --- picture -------------------------------------------------------------------------------------------------

  nextQuality() {
    const names = QUALITIES.map(([name]) => name);
    this.quality = names[(names.indexOf(this.quality) + 1) % names.length];
    this.view.say(`Quality: ${QUALITIES.find(([name]) => name === this.quality)[1]}`);
  }

  /** Whether boxes are drawn around what is seen: as the attribute says, else as they were last. */
  get boxes() {
    const asked = this.getAttribute("boxes");
    return asked === null ? remembered() : asked !== "off";
  }

  set boxes(on) {
    this.setAttribute("boxes", on ? "on" : "off");
  }

  toggleBoxes() {
    const on = !this.boxes;
    remember(on);
    if (this.hasAttribute("boxes")) this.boxes = on;
    this.view.say(on ? "Boxes on" : "Boxes off");
    this.render();
  }

  /** Begins to show what the camera sees, or ends it. */
  see(on) {
    this.seeing?.close();
    this.seeing = null;
    if (!on) return;
    const { server, camera, view } = this;
    const told = (look, why) => {
      if (why && this.bar) view.say(why);
      this.tell("detections", look);
    };
    this.seeing = new Seeing({ server, camera, outlines: view.outlines, told });
  }

  toggleNumbers() {
    this.view.showNumbers(!this.view.numbersShown);
    if (this.stats) this.view.numbers(this.stats);
    this.render();
  }

  /** The newest picture as a Blob, as the camera took it; raises ApiError. */
  async snapshot() {
    const path = `api/v1/cameras/${encodeURIComponent(this.camera)}/snapshot.jpg`;
    return (await this.server.fetch(path)).blob();
  }

  /** Saves the newest picture as a file. */
  async saveSnapshot() {
    try {
      save(await this.snapshot(), this.camera);
    } catch (error) {
      this.view.say(`No snapshot. ${error.message}`);
    }
  }

  toggleFullScreen() {
    fullScreen(this).catch(() => this.view.say("No full screen here."));
    this.bar?.stir(this.frame);
  }

  get windowOpen() {
    return this.#window !== null;
  }

  closeWindow() {
    this.#window?.close();
  }

  /** Another element shows the picture now. */
  followWindow(surface) {
    this.#window?.follow(surface);
  }

  /** Opens the picture in a window of its own, or closes that. */
  async togglePictureInPicture() {
    if (this.#window) return this.#window.close();
    const { server } = this;
    if (!server || !this.surface) return this.view.say("There is no picture yet.");
    try {
      this.#window = await PictureWindow.of(this.surface, () => {
        this.#window = null;
        server.keepAwake(false);
        this.run();
        this.render();
      });
      // Hiding the page must not end the picture that is still seen.
      server.keepAwake(true);
    } catch (error) {
      this.view.say(`No picture in picture: ${error.message}`);
    }
    this.render();
  }

  // --- plumbing ------------------------------------------------------------------------------------------------

  /** Says what it is to those who can't see it, unless the page does. */
  named(name) {
    if (!this.hasAttribute("role")) this.setAttribute("role", "group");
    const before = this.getAttribute("aria-label");
    if (this.getAttribute("role") === "none" || (before !== null && before !== this.#named)) return;
    this.#named = name;
    setAttribute(this, "aria-label", name);
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.bar) return;
    if (event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]")) return;
    const row = KEYS.find(({ keys }) => keys.includes(event.key));
    if (!row) return;
    event.preventDefault();
    row.run(this, event);
  }
}
