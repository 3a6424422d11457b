// What object models know how to find, and a choice among it: the common ones as boxes, the rest in a list.

import { h } from "./dom.js";

/** The 80 kinds of COCO, in the order of src/framecast/vision/labels.py. */
// prettier-ignore
export const LABELS = [
  "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
  "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
  "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
  "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
  "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
  "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
  "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
  "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
];
const COMMON = ["person", "car", "bicycle", "motorcycle", "truck", "bus", "dog", "cat", "bird"];

/**
 * Boxes for labels. Returns {element, value(), set(labels)}.
 *
 * @param id Prefix of the controls' ids, since a page may hold several.
 * @param chosen Those that are chosen. @param changed Called when that changes.
 */
export function labelChoice(id, chosen, changed = () => {}) {
  const boxes = new Map();
  const list = h("div", { class: "label-boxes" });
  const more = h("select", { class: "input", id: `${id}-more`, "aria-label": "Something else", change: () => take(more.value) });
  const put = (label, checked) => {
    const box = h("input", { type: "checkbox", checked, change: changed });
    boxes.set(label, box);
    list.append(h("label", { class: "check" }, box, label));
  };
  const rest = () => {
    const others = LABELS.filter((label) => !boxes.has(label));
    more.replaceChildren(...["Something else …", ...others].map((text, index) => h("option", { value: index ? text : "" }, text)));
  };
  const take = (label) => {
    if (!label) return;
    put(label, true);
    rest();
    changed();
  };
  const set = (labels) => {
    // A model of one's own may have labels that are none of these.
    for (const label of [...COMMON, ...labels]) if (!boxes.has(label)) put(label, false);
    for (const [label, box] of boxes) box.checked = labels.includes(label);
    rest();
  };
  set(chosen);
  return {
    element: h("div", { class: "stack-tight" }, list, more),
    value: () => [...boxes].filter(([, box]) => box.checked).map(([label]) => label),
    set,
  };
}
