// Zones and lines: what rules speak of. Drawn with mouse, pen or finger on the picture; each corner can be moved with
// the arrow keys, too.
//
// Theory of operation. The editor either draws or lets change. While it draws, a press sets a corner; a press that is
// dragged at the beginning makes a whole rectangle, or the line. A zone ends at its first corner, with Enter or by the
// button. Otherwise a corner is dragged by its handle, a new one out of the middle of an edge, and a zone as a whole by
// its area. Points are fractions of the picture, 0 to 1.

import { h, setText } from "./dom.js";
import { letterbox } from "./masks.js";
import { clamp, round, zoneShapes } from "./zoneshapes.js";

const STEP = 0.01;
const MOST = 32;
const MOST_POINTS = 64;
// A finger's tip.
const NEAR_PX = 22;
const SIDE_PX = 18;
const MIDDLE = {
  zone: [
    [0.35, 0.35],
    [0.65, 0.35],
    [0.65, 0.65],
    [0.35, 0.65],
  ],
  line: [
    [0.3, 0.5],
    [0.7, 0.5],
  ],
};
const LEAST = { zone: 3, line: 2 };

const between = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];
const percent = (value) => `${value * 100}%`;

export class ZoneEditor {
  list = h("ol", { class: "mask-list" });
  said = h("p", { class: "quiet", role: "status" });

  #shapes;
  #layer = h("div", { class: "masks zones" });
  #handles = h("div", {});
  #host;
  #shape;
  #resize;
  #changed;
  #drawing = null;
  #drag = null;
  #before;

