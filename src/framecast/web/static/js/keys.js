// The keyboard: one table for each page, and `?` shows it.

import { h } from "./dom.js";

const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

/**
 * Binds keys.
 *
 * @param table Array of {keys: [event.key …], text, run(event)}; `run` returns false to leave the key to the
 *   browser. Modified keys, keys typed into a field and keys under an open dialog or menu are left alone.
 */
export function bindKeys(table) {
  const dialog = helpDialog([...table, { keys: ["?"], text: "This list" }]);
  const show = () => (document.body.append(dialog), dialog.open || dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // The first of the path, since an element with a shadow stands for all in it.
    if (isTyping(event.composedPath()[0]) || document.querySelector("dialog[open], .menu-open")) return;
    if (event.key === "?") return show();
    const row = table.find((candidate) => candidate.keys.includes(event.key));
    if (row && row.run(event) !== false) event.preventDefault();
  });
  for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", show);
}

function helpDialog(table) {
  const rows = table.flatMap(({ keys, text }) => [
    h(
      "dt",
      {},
      keys.map((key) => h("kbd", {}, SHOWN[key] ?? key)),
    ),
    h("dd", {}, text),
  ]);
  const dialog = h(
    "dialog",
    { class: "dialog dialog-narrow", "aria-labelledby": "keys-title" },
    h(
      "form",
      { method: "dialog", class: "dialog-head" },
      h("h2", { id: "keys-title" }, "Keyboard"),
      h("button", { class: "button", type: "submit" }, "Close"),
    ),
    h("dl", { class: "keys" }, rows),
  );
  return dialog;
}
