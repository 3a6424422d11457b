// The wall: every camera at once.

import "./copybox.js";
import "./menu.js";
import { openAdd } from "./add.js";
import { blob, cameraApi, url } from "./api.js";
import { h, setAttribute, setText, settle } from "./dom.js";
import { duration } from "./format.js";
import { bindKeys } from "./keys.js";
import { plan, sharedAspect } from "./layout.js";
import { remember, remembered } from "./player/seeing.js";
import { serverAt } from "./player/server.js";
import { finishRemoval } from "./removing.js";
import { keyPanel, markRights, whoAmI } from "./session.js";
import { keep, kept } from "./store.js";
import { Tile } from "./tile.js";
import { toast } from "./toast.js";
import { apology, NO_SOCKET, stateName, stateOf, STATE_NAMES } from "./words.js";

const REFRESH_MS = 500;
const RESIZE_MS = 150;
const COLUMNS_KEY = "framecast.columns";
const ASPECT_KEY = "framecast.aspect";
const MOST_COLUMNS = 10;
// What the text has where nobody asked the browser for another size: see base.css.
const TEXT_PX = 15;

const find = (id) => document.getElementById(id);
const grid = find("wall");
const panel = find("panel");
const server = serverAt();
const { dashboard, playout } = server;
const tiles = new Map();
const hidden = new Set();
let wished = Number(kept(COLUMNS_KEY)) || 0;
let columns = 1;

// --- tiles ---------------------------------------------------------------------------------------------------

function addTile(camera) {
  const tile = new Tile().bind(camera, dashboard.clock);
  tile.player.addEventListener("detections", ({ detail }) => explainBlindness(detail));
  tiles.set(camera.id, tile);
  // Kept in the order of the cameras' numbers, which is the order in which they were added.
  const next = [...grid.children].find((other) => other.camera.number > camera.number);
  grid.insertBefore(tile, next ?? null);
  tile.hidden = hidden.has(camera.id);
}

let blindness = "";

/** Says once why no boxes come. */
function explainBlindness({ state, reason }) {
  if (state === blindness) return;
  blindness = state;
  if (reason) toast(`No boxes: ${reason}`, { bad: true });
}

function removeTile(id) {
  const tile = tiles.get(id);
  if (!tile) return;
  const neighbour = tile.nextElementSibling ?? tile.previousElementSibling;
  const hadFocus = tile.contains(document.activeElement);
  tile.remove();
  tiles.delete(id);
  if (hadFocus) neighbour?.link.focus();
}

function arrange() {
  const shown = [...grid.children].filter((tile) => !tile.hidden);
  const style = getComputedStyle(grid);
  const width = grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const top = grid.getBoundingClientRect().top + window.scrollY;
  const height = window.innerHeight - top - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const aspect = sharedAspect(shown.map((tile) => tile.camera)) ?? (Number(kept(ASPECT_KEY)) || 4 / 3);
  const text = parseFloat(getComputedStyle(document.documentElement).fontSize) / TEXT_PX;
  const chosen = plan(shown.length, width, height, aspect, Math.min(wished, MOST_COLUMNS), text);
  columns = chosen.columns;
  grid.style.setProperty("--columns", columns);
  grid.style.setProperty("--tile", `${chosen.tilePx}px`);
  grid.style.setProperty("--aspect", aspect);
}

// Cameras that rest have no shape yet when the page opens, and a wall must not change its shape afterwards: what
// was learnt now is for the next time.
function rememberShape() {
  const aspect = sharedAspect([...tiles.values()].map((tile) => tile.camera));
  if (aspect && aspect !== Number(kept(ASPECT_KEY))) keep(ASPECT_KEY, String(aspect));
}

function setColumns(count) {
  wished = Math.max(0, Math.min(MOST_COLUMNS, count));
  keep(COLUMNS_KEY, String(wished));
  arrange();
}

// --- what the page says about itself -------------------------------------------------------------------------

let states = new Map();

function summarise() {
  const counts = new Map();
  const now = new Map();
  for (const tile of tiles.values()) {
    if (tile.hidden) continue;
    const state = stateOf(tile.camera);
    counts.set(state, (counts.get(state) ?? 0) + 1);
    now.set(tile.camera.id, state);
  }
  const order = [...counts].sort((a, b) => STATE_NAMES.indexOf(a[0]) - STATE_NAMES.indexOf(b[0]));
  const key = JSON.stringify(order);
  if (find("summary").dataset.key !== key) {
    find("summary").dataset.key = key;
    find("summary").replaceChildren(
      ...order.map(([state, count]) =>
        h("li", {}, h("span", { class: "state", "data-state": state }, `${count} ${stateName(state).toLowerCase()}`)),
      ),
    );
  }
  announce(now);
}

