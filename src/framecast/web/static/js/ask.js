// Dialogs: a question before something that others notice, and the frame of those with fields in them.

import { h, setText } from "./dom.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";

/** Asks before something that others notice; resolves to whether it was confirmed. */
export function ask(title, text, verb, look = "button-main") {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      {
        class: "dialog dialog-narrow",
        "aria-labelledby": "ask-title",
        close: () => (dialog.remove(), resolve(dialog.returnValue === "yes")),
      },
      h(
        "form",
        { method: "dialog", class: "stack" },
        h("h2", { id: "ask-title", class: "ask-title" }, title),
        h("p", {}, text),
        h(
          "div",
          { class: "row-end" },
          h("button", { class: "button", value: "no", autofocus: true }, "Cancel"),
          h("button", { class: `button ${look}`, value: "yes" }, verb),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A dialog that says something once; `close` resolves when it was closed. Returns {dialog, closed}. */
export function showDialog(title, ...content) {
  const id = `title-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  let ended;
  const closed = new Promise((done) => (ended = done));
  const dialog = h(
    "dialog",
    { class: "dialog dialog-narrow", "aria-labelledby": id, close: () => (dialog.remove(), ended()) },
    h(
      "form",
      { method: "dialog", class: "dialog-head" },
      h("h2", { id }, title),
      h("button", { class: "button", type: "submit" }, "Close"),
    ),
    content,
  );
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, closed };
}

let asked = 0;

/**
 * Waits for what a dialog needs before it can open. Null where that is no more to be opened: another was asked for
 * meanwhile, by a second press perhaps, or is open.
 */
export async function beforeDialog(needed) {
  const turn = (asked += 1);
  const got = await needed;
  return turn === asked && !document.querySelector("dialog[open]") ? got : null;
}

/**
 * A dialog with fields.
 *
 * @param title Its heading.
 * @param fields Elements of the form.
 * @param verb What its button says.
 * @param work Called when it is sent; the dialog closes once it is done, and says why when it fails.
 * @returns Resolves to what `work` gave, though it was closed meanwhile, or to null when it was closed without.
 */
export async function fill(title, fields, verb, work) {
  let result = null;
  const said = h("p", { class: "field-error", role: "alert" });
  const button = h("button", { class: "button button-main", type: "submit" }, verb);
  const send = async () => {
    button.disabled = true;
    setText(said, "");
    try {
      result = (await work()) ?? true;
      dialog.close();
    } catch (error) {
      if (dialog.open) setText(said, apology(error));
      else toast(apology(error), { bad: true });
    }
    button.disabled = false;
  };
  let sent = null;
  const submit = (event) => {
    event.preventDefault();
    sent = send();
  };
  const { dialog, closed } = showDialog(
    title,
    h("form", { class: "stack", submit }, fields, said, h("div", { class: "row-end" }, button)),
  );
  dialog.querySelector("input, select")?.focus();
  await closed;
  // What was sent before is done all the same, and may be of a kind that is told once.
  await sent;
  return result;
}

/** A labelled field; `options` are the input's. */
export function field(label, id, options = {}, hint = "") {
  const input = h("input", {
    class: "input",
    id,
    type: "text",
    spellcheck: false,
    autocapitalize: "off",
    "aria-describedby": hint ? `${id}-hint` : null,
    ...options,
  });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint ? h("span", { class: "quiet", id: `${id}-hint` }, hint) : null,
  );
  return { element, input };
}

/** A password's field, with a box that shows what is typed. */
export function passwordField(label, id, options = {}, hint = "") {
  const made = field(label, id, { type: "password", required: true, ...options }, hint);
  const shown = h("input", { type: "checkbox", change: () => (made.input.type = shown.checked ? "text" : "password") });
  made.element.append(h("label", { class: "check" }, shown, `Show ${label.toLowerCase()}`));
  return made;
}
