// The pages as an app: the service worker behind them, and the browser's offer to install them.

import { url } from "./api.js";

// The first picture has better use for the link.
const REGISTER_AFTER_MS = 3_000;

let offer = null;

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  offer = event;
  dispatchEvent(new Event("framecast-installable"));
});
addEventListener("appinstalled", () => {
  offer = null;
  dispatchEvent(new Event("framecast-installable"));
});

/** Whether this browser would install the pages now. */
export function installable() {
  return offer !== null;
}

/** Shows the browser's own question. */
export async function install() {
  await offer?.prompt();
  offer = null;
  dispatchEvent(new Event("framecast-installable"));
}

// Only a secure page has workers. One whose certificate was waved through gets none, and works as well without.
if (navigator.serviceWorker) {
  setTimeout(
    () => navigator.serviceWorker.register(url("sw.js"), { scope: url("") }).catch(() => {}),
    REGISTER_AFTER_MS,
  );
}