function announce(now) {
  const changed = [...now].filter(([id, state]) => states.has(id) && states.get(id) !== state);
  states = now;
  if (changed.length === 0) return;
  const words = changed.map(([id, state]) => `${tiles.get(id).camera.name}: ${stateName(state)}`);
  setText(find("news"), words.join(". "));
}

function showStatus() {
  const { status } = dashboard;
  setAttribute(document.documentElement, "data-server", status);
  // Opened without the server, the page has not asked with success yet.
  if (status === "open" && whoAmI() === null) markRights();
  const gone = status === "gone";
  if (gone && find("gone").hidden) for (const tile of tiles.values()) tile.lost();
  find("gone").hidden = !gone;
  find("summary").classList.toggle("outdated", gone);
  if (gone) {
    const waitMs = Math.max(0, dashboard.retryAt - performance.now());
    // Apart, since what ticks is not to be read out.
    setText(find("gone-what"), `${dashboard.blocked ? NO_SOCKET.title : "Server gone"}.`);
    setText(find("gone-when"), `Trying again in ${duration(Math.ceil(waitMs / 1000) * 1000).replace(".0", "")}.`);
  }
  showPanel();
}

function showPanel() {
  const { status } = dashboard;
  const empty = status === "open" && [...tiles.values()].every((tile) => tile.hidden);
  // Opened without the server: there is no last picture to leave on the page.
  const away = status === "gone" && tiles.size === 0;
  const without = dashboard.blocked ? "blocked" : "away";
  const kind = status === "denied" ? "denied" : away ? without : empty ? "empty" : "";
  grid.hidden = kind !== "";
  // Who was logged out meanwhile is told no more of the cameras.
  find("summary").hidden = kind === "denied";
  find("sizes").hidden = kind !== "";
  find("boxes").hidden = kind !== "";
  panel.hidden = kind === "";
  if (panel.dataset.kind === kind) return;
  panel.dataset.kind = kind;
  if (kind === "denied") {
    panel.replaceChildren(keyPanel(() => dashboard.retry()));
    panel.querySelector("input")?.focus();
  } else panel.replaceChildren(...(PANELS[kind] ? [PANELS[kind]()] : []));
}

const PANELS = { empty: emptyPanel, away: awayPanel, blocked: blockedPanel };

function awayPanel() {
  return h(
    "div",
    { class: "panel" },
    h("h1", {}, "The server does not answer"),
    h(
      "p",
      {},
      "Either this device has no network, or the server is off or out of reach. Cameras appear as soon as it answers.",
    ),
    h("p", { class: "quiet" }, `Tried at ${url("").host}.`),
  );
}

function blockedPanel() {
  return h(
    "div",
    { class: "panel" },
    h("h1", {}, NO_SOCKET.title),
    h("p", {}, `${NO_SOCKET.text} The wall comes over one; a camera's own page plays without.`),
    h("p", { class: "quiet" }, `Tried at ${url("").host}.`),
  );
}

function emptyPanel() {
  return h(
    "div",
    { class: "panel" },
    h("h1", {}, "No camera yet"),
    h("p", { "data-needs": "operate" }, "Add one by its address. Framecast looks at it first and says what it found."),
    h(
      "p",
      { "data-needs": "operate" },
      h("button", { class: "button button-main", type: "button", click: () => openAdd() }, "Add a camera"),
    ),
    h("div", { class: "stack", "data-needs": "operate" }, [
      h("p", { class: "quiet" }, "Or name cameras when the server starts:"),
      h("fc-copy", { label: "the command", text: "framecast serve --camera door=http://192.168.1.20:81/stream" }),
      h("p", { class: "quiet" }, "No camera at hand? This starts a server with synthetic ones:"),
      h("fc-copy", { label: "the command", text: "framecast demo" }),
    ]),
    h("p", { class: "quiet" }, "Cameras that you may watch appear here by themselves."),
  );
}

function refresh() {
  const gone = dashboard.status !== "open";
  for (const tile of tiles.values()) tile.refresh();
  markBoxes(); // another page of this browser may have switched them
  if (dashboard.status === "gone") showStatus();
  const group = playout.size;
  setText(find("step"), group > 1 && !gone ? `${group} in step, ${duration(playout.delayMs)}` : "");
}

// --- the socket ----------------------------------------------------------------------------------------------

