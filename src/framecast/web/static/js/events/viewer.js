// One event, large: its best picture, what is known of it, and what one may do with it.

import { cameraPage, request, url } from "../api.js";
import { ask } from "../ask.js";
import { h } from "../dom.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { letterbox } from "../masks.js";
import { showPicture } from "./card.js";
import { kindName, lengthOf, momentOf, namesText, STRANGER, titleOf } from "./words.js";

export class Viewer {
  #names;
  #step;
  #has;
  #removed;
  #closed;
  #event = null;
  #picture = h("div", { class: "event-picture event-large" });
  #box = h("div", { class: "event-box", hidden: true });
  #resize = new ResizeObserver(() => this.#frame());
  #body = h("div", { class: "event-about" });
  #title = h("h2", { id: "event-title" });
  #newer = h(
    "button",
    { class: "button button-square", type: "button", "aria-label": "Newer event", click: () => this.#step(-1) },
    "‹",
  );
  #older = h(
    "button",
    { class: "button button-square", type: "button", "aria-label": "Older event", click: () => this.#step(1) },
    "›",
  );
  #dialog;

  /**
   * @param options `names`: Map of camera ids to names; `step(by)`: go to a neighbour; `has(by)`: whether there is one;
   *   `removed(id)`; `closed()`.
   */
  constructor({ names, step, has, removed, closed }) {
    this.#names = names;
    this.#step = step;
    this.#has = has;
    this.#removed = removed;
    this.#closed = closed;
    this.#dialog = h(
      "dialog",
      {
        class: "dialog event-dialog",
        "aria-labelledby": "event-title",
        close: () => this.#left(),
        keydown: (event) => this.#key(event),
      },
      h(
        "div",
        { class: "dialog-head" },
        this.#title,
        h(
          "div",
          { class: "row" },
          this.#newer,
          this.#older,
          h("button", { class: "button", type: "button", autofocus: true, click: () => this.#dialog.close() }, "Close"),
        ),
      ),
      this.#picture,
      this.#body,
    );
    this.#resize.observe(this.#picture);
  }

  /** Id of the event that is shown; null while none is. */
  get id() {
    return this.#event?.event_id ?? null;
  }

  /** Whether it is open, with an event or with why there is none. */
  get isOpen() {
    return this.#dialog.open;
  }

  show(event) {
    this.#event = event;
    this.#fill();
    if (this.#dialog.open) return;
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  /** Shows what became of the event that is open. */
  renew(event) {
    if (event.event_id !== this.id) return;
    this.#event = event;
    this.#fill();
  }

  /** In place of an event that could not be had. */
  showMissing(text) {
    this.#event = null;
    this.#title.textContent = "No such event";
    this.#picture.hidden = this.#newer.disabled = this.#older.disabled = true;
    this.#body.replaceChildren(h("p", {}, text));
    if (this.#dialog.open) return;
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }

  #left() {
    // It is told a moment later, when another event may be shown already.
    if (this.#dialog.open) return;
    this.#event = null;
    this.#dialog.remove();
    this.#closed();
  }

  #key(event) {
    // What had the focus in it keeps that for a moment after it was closed.
    if (!this.#dialog.open) return;
    const by = { ArrowLeft: -1, ArrowUp: -1, k: -1, ArrowRight: 1, ArrowDown: 1, j: 1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#step(by);
  }

  #fill() {
    const event = this.#event;
    const camera = this.#names.get(event.camera) ?? event.camera;
    const rights = document.documentElement.dataset.rights ?? "";
    const strange = event.names?.includes(STRANGER) && rights.includes("operate");
    this.#newer.disabled = !this.#has(-1);
    this.#older.disabled = !this.#has(1);
    this.#title.textContent = titleOf(event);
    this.#picture.hidden = false;
    showPicture(this.#picture, event, `${titleOf(event)}, ${camera}`, () => this.#frame());
    const facts = [
      ["Camera", camera],
      ["Began", momentOf(event.start)],
      ["Lasted", lengthOf(event)],
      ["Kind", kindName(event.kind)],
      ["Who", event.names?.length ? namesText(event.names) : ""],
      ["Where", event.zone],
      ["Sure", event.score ? `${Math.round(event.score * 100)} %` : ""],
      ["Rule", event.rule_name],
      ["Told", event.quiet ? "to nobody: it began in quiet hours" : ""],
    ].filter(([, text]) => text);
    this.#body.replaceChildren(
      h(
        "dl",
        { class: "facts" },
        facts.map(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]),
      ),
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: cameraPage(event.camera) }, "Watch now"),
        event.picture
          ? h(
              "a",
              { class: "button", href: url(event.picture.replace(/^\//, "")).href, download: `${event.event_id}.jpg` },
              "Save the picture",
            )
          : null,
        strange ? h("a", { class: "button", href: url("people#unknown").href }, "Who is this?") : null,
        h(
          "button",
          { class: "button button-bad", type: "button", "data-needs": "operate", click: () => this.#remove() },
          "Delete",
        ),
      ),
    );
  }

  /** Puts a frame around what the event is about, wherever the picture lies in its place. */
  #frame() {
    const image = this.#picture.querySelector("img");
    const { box } = this.#event ?? {};
    this.#box.hidden = !box || !image?.naturalWidth;
    if (this.#box.hidden) return;
    const place = { x: 0, y: 0, width: this.#picture.clientWidth, height: this.#picture.clientHeight };
    const shown = letterbox(place, image.naturalWidth / image.naturalHeight);
    const [x, y, width, height] = box;
    this.#box.style.left = `${shown.x + x * shown.width}px`;
    this.#box.style.top = `${shown.y + y * shown.height}px`;
    this.#box.style.width = `${width * shown.width}px`;
    this.#box.style.height = `${height * shown.height}px`;
    this.#picture.append(this.#box);
  }

  async #remove() {
    const { event_id: id } = this.#event;
    const text = "It goes with its picture, for everybody. It can't be undone.";
    if (!(await ask("Delete this event?", text, "Delete", "button-danger"))) return;
    try {
      await request("DELETE", `api/v1/events/${encodeURIComponent(id)}`);
    } catch (error) {
      // Deleted elsewhere meanwhile, it is what was asked for.
      if (error.status !== 404) return toast(`Not deleted. ${apology(error)}`, { bad: true });
    }
    if (this.id === id) this.close();
    this.#removed(id);
    toast("Deleted.");
  }
}
