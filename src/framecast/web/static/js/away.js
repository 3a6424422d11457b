// What stands in place of a page that the server has not answered yet.

import { session } from "./api.js";
import { h } from "./dom.js";

const RETRY_MS = 3_000;

/** A panel that says so; once the server answers the page begins anew. */
export function awayPanel() {
  const panel = h(
    "div",
    { class: "panel" },
    h("h2", {}, "The server does not answer"),
    h("p", {}, "Either this device has no network, or the server is off or out of reach. This page returns by itself."),
    h("div", {}, h("button", { class: "button", type: "button", click: () => location.reload() }, "Try now")),
  );
  const look = async () => {
    if (!panel.isConnected) return;
    if (!document.hidden && (await session().catch(() => null))) return location.reload();
    setTimeout(look, RETRY_MS);
  };
  setTimeout(look, RETRY_MS);
  return panel;
}