dashboard.addEventListener("status", showStatus);
dashboard.addEventListener("cameras", () => {
  for (const id of [...tiles.keys()]) if (!dashboard.cameras.has(id)) removeTile(id);
  for (const camera of dashboard.cameras.values()) {
    if (tiles.has(camera.id)) tiles.get(camera.id).update(camera);
    else addTile(camera);
  }
  changedSet();
});
dashboard.addEventListener("camera", ({ detail: camera }) => {
  if (tiles.has(camera.id)) {
    tiles.get(camera.id).update(camera);
    summarise();
  } else {
    addTile(camera);
    changedSet();
  }
});
dashboard.addEventListener("removed", ({ detail }) => {
  hidden.delete(detail.id);
  removeTile(detail.id);
  changedSet();
});
dashboard.addEventListener("stats", ({ detail }) => {
  for (const [id, numbers] of Object.entries(detail)) tiles.get(id)?.numbers(numbers);
  summarise();
  rememberShape();
});
// What concerns a camera is its player's business: it tries another path, and says why where there is none.
dashboard.addEventListener("problem", ({ detail }) => detail.camera || toast(detail.message, { bad: true }));

function changedSet() {
  // First, since a grid that is not shown has no width to divide.
  showPanel();
  arrange();
  summarise();
}

// --- keyboard and buttons ------------------------------------------------------------------------------------

function focused() {
  return document.activeElement?.closest("fc-tile");
}

function move(step) {
  const shown = [...grid.children].filter((tile) => !tile.hidden);
  const from = shown.indexOf(focused());
  const to = from < 0 ? 0 : from + step;
  if (to < 0 || to >= shown.length) return;
  shown[to].link.focus();
  shown[to].scrollIntoView({ block: "nearest" });
}

async function fullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await (focused() ?? document.documentElement).requestFullscreen();
  } catch {
    toast("No full screen here.", { bad: true });
  }
}

async function snapshot() {
  const tile = focused();
  if (!tile) return toast("Choose a camera with the arrow keys first.");
  try {
    const href = URL.createObjectURL(await blob(cameraApi(tile.camera.id, "/snapshot.jpg")));
    h("a", { href, download: `${tile.camera.id}.jpg` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  } catch (error) {
    toast(`No snapshot of ${tile.camera.name}. ${apology(error)}`, { bad: true });
  }
}

function markBoxes() {
  setAttribute(find("boxes"), "aria-pressed", String(remembered()));
}

/** Around what is seen by all cameras, on this page and the next. */
function setBoxes(on) {
  remember(on);
  blindness = "";
  markBoxes();
  for (const tile of tiles.values()) tile.player.render();
}

const mayOperate = () => document.documentElement.dataset.rights?.includes("operate") ?? false;

bindKeys([
  { keys: ["ArrowLeft"], text: "Previous camera", run: () => move(-1) },
  { keys: ["ArrowRight"], text: "Next camera", run: () => move(1) },
  { keys: ["ArrowUp"], text: "Camera above", run: () => move(-columns) },
  { keys: ["ArrowDown"], text: "Camera below", run: () => move(columns) },
  { keys: ["Enter"], text: "Open the camera", run: () => false },
  { keys: ["f"], text: "Full screen: the chosen camera, or the whole wall", run: fullScreen },
  { keys: ["s"], text: "Save a snapshot of the chosen camera", run: snapshot },
  { keys: ["d"], text: "Boxes around what is seen", run: () => setBoxes(!remembered()) },
  { keys: ["+"], text: "Larger tiles", run: () => setColumns(Math.max(1, columns - 1)) },
  { keys: ["-"], text: "Smaller tiles", run: () => setColumns(columns + 1) },
  { keys: ["0"], text: "Tiles that fit the window", run: () => setColumns(0) },
  { keys: ["a"], text: "Add a camera", run: () => mayOperate() && openAdd() },
  { keys: ["Escape"], text: "Let go of the chosen camera", run: () => document.activeElement.blur() },
]);
find("add").addEventListener("click", () => openAdd());
find("boxes").addEventListener("click", () => setBoxes(!remembered()));
find("larger").addEventListener("click", () => setColumns(Math.max(1, columns - 1)));
find("smaller").addEventListener("click", () => setColumns(columns + 1));
find("retry").addEventListener("click", () => dashboard.retry());

addEventListener("resize", settle(arrange, RESIZE_MS));
setInterval(() => document.hidden || refresh(), REFRESH_MS);
markBoxes();
markRights();
server.join();
finishRemoval((id, hide) => {
  if (hide) hidden.add(id);
  else hidden.delete(id);
  if (tiles.has(id)) tiles.get(id).hidden = hide;
  changedSet();
});
