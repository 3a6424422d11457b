// Boxes and names over the picture, as elements: sharp at any size and density of the screen, and none of the picture's
// business. The same are drawn into pictures by the server (process/outlines.py).
//
// Their parent has the shape of the picture and is as large as fits, as the picture itself is put into its place by
// `object-fit: contain`: so they follow into full screen, and past bars at any side, without a line of script.

import { h, setText } from "../dom.js";
import { driftOf } from "./looks.js";

const OTHERS = ["#b69cff", "#ff8ab5", "#ffe14d", "#3fd6c6", "#ff9955", "#a8e063"];
const COLOURS = { person: "#4dc3ff", known: "#5fd38d", unknown: "#ffb224", face: "#eef0f2" };
const STRANGER = "unknown";
const FACE = "face";
// No room for words above a box that begins so high up; nor to the right of one that begins so far there.
const HIGH = 0.07;
const FAR = 0.6;

/** The colour of a box: of what it is, or of whether it is known who. */
export function colour({ label, name }) {
  if (name) return name === STRANGER ? COLOURS.unknown : COLOURS.known;
  if (label === "person" || label === FACE) return COLOURS[label];
  const sum = [...label].reduce((total, character) => total + character.codePointAt(0), 0);
  return OTHERS[sum % OTHERS.length];
}

/** What stands at a box: who, or what and how sure the model is. */
export function words({ label, name, group, score }) {
  if (name === STRANGER) return group ? `${STRANGER} ${group}` : STRANGER;
  return name || `${label} ${Math.round(score * 100)}%`;
}

/** Whether words stand at a box: not at a face whose person has a box, too. */
export function speaks(thing, things) {
  if (thing.label !== FACE) return true;
  const [x, y, width, height] = thing.box;
  const [across, down] = [x + width / 2, y + height / 2];
  return !things.some(({ label, box: [left, top, wide, high] }) => {
    return label === "person" && left <= across && across <= left + wide && top <= down && down <= top + high;
  });
}

export class Outlines {
  element;

  #shape = h("div", { class: "things" });
  #shown = null;
  #all = false;
  /** Index of the first mark of a thing. */
  #first = 0;

  constructor() {
    this.element = h("div", { class: "seen", part: "boxes", "aria-hidden": "true", hidden: true }, this.#shape);
  }

  /**
   * Draws a look of looks.js; null: nothing.
   *
   * @param capturedMs When the picture was taken. @param shape Its width by its height, 0 where that is not known.
   * @param all Whether to draw what moved, and the part that the model looked at, too.
   */
  draw(look, capturedMs, shape, all) {
    if (shape) this.#shape.style.setProperty("--shape", shape.toFixed(5));
    if (look === this.#shown && all === this.#all) return this.#drift(capturedMs);
    this.#shown = look;
    this.#all = all;
    this.element.hidden = !look;
    const things = look?.things ?? [];
    const marks = things.map((thing) => ({ box: thing.box, thing }));
    if (look && all) {
      marks.unshift(...look.motion.map((box) => ({ box, kind: "moved" })));
      if (look.region) marks.unshift({ box: look.region, kind: "region" });
    }
    // The same elements again: a box that moves is no new one.
    while (this.#shape.childElementCount > marks.length) this.#shape.lastElementChild.remove();
    while (this.#shape.childElementCount < marks.length) this.#shape.append(h("div", {}, h("span")));
    for (const [index, mark] of marks.entries()) put(this.#shape.children[index], mark, things);
    this.#first = marks.length - things.length;
    this.#drift(capturedMs);
    this.#hush(marks);
  }

  /** Puts things where they will have been when the picture was taken. */
  #drift(capturedMs) {
    const look = this.#shown;
    for (const [index, thing] of look?.things.entries() ?? []) {
      if (!look.speeds.size) return;
      const drift = driftOf(look, thing, capturedMs);
      const { style } = this.#shape.children[this.#first + index];
      for (const [axis, name] of ["left", "top"].entries()) style[name] = percent(thing.box[axis] + drift[axis]);
    }
  }

  /** Leaves out words that would lie on others, or on a larger thing of the same kind; but no names. */
  #hush(marks) {
    const rows = marks.map(({ thing, box: [, , width, height] }, index) => ({
      rank: (thing?.name ? 1 : 0) + width * height,
      named: Boolean(thing?.name),
      kind: thing?.label,
      span: this.#shape.children[index].firstChild,
      box: this.#shape.children[index].getBoundingClientRect(),
      place: this.#shape.children[index].firstChild.getBoundingClientRect(),
    }));
    const taken = [];
    const spoken = rows.filter(({ place }) => place.width);
    for (const { span, named, kind, box, place } of spoken.sort((a, b) => b.rank - a.rank)) {
      const hushed = !named && taken.some((other) => (other.kind ?? kind) === kind && overlap(place, other.place));
      span.classList.toggle("hushed", hushed);
      if (!hushed) taken.push({ place });
      taken.push({ kind, place: box });
    }
  }
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

const percent = (share) => `${(share * 100).toFixed(2)}%`;

function put(element, { box, kind, thing }, things) {
  const [x, y, width, height] = box;
  for (const [name, share] of Object.entries({ left: x, top: y, width, height })) {
    element.style.setProperty(name, percent(share));
  }
  if (kind) {
    element.className = kind;
    return setText(element.firstChild, "");
  }
  const marks = { high: y < HIGH, far: x > FAR, face: thing.label === FACE, rests: !thing.seen };
  element.className = ["thing", ...Object.keys(marks).filter((name) => marks[name])].join(" ");
  element.style.setProperty("--colour", colour(thing));
  setText(element.firstChild, speaks(thing, things) ? words(thing) : "");
}
