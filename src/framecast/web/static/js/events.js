// The page of events: what was seen, the rules by which that is told, and where it is told.

import "./copybox.js";
import "./menu.js";
import { request, url } from "./api.js";
import { awayPanel } from "./away.js";
import { h, setText } from "./dom.js";
import { Feed } from "./events/feed.js";
import { Rules } from "./events/rules.js";
import { Sinks } from "./events/sinks.js";
import { Viewer } from "./events/viewer.js";
import { bindKeys } from "./keys.js";
import { hasEntered, keyPanel, markRights, mayWatch, whoAmI } from "./session.js";
import { setUpTabs } from "./tabs.js";

const EVENT_ID = /^[0-9A-HJKMNP-TV-Z]{26}$/;

const find = (id) => document.getElementById(id);
const names = new Map();
let tab = "";

const viewer = new Viewer({
  names,
  step: (by) => stepTo(viewer.id, by, true),
  has: (by) => neighbour(viewer.id, by) !== null,
  removed: (id) => feed.drop(id),
  closed: () => {
    if (isEvent()) setHash("");
  },
});
const feed = new Feed(find("panel-events"), {
  names,
  told: (event, phase) => {
    viewer.renew(event);
    if (phase === "start") setText(find("news"), feed.spoken(event));
  },
  state: (gone) => {
    if (!gone) nameCameras().catch(() => {});
    find("gone").hidden = !gone;
    setText(find("gone-text"), gone ? "Server gone. What is shown is older." : "");
  },
  empty: nothingYet,
});
const panels = {
  events: { show: () => {} },
  rules: new Rules(find("panel-rules")),
  sinks: new Sinks(find("panel-sinks")),
};

// --- the address -----------------------------------------------------------------------------------------------

const isEvent = () => EVENT_ID.test(location.hash.slice(1));

function setHash(hash) {
  history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
}

/** Shows what the address names. */
async function follow() {
  if (!isEvent()) {
    if (viewer.isOpen) viewer.close();
    const name = location.hash.slice(1);
    if (Object.hasOwn(panels, name) && name !== tab) find(`tab-${name}`)?.click();
    return;
  }
  const id = location.hash.slice(1);
  const known = feed.get(id);
  if (known) return viewer.show(known);
  // Somebody may have gone on meanwhile.
  const stays = () => location.hash.slice(1) === id;
  try {
    const event = await request("GET", `api/v1/events/${id}`);
    if (stays()) viewer.show(event);
  } catch (error) {
    if (!stays()) return;
    const gone = error.status === 404;
    viewer.showMissing(
      gone
        ? "It was deleted, it is older than this server keeps events, or it is of a camera that you may not watch."
        : error.message,
    );
  }
}

function open(id) {
  setHash(`#${id}`);
  follow();
}

/** Id of the event beside this one, of the first one where this is none of those shown; null at the end. */
function neighbour(id, by) {
  const { order } = feed;
  const at = order.indexOf(id);
  return order[at < 0 ? 0 : at + by] ?? null;
}

/** From one event to its neighbour: on the grid by its focus, in the dialog by what it shows. */
function stepTo(id, by, inDialog) {
  const next = neighbour(id, by);
  if (next === null) return;
  const card = feed.card(next);
  if (inDialog) open(next);
  else card?.focus();
  card?.scrollIntoView({ block: "nearest" });
}

const focused = () => document.activeElement?.closest?.(".event")?.dataset.id ?? null;

// --- what to show ----------------------------------------------------------------------------------------------

function instead(...content) {
  find("page").hidden = true;
  find("instead").hidden = false;
  find("instead").replaceChildren(...content);
  find("instead").querySelector("input, button")?.focus();
}

function panel(title, text) {
  return h("div", { class: "panel" }, h("h2", {}, title), h("p", {}, text));
}

/** What to do where nothing has happened. */
function nothingYet() {
  const may = document.documentElement.dataset.rights?.includes("operate");
  const text = may
    ? "Events come from rules: “a person in the porch”, “an unknown face”, “the camera is offline”. Each may send its own to phones and to other programs."
    : "Once a rule finds something, it is shown here with its picture.";
  return [
    h("h2", {}, "Nothing happened yet"),
    h("p", {}, text),
    may
      ? h(
          "p",
          {},
          h("button", { class: "button button-main", type: "button", click: () => find("tab-rules").click() }, "Rules"),
        )
      : null,
  ].filter(Boolean);
}

/** As cameras are called now; what one that is gone was called is as good as ever. */
async function nameCameras() {
  const { cameras } = await request("GET", "api/v1/cameras");
  const before = JSON.stringify([...names]);
  for (const { id, name } of cameras) names.set(id, name);
  if (JSON.stringify([...names]) !== before) feed.renamed();
}

function choose(name) {
  if (name === tab) return;
  panels[tab]?.leave?.();
  const first = tab === "";
  tab = name;
  if (!first) setHash(name === "events" ? "" : `#${name}`);
  panels[name].show();
}

async function begin() {
  const { rights } = await markRights();
  const state = whoAmI();
  if (state === null) return instead(awayPanel());
  if (!state.open && !hasEntered(state) && !mayWatch(rights)) return instead(keyPanel(() => location.reload()));
  if (!mayWatch(rights))
    return instead(
      panel("This can't be shown", "Your token does not allow watching. Ask for one with the right “watch”."),
    );
  try {
    await nameCameras();
  } catch (error) {
    return instead(error.status === 0 || error.status >= 500 ? awayPanel() : panel("This can't be shown", error.message));
  }
  find("page").hidden = false;
  const tabs = [...find("tabs").querySelectorAll("[role=tab]")];
  for (const each of tabs) if (each.dataset.needs && !rights.includes(each.dataset.needs)) each.remove();
  find("tabs").hidden = find("tabs").childElementCount < 2;
  setUpTabs(find("tabs"), choose, location.hash.slice(1));
  await feed.start();
  follow();
}

addEventListener("hashchange", follow);
find("retry").addEventListener("click", () => feed.load(true));
bindKeys([
  { keys: ["j", "ArrowRight"], text: "Older event", run: () => tab === "events" && stepTo(focused(), 1, false) },
  { keys: ["k", "ArrowLeft"], text: "Newer event", run: () => tab === "events" && stepTo(focused(), -1, false) },
  { keys: ["1"], text: "Events", run: () => find("tab-events")?.click() },
  { keys: ["2"], text: "Rules", run: () => find("tab-rules")?.click() },
  { keys: ["3"], text: "Deliveries", run: () => find("tab-sinks")?.click() },
  { keys: ["Escape"], text: "All cameras", run: () => (location.href = url("").href) },
]);
begin();