  /**
   * @param host Element over whose picture they are drawn. @param shapes Those of now, as the API tells them.
   * @param shape Function giving width / height of the picture. @param changed Called when drawing begins or ends.
   */
  constructor(host, shapes, shape, changed = () => {}) {
    this.#host = host;
    this.#shapes = shapes.map(({ name, kind, points }) => ({ name, kind, points: points.map((point) => [...point]) }));
    this.#before = JSON.stringify(this.#shapes);
    this.#shape = shape;
    this.#changed = changed;
    this.#layer.addEventListener("pointerdown", (event) => this.#down(event));
    this.#layer.addEventListener("pointermove", (event) => this.#move(event));
    this.#layer.addEventListener("pointerup", () => this.#up());
    this.#layer.addEventListener("pointercancel", () => this.#up());
    this.#layer.addEventListener("keydown", (event) => this.#key(event));
    this.#resize = new ResizeObserver(() => this.#place());
    this.#resize.observe(host);
    host.append(this.#layer);
    this.#show();
  }

  /** All of them, as the API takes them; raises Error where one has no name of its own. */
  get zones() {
    const names = new Set();
    for (const { name } of this.#shapes) {
      if (!name.trim()) throw new Error("Give each zone and line a name.");
      if (names.has(name.trim())) throw new Error(`Two are called “${name.trim()}”. Give each a name of its own.`);
      names.add(name.trim());
    }
    return this.#shapes.map(({ name, kind, points }) => ({ name: name.trim(), kind, points: points.map(round) }));
  }

  get drawing() {
    return this.#drawing !== null;
  }

  /** Whether they are others than at the beginning, or one is being drawn. */
  get isChanged() {
    return this.drawing || JSON.stringify(this.#shapes) !== this.#before;
  }

  /** Leaves the picture alone for a while; what is drawn stays. */
  set hidden(hidden) {
    this.#layer.hidden = hidden;
    this.#place();
  }

  /** How many there are. */
  get count() {
    return this.#shapes.length;
  }

  close() {
    this.#resize.disconnect();
    this.#layer.remove();
    this.list.remove();
  }

  /** Begins to draw; `whole` puts one in the middle instead, for those who don't draw. */
  draw(kind, whole) {
    if (this.#shapes.length >= MOST) return setText(this.said, `${MOST} are the most a camera can have.`);
    if (whole)
      return this.#add(
        kind,
        MIDDLE[kind].map((point) => [...point]),
      );
    this.#drawing = { kind, points: [] };
    this.#show();
  }

  /** Ends drawing: with what there is of it, or without. */
  finish(keep) {
    const made = this.#drawing;
    this.#drawing = null;
    if (keep && made && made.points.length >= LEAST[made.kind]) return this.#add(made.kind, made.points);
    this.#show();
  }

  #add(kind, points) {
    this.#drawing = null;
    const taken = new Set(this.#shapes.map(({ name }) => name));
    let number = 1;
    while (taken.has(`${kind} ${number}`)) number += 1;
    this.#shapes.push({ name: `${kind} ${number}`, kind, points });
    this.#show();
    this.list.lastChild.querySelector("input").select();
  }

  // --- what is shown -------------------------------------------------------------------------------------------

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
    this.#draw();
  }

  #show() {
    this.list.replaceChildren(...this.#shapes.map((shape, index) => this.#row(shape, index)));
    const hints = {
      zone: "Drag a rectangle, or set corner after corner. The first corner, or Enter, closes it; Esc ends without.",
      line: "Drag from one end to the other. Esc ends without.",
    };
    setText(this.said, this.#drawing ? hints[this.#drawing.kind] : "");
    this.#place();
    this.#changed();
  }

  #row(shape, index) {
    const kind = shape.kind === "line" ? "Line" : "Zone";
    return h(
      "li",
      { class: "field-row" },
      h("input", {
        class: "input",
        type: "text",
        value: shape.name,
        maxLength: 40,
        autocomplete: "off",
        "aria-label": `Name of ${kind.toLowerCase()} ${index + 1}`,
        input: ({ target }) => ((shape.name = target.value), this.#draw()),
      }),
      h(
        "button",
        {
          class: "button",
          type: "button",
          "aria-label": `Remove ${kind.toLowerCase()} ${index + 1}`,
          click: () => this.#remove(index),
        },
        "Remove",
      ),
    );
  }

  #remove(index) {
    this.#shapes.splice(index, 1);
    this.#show();
    // After the last one at the buttons that make others, which stand before the list.
    const next = this.list.children[Math.min(index, this.#shapes.length - 1)] ?? this.list.parentElement;
    next?.querySelector("input, button")?.focus();
  }

  #draw() {
    const held = document.activeElement?.dataset?.at;
    const shapes = zoneShapes([
      ...this.#shapes,
      ...(this.#drawing?.points.length ? [{ ...this.#drawing, kind: "line" }] : []),
    ]);
    [...shapes.children].forEach((each, index) => (each.dataset.shape = index));
    this.#handles = h("div", {});
    this.#shapes.forEach((shape, index) => this.#drawHandles(shape, index));
    for (const point of this.#drawing?.points ?? []) this.#handles.append(this.#handle(point, "zone-corner", ""));
    this.#layer.classList.toggle("zones-drawing", this.drawing);
    this.#layer.replaceChildren(shapes, this.#handles);
    if (held) this.#handles.querySelector(`[data-at="${held}"]`)?.focus();
  }

  #drawHandles({ name, kind, points }, index) {
    const edges = kind === "line" ? [] : points.map((point, at) => [point, points[(at + 1) % points.length], at]);
    const [x, y] =
      kind === "line"
        ? between(...points)
        : [Math.min(...points.map(([each]) => each)), Math.min(...points.map(([, each]) => each))];
    this.#handles.append(this.#label([x, y], name, kind === "line" ? "zone-name zone-name-line" : "zone-name"));
    if (kind === "line") this.#drawSides(points);
    if (this.drawing) return;
    for (const [one, other, at] of points.length < MOST_POINTS ? edges : []) {
      const middle = this.#handle(between(one, other), "zone-middle", "");
      middle.dataset.middle = `${index} ${at}`;
      this.#handles.append(middle);
    }
    points.forEach((point, at) => {
      const text = `${kind === "line" ? "End" : "Corner"} ${at + 1} of ${name}. Arrow keys move it${points.length > LEAST[kind] ? ", Delete removes it" : ""}.`;
      const corner = this.#handle(point, "zone-corner", text);
      corner.dataset.at = `${index} ${at}`;
      this.#handles.append(corner);
    });
  }

  /** Which side of a line is its right: that of who walks from its first end to its second. */
  #drawSides([one, other]) {
    const { clientWidth: width, clientHeight: height } = this.#layer;
    const [dx, dy] = [(other[0] - one[0]) * width, (other[1] - one[1]) * height];
    const length = Math.hypot(dx, dy);
    if (!length || !width) return;
    const [x, y] = between(one, other);
    for (const [text, sign] of [
      ["R", 1],
      ["L", -1],
    ]) {
      const at = [x - (sign * dy * SIDE_PX) / length / width, y + (sign * dx * SIDE_PX) / length / height];
      this.#handles.append(this.#label(at, text, "zone-side"));
    }
  }

  #label([x, y], text, look) {
    const element = h("span", { class: look }, text);
    Object.assign(element.style, { left: percent(x), top: percent(y) });
    return element;
  }

  #handle([x, y], look, text) {
    const element = h("div", {
      class: look,
      ...(text
        ? {
            tabIndex: 0,
            role: "slider",
            "aria-label": text,
            "aria-valuenow": Math.round(x * 100),
            "aria-valuetext": `${Math.round(x * 100)} %, ${Math.round(y * 100)} %`,
          }
        : {}),
    });
    Object.assign(element.style, { left: percent(x), top: percent(y) });
    return element;
  }

