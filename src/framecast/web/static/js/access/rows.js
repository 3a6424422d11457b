// What the lists of the page "Access" are made of.

import { request } from "../api.js";
import { h } from "../dom.js";
import { ago, duration, plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";

/** "3 min ago" for Unix seconds; `never` for null. */
export function when(unixS, never = "never") {
  return unixS === null || unixS === undefined ? never : ago(Date.now() - unixS * 1000);
}

/** "in 29 d" */
export function until(unixS) {
  return `in ${duration(unixS * 1000 - Date.now()).replace(".0 s", " s")}`;
}

/** A moment as this browser writes it, to be read and sorted by. */
export function moment(unixS) {
  const date = new Date(unixS * 1000);
  return h(
    "time",
    { dateTime: date.toISOString() },
    date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }),
  );
}

/** "all cameras", "Front door, yard", "12 cameras", by their ids; `names` has what people call them. */
export function camerasText(cameras, names) {
  if (cameras === null || cameras === undefined) return "all cameras";
  if (cameras.length === 0) return "no camera";
  return cameras.length > 3 ? plural(cameras.length, "camera") : cameras.map((id) => names.get(id) ?? id).join(", ");
}

/** What people call the cameras, by id; without those that can't be had. Raises nothing. */
export async function cameraNames() {
  try {
    return new Map((await request("GET", "api/v1/cameras")).cameras.map(({ id, name }) => [id, name]));
  } catch {
    return new Map();
  }
}

/** One line of a list: a title with what it is, what is known of it, and what may be done. */
export function row(title, mark, details, ...actions) {
  return h(
    "li",
    { class: "entry" },
    h("div", { class: "entry-what" }, h("b", { class: "entry-title" }, title), mark),
    h("p", { class: "quiet entry-more" }, details.filter(Boolean).join(" · ")),
    h("div", { class: "entry-do" }, actions),
  );
}

/** A word about a state beside a title. */
export function tag(text, state = null) {
  return text ? h("span", { class: "entry-tag", "data-state": state }, text) : null;
}

/** The head of a panel: what it is about, and its one main action. */
export function head(text, ...actions) {
  return h("div", { class: "access-head" }, h("p", {}, text), h("div", { class: "row" }, actions));
}

export function button(text, click, look = "") {
  return h("button", { class: `button ${look}`, type: "button", click }, text);
}

/** The same for one of many, told apart for those who hear them. */
export function rowButton(text, whom, click, look = "") {
  return h("button", { class: `button ${look}`, type: "button", click, "aria-label": `${text}: ${whom}` }, text);
}

/**
 * Puts new content into a panel; what had the focus has it still, or else what has come in its place. What is typed into
 * its fields stays in those of the same names.
 */
export function renew(panel, ...content) {
  const held = panel.contains(document.activeElement) ? document.activeElement : null;
  const named = (element) => element?.getAttribute("aria-label") ?? element?.textContent;
  const isShown = (element) => element.getClientRects().length > 0; // checkVisibility() is too new for many a tablet
  const controls = () => [...panel.querySelectorAll("button, [role=switch]")].filter(isShown);
  const fields = () => [...panel.querySelectorAll("input[type=text]")];
  const kin = fields().includes(held) ? fields : controls;
  const place = kin().indexOf(held);
  const typed = new Map(fields().map((field) => [named(field), field.value]));
  panel.replaceChildren(...content);
  for (const field of fields()) field.value = typed.get(named(field)) || field.value;
  if (!held) return;
  const there = kin();
  (there.find((each) => named(each) === named(held)) ?? there[Math.min(place, there.length - 1)])?.focus();
}

/** In place of a list that could not be had, with a way to try again. */
export function failed(error, again) {
  // The session ended meanwhile, perhaps in another browser: the page anew is the form to log in.
  const out = error.status === 401;
  return h(
    "div",
    { class: "stack-tight" },
    h("p", { class: "field-error", role: "alert" }, apology(error).replace(" Nothing was changed.", "")),
    h("div", {}, out ? button("Log in", () => location.reload()) : button("Try again", again)),
  );
}

/** The cameras that may be chosen from; null, and a word about it, where the list could not be had. */
export async function camerasThere() {
  try {
    return (await request("GET", "api/v1/cameras")).cameras;
  } catch (error) {
    toast(apology(error), { bad: true });
    return null;
  }
}

/**
 * Boxes for the cameras, or none for all of them. Returns {element, value(), suggest(all)}: the last one chooses for
 * whoever has not chosen himself.
 */
export function cameraChoice(cameras, chosen, legend = "Cameras") {
  const boxes = new Map(
    cameras.map(({ id }) => [id, h("input", { type: "checkbox", checked: chosen?.includes(id) ?? false })]),
  );
  // A camera that is gone stays in a limit until somebody takes it out.
  for (const id of chosen ?? []) if (!boxes.has(id)) boxes.set(id, h("input", { type: "checkbox", checked: true }));
  const names = new Map(cameras.map(({ id, name }) => [id, name]));
  const all = h("input", { type: "radio", name: "cameras-of", checked: chosen === null, change: () => show() });
  const some = h("input", { type: "radio", name: "cameras-of", checked: chosen !== null, change: () => show() });
  const list = h(
    "div",
    { class: "choice-list" },
    [...boxes].map(([id, box]) => h("label", { class: "check" }, box, names.get(id) ?? `${id} (not there now)`)),
    boxes.size ? null : h("p", { class: "quiet" }, "There is no camera yet."),
  );
  const show = () => (list.hidden = !some.checked);
  show();
  let touched = false;
  const element = h(
    "fieldset",
    { class: "fieldset", change: () => (touched = true) },
    h("legend", {}, legend),
    h("label", { class: "check" }, all, "All cameras, those to come too"),
    h("label", { class: "check" }, some, "Only these"),
    list,
  );
  return {
    element,
    suggest: (everything) => {
      if (touched) return;
      (everything ? all : some).checked = true;
      show();
    },
    value: () => {
      const some = [...boxes].filter(([, box]) => box.checked).map(([id]) => id);
      if (all.checked) return null;
      if (some.length === 0) throw new Error("Choose at least one camera, or all of them.");
      return some;
    },
  };
}
