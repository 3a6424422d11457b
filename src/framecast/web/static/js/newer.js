// Whether the server has other pages by now than this one: a page that stays open lives through many an update, an
// installed one for weeks.
//
// Each file's answer names the pages that it is of. Which this page is of is asked for by GET, which a service worker answers
// with the file that came with the page; which the server has, by HEAD, in which no worker has a part. A page of before
// works on, since the API stays: so it is only offered to load it anew, in the menu for as long as it is so.

import { toast } from "./toast.js";

const HEADER = "X-Framecast-Pages";
// The first picture has better use for the link.
const FIRST_AFTER_MS = 3_000;
// Whoever goes back and forth between two windows asks no more often.
const PAUSE_MS = 10 * 60_000;
const SHOW_MS = 20_000;

let own = null;
let there = null;
let offered = "";
let askedMs = 0;

/** Whether the server has newer pages. */
export function isOutdated() {
  return own !== null && there !== null && there !== own;
}

export function reload() {
  location.reload();
}

async function editionBy(method) {
  try {
    const answer = await fetch(import.meta.url, { method, cache: "no-cache" });
    return answer.ok ? answer.headers.get(HEADER) : null;
  } catch {
    return null;
  }
}

async function look() {
  askedMs = Date.now();
  const before = isOutdated();
  own ??= await editionBy("GET");
  there = (own && (await editionBy("HEAD"))) ?? there;
  if (isOutdated() !== before) dispatchEvent(new Event("framecast-newer"));
  if (!isOutdated() || offered === there) return;
  offered = there;
  toast("The server has a new version of this page.", { action: { text: "Reload", run: reload }, showMs: SHOW_MS });
}

setTimeout(() => {
  look();
  document.addEventListener("visibilitychange", () => document.hidden || Date.now() - askedMs < PAUSE_MS || look());
  // A server that was gone and is back may be another one: pages that show cameras say so there.
  new MutationObserver(() => document.documentElement.dataset.server === "open" && look()).observe(
    document.documentElement,
    { attributeFilter: ["data-server"] },
  );
}, FIRST_AFTER_MS);