  // --- hands ---------------------------------------------------------------------------------------------------

  #point(event) {
    const box = this.#layer.getBoundingClientRect();
    return [clamp((event.clientX - box.x) / box.width), clamp((event.clientY - box.y) / box.height)];
  }

  #apartPx([ax, ay], [bx, by]) {
    return Math.hypot((ax - bx) * this.#layer.clientWidth, (ay - by) * this.#layer.clientHeight);
  }

  #down(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#layer.setPointerCapture(event.pointerId);
    const from = this.#point(event);
    if (this.#drawing) return this.#setCorner(from);
    const { at, middle } = event.target.dataset;
    if (at) {
      const [index, corner] = at.split(" ").map(Number);
      event.target.focus();
      this.#drag = { points: this.#shapes[index].points, corner };
    } else if (middle) {
      const [index, edge] = middle.split(" ").map(Number);
      this.#shapes[index].points.splice(edge + 1, 0, from);
      this.#drag = { points: this.#shapes[index].points, corner: edge + 1 };
    } else if (event.target.dataset.shape) {
      const { points } = this.#shapes[Number(event.target.dataset.shape)];
      this.#drag = { points, from, before: points.map((point) => [...point]) };
    }
  }

  #setCorner(from) {
    const { kind, points } = this.#drawing;
    if (points.length >= LEAST.zone && this.#apartPx(points[0], from) < NEAR_PX) return this.finish(true);
    if (points.length >= MOST_POINTS) return;
    points.push(from);
    this.#drag = { points, corner: points.length - 1, first: kind === "zone" && points.length === 1 ? from : null };
    if (kind === "line" && points.length === 1) this.#drag = { points, corner: points.push([...from]) - 1, line: true };
    this.#draw();
  }

  #move(event) {
    if (!this.#drag) return;
    const now = this.#point(event);
    const { points, corner, from, before, first } = this.#drag;
    if (first) {
      const far = this.#apartPx(first, now) > NEAR_PX;
      points.splice(0, points.length, ...(far ? [first, [now[0], first[1]], now, [first[0], now[1]]] : [first]));
    } else if (before) {
      // As far as all of it stays in the picture.
      const step = [0, 1].map((axis) => {
        const all = before.map((point) => point[axis]);
        return Math.min(1 - Math.max(...all), Math.max(-Math.min(...all), now[axis] - from[axis]));
      });
      before.forEach(([x, y], index) => (points[index] = [x + step[0], y + step[1]]));
    } else points[corner] = now;
    this.#draw();
  }

  #up() {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag || !this.#drawing) return;
    const { points } = this.#drawing;
    if (drag.first && points.length > 1) this.finish(true);
    else if (drag.line) {
      // A tap: the other end is yet to come.
      if (this.#apartPx(...points) < NEAR_PX) points.pop();
      else this.finish(true);
    } else if (this.#drawing.kind === "line" && points.length === 2) this.finish(true);
  }

  #key(event) {
    const { at } = event.target.dataset;
    if (!at) return;
    const [index, corner] = at.split(" ").map(Number);
    const { kind, points } = this.#shapes[index];
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    const removes = event.key === "Delete" || event.key === "Backspace";
    if (!step && !removes) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) points[corner] = round([points[corner][0] + step[0], points[corner][1] + step[1]]);
    else if (points.length > LEAST[kind]) points.splice(corner, 1);
    this.#draw();
  }
}
