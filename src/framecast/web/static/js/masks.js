// Privacy masks: rectangles that the server paints black for everybody. Drawn with mouse, pen or finger on the
// picture, or typed as numbers; each can be moved and sized with the arrow keys.
//
// A mask is [x, y, width, height] in fractions of the picture, 0 to 1.

import { h } from "./dom.js";

const STEP = 0.01;
const SMALLEST = 0.01;
const MOST = 32;
const FIELDS = ["Left", "Top", "Width", "Height"];

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
// Rounded down, so that left + width stays within the picture.
const floor = (value) => Math.floor(value * 10_000) / 10_000;

function fit([x, y, width, height]) {
  const w = floor(clamp(width, SMALLEST, 1));
  const v = floor(clamp(height, SMALLEST, 1));
  return [floor(clamp(x, 0, 1 - w)), floor(clamp(y, 0, 1 - v)), w, v];
}

/** Where a picture of this shape lies inside a box that letterboxes it. */
export function letterbox(box, shape) {
  const width = Math.min(box.width, box.height * shape);
  const height = width / shape;
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}

export class MaskEditor {
  #masks;
  #layer = h("div", { class: "masks" });
  #list = h("ol", { class: "mask-list" });
  #host;
  #shape;
  #drawing = null;
  #resize;
  #before;

  /**
   * @param host Element over whose picture the masks are drawn.
   * @param masks Those of now.
   * @param shape Function giving width / height of the picture.
   */
  constructor(host, masks, shape) {
    this.#host = host;
    this.#masks = masks.map((mask) => [...mask]);
    this.#before = JSON.stringify(this.masks);
    this.#shape = shape;
    this.#layer.addEventListener("pointerdown", (event) => this.#begin(event));
    this.#layer.addEventListener("pointermove", (event) => this.#drag(event));
    this.#layer.addEventListener("pointerup", () => this.#end());
    this.#layer.addEventListener("pointercancel", () => this.#end());
    this.#resize = new ResizeObserver(() => this.#place());
    this.#resize.observe(host);
    host.append(this.#layer);
    this.#show();
  }

  get masks() {
    return this.#masks.map(fit);
  }

  get list() {
    return this.#list;
  }

  /** Whether they are others than at the beginning. */
  get isChanged() {
    return JSON.stringify(this.masks) !== this.#before;
  }

  /** Leaves the picture alone for a while; what is drawn stays. */
  set hidden(hidden) {
    this.#layer.hidden = hidden;
  }

  close() {
    this.#resize.disconnect();
    this.#layer.remove();
    this.#list.remove();
  }

  /** Adds one in the middle, for those who don't draw. */
  add(mask = [0.4, 0.4, 0.2, 0.2]) {
    if (this.#masks.length >= MOST) return;
    this.#masks.push(mask);
    this.#show();
    this.#list.lastChild.querySelector("input").focus();
  }

  #place() {
    const box = letterbox(
      { x: 0, y: 0, width: this.#host.clientWidth, height: this.#host.clientHeight },
      this.#shape(),
    );
    Object.assign(this.#layer.style, {
      left: `${box.x}px`,
      top: `${box.y}px`,
      width: `${box.width}px`,
      height: `${box.height}px`,
    });
  }

  #show() {
    this.#place();
    this.#layer.replaceChildren(...this.#masks.map((mask, index) => this.#rectangle(mask, index)));
    this.#list.replaceChildren(...this.#masks.map((mask, index) => this.#row(mask, index)));
  }

  #rectangle(mask, index) {
    const element = h("div", {
      class: "mask",
      tabIndex: 0,
      role: "group",
      "aria-label": `Mask ${index + 1}. Arrow keys move it, with Shift they size it, Delete removes it.`,
      keydown: (event) => this.#key(event, index),
    });
    element.append(h("span", {}, String(index + 1)));
    this.#draw(element, mask);
    return element;
  }

  #draw(element, [x, y, width, height]) {
    const percent = (value) => `${value * 100}%`;
    Object.assign(element.style, {
      left: percent(x),
      top: percent(y),
      width: percent(width),
      height: percent(height),
    });
  }

  #row(mask, index) {
    const fields = FIELDS.map((name, part) =>
      h(
        "label",
        { class: "mask-field" },
        h("span", {}, `${name}, %`),
        h("input", {
          class: "input",
          type: "number",
          min: 0,
          max: 100,
          step: 1,
          value: Math.round(mask[part] * 1000) / 10,
          input: (event) => this.#typed(index, part, event.target.valueAsNumber / 100),
        }),
      ),
    );
    const remove = h(
      "button",
      { class: "button", type: "button", "aria-label": `Remove mask ${index + 1}`, click: () => this.#remove(index) },
      "Remove",
    );
    return h("li", { class: "mask-row" }, h("b", {}, `Mask ${index + 1}`), fields, remove);
  }

  #typed(index, part, value) {
    if (Number.isNaN(value)) return;
    this.#masks[index][part] = clamp(value, 0, 1);
    this.#draw(this.#layer.children[index], fit(this.#masks[index]));
  }

  #remove(index) {
    this.#masks.splice(index, 1);
    this.#show();
    // After the last one at the button that makes another, which stands behind the list.
    const next = this.#layer.children[Math.min(index, this.#masks.length - 1)];
    (next ?? this.#list.parentElement?.querySelector("button"))?.focus();
  }

  #key(event, index) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return this.#remove(index);
    }
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[
      event.key
    ];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y, width, height] = this.#masks[index];
    const changed = event.shiftKey
      ? [x, y, width + move[0], height + move[1]]
      : [x + move[0], y + move[1], width, height];
    this.#masks[index] = fit(changed);
    this.#show();
    this.#layer.children[index].focus();
  }

  #point(event) {
    const box = this.#layer.getBoundingClientRect();
    return [clamp((event.clientX - box.x) / box.width, 0, 1), clamp((event.clientY - box.y) / box.height, 0, 1)];
  }

  // Down on a rectangle moves it, down beside one draws another.
  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const from = this.#point(event);
    const element = event.target.closest(".mask");
    let index = element ? [...this.#layer.children].indexOf(element) : -1;
    const moving = index >= 0;
    if (!moving) {
      if (this.#masks.length >= MOST) return;
      index = this.#masks.push([...from, 0, 0]) - 1;
      this.#layer.append(this.#rectangle(this.#masks[index], index));
    }
    this.#layer.setPointerCapture(event.pointerId);
    this.#drawing = { index, from, moving, before: [...this.#masks[index]] };
  }

  #drag(event) {
    if (!this.#drawing) return;
    const { index, from, moving, before } = this.#drawing;
    const [x, y] = this.#point(event);
    this.#masks[index] = moving
      ? fit([before[0] + x - from[0], before[1] + y - from[1], before[2], before[3]])
      : [Math.min(from[0], x), Math.min(from[1], y), Math.abs(x - from[0]), Math.abs(y - from[1])];
    this.#draw(this.#layer.children[index], this.#masks[index]);
  }

  #end() {
    if (!this.#drawing) return;
    const { index, moving } = this.#drawing;
    this.#drawing = null;
    const [, , width, height] = this.#masks[index];
    // A click, not a drawing.
    if (!moving && (width < SMALLEST || height < SMALLEST)) this.#masks.splice(index, 1);
    this.#show();
    this.#layer.children[index]?.focus();
  }
}
