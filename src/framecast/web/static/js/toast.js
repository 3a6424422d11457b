// Short messages at the bottom of the page, read out politely, with one action at most.

import { h } from "./dom.js";

const SHOW_MS = 6_000;
const AGAIN_MS = 1_000;

let region = null;

function ensureRegion() {
  region ??= document.body.appendChild(h("div", { class: "toasts", role: "status", "aria-live": "polite" }));
  return region;
}

/**
 * Shows a message.
 *
 * @param text What happened.
 * @param options `action` {text, run} adds a button; `bad` marks a failure; `showMs` how long (0: until
 *   dismissed); `ended` is called when it goes without the action.
 */
export function toast(text, { action = null, bad = false, showMs = SHOW_MS, ended = null } = {}) {
  const close = (acted) => {
    clearTimeout(timer);
    box.remove();
    if (acted) action.run();
    else ended?.();
  };
  const box = h(
    "div",
    { class: bad ? "toast toast-bad" : "toast" },
    h("p", {}, text),
    action
      ? h("button", { class: "button button-quiet", type: "button", click: () => close(true) }, action.text)
      : null,
    h("button", { class: "button button-quiet", type: "button", click: () => close(false) }, "Dismiss"),
  );
  ensureRegion().append(box);
  // Enough for any burst; a wall left alone for a week must not collect them.
  while (region.children.length > 4) region.firstChild.remove();
  // Not under the hands of somebody who is at its buttons.
  const end = () => (box.contains(document.activeElement) ? (timer = setTimeout(end, AGAIN_MS)) : close(false));
  let timer = showMs ? setTimeout(end, showMs) : 0;
  return () => close(false);
}

/** A copy button's work; secure contexts have a clipboard, plain HTTP on a LAN only the old command. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen", value: text, readOnly: true });
    const host = document.querySelector("dialog[open]") ?? document.body;
    const focused = document.activeElement;
    host.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}
