// The service worker: the pages open without the server too, and then say that it is gone.
//
// The server writes one line above this: `SHELL` {version, files, pages}, made from the files themselves, so that any
// change of theirs is a new worker with a cache of its own.
//
// The network comes first: what is kept is used only where nothing answers, and then for the page and its files alike.
// After an update the server's pages are others than those kept, and a page made of both would not run: one that came from
// the server gets none of the kept files then, however late its own are.
//
// Kept are the pages and their static files, fetched without credentials when the worker is installed, and nothing
// afterwards: no answer that anybody got for a right can be among them. Everything below api/ is none of this worker's business.

const { version, files, pages } = self.SHELL;
const ROOT = new URL(self.registration.scope);
// Caches are the origin's, and another Framecast may live below another path of it.
const PREFIX = `framecast ${ROOT.pathname} `;
const CACHE = PREFIX + version;
// A link that is there and carries nothing is worse than none.
const PAGE_WAIT_MS = 5_000;
const FILE_WAIT_MS = 3_000;
const KNOWN = new Set(files);
// Which pages the server has, by its word.
const VERSION_HEADER = "X-Framecast-Pages";
const KEPT = "kept";
// Of each page that was opened lately, by its client's id: KEPT, or the version that the server named.
const opened = new Map();
const MOST_OPENED = 50;

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("push", (event) => event.waitUntil(tell(event.data)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.path ?? ""));
});
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== ROOT.origin || !address.pathname.startsWith(ROOT.pathname)) return;
  const path = address.pathname.slice(ROOT.pathname.length);
  if (request.mode === "navigate") {
    const shell = shellOf(path);
    if (shell !== null) event.respondWith(page(request, shell, event.resultingClientId));
  } else if (KNOWN.has(path)) {
    event.respondWith(file(request, path, opened.get(event.clientId)));
  }
});

// One after the other: the page that is open meanwhile has better use for the link.
async function keep() {
  const cache = await caches.open(CACHE);
  for (const path of [...pages, ...files]) {
    const response = await fetch(new URL(path, ROOT), { credentials: "omit", cache: "no-cache" });
    if (!response.ok || response.redirected) throw new Error(`${path} could not be kept: status ${response.status}`);
    // The server was updated in the middle of it: a worker of its own will keep all of that.
    if ((response.headers.get(VERSION_HEADER) ?? version) !== version) throw new Error(`${path} is of other pages`);
    await cache.put(new URL(path, ROOT), response);
  }
  await self.skipWaiting();
}

async function begin() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  await self.clients.claim();
}

/** The kept page for a path below the root; null for what is no page of ours. */
function shellOf(path) {
  const plain = path.replace(/\/$/, "") || "./";
  if (pages.includes(plain)) return plain;
  return pages.find((page) => page.endsWith("/any") && new RegExp(`^${page.slice(0, -3)}[^/]+$`).test(plain)) ?? null;
}

/** What a proxy or a tunnel says while the server behind it is gone. */
function isDown({ status }) {
  return status === 502 || status === 504 || status >= 520;
}

async function page(request, path, client) {
  const { response, isKept } = await first(request, PAGE_WAIT_MS, path, isDown);
  if (opened.size >= MOST_OPENED) opened.delete(opened.keys().next().value);
  if (client) opened.set(client, isKept ? KEPT : response.headers.get(VERSION_HEADER));
  return response;
}

/** A file for a page that came from there; null or undefined where that is not known. */
async function file(request, path, from) {
  const isOther = from && from !== KEPT && from !== version;
  if (isOther) return fetch(request);
  if (from === KEPT) return (await kept(path)) ?? fetch(request);
  return (await first(request, FILE_WAIT_MS, path, ({ ok }) => !ok)).response;
}

async function kept(path) {
  return (await caches.open(CACHE)).match(new URL(path, ROOT));
}

/** The network's answer, or what is kept where none comes in time or it is no use: {response, isKept}. */
async function first(request, waitMs, path, useless) {
  const answer = fetch(request);
  let timer = 0;
  const late = new Promise((done) => (timer = setTimeout(done, waitMs, null)));
  const response = await Promise.race([answer.catch(() => null), late]);
  clearTimeout(timer);
  if (response && !useless(response)) return { response, isKept: false };
  const instead = await kept(path);
  return { response: instead ?? (await answer), isKept: instead !== undefined };
}

/** Show what the server sent. Browsers end a subscription whose messages show nothing, so there is always something. */
async function tell(data) {
  let told = {};
  try {
    told = data.json();
  } catch {
    // Nothing came with it, or not from this server.
  }
  await self.registration.showNotification(told.title ?? "Framecast", {
    body: told.text ?? "Something happened.",
    tag: told.event_id,
    timestamp: told.at ? told.at * 1000 : Date.now(),
    icon: new URL("static/icons/icon-192.png", ROOT).href,
    ...(told.picture && { image: ours(told.picture) }),
    data: { path: told.path ?? "events" },
  });
}

/** A path of the server's, wherever a proxy has it. */
function ours(path) {
  const address = new URL(path.replace(/^\/+/, ""), ROOT);
  return address.href.startsWith(ROOT.href) ? address.href : ROOT.href;
}

/** Bring a page of ours to the front that shows this, or open one. */
async function open(path) {
  const address = ours(path);
  for (const page of await self.clients.matchAll({ type: "window" })) {
    if (!page.url.startsWith(ROOT.href)) continue;
    let shown = null;
    try {
      shown = await page.navigate(address);
    } catch {
      // It is being closed, or is another worker's by now.
      continue;
    }
    // A browser that lets nobody take the front shows it at least.
    await shown?.focus().catch(() => {});
    return;
  }
  await self.clients.openWindow(address);
}

async function subscribeAgain({ oldSubscription, newSubscription }) {
  const options = oldSubscription?.options;
  const made = newSubscription ?? (options && (await self.registration.pushManager.subscribe(options)));
  if (!made) return;
  await fetch(new URL("api/v1/push/subscriptions", ROOT), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(made),
  });
}
