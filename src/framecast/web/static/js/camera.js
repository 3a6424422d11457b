// The page of one camera: a large picture, its numbers, and everything one may do with it.

import "./copybox.js";
import "./menu.js";
import "./plot.js";
import "./player.js";
import { cameraApi, cameraPage, request, url } from "./api.js";
import { ask } from "./ask.js";
import { h, setAttribute, setText } from "./dom.js";
import { Detection } from "./detection.js";
import { showSnippets } from "./embed.js";
import { Facts } from "./facts.js";
import { ago, bitrate, bytes, count, duration, fps, plural, size } from "./format.js";
import { bindKeys } from "./keys.js";
import { KEYS } from "./player/controls.js";
import { missingText } from "./player/features.js";
import { HELD } from "./player/held.js";
import { serverAt } from "./player/server.js";
import { canUndo, removeAndLeave } from "./removing.js";
import { asksToEnter, keyPanel, markRights, nameOf, whoAmI } from "./session.js";
import { Settings } from "./settings.js";
import { setUpTabs } from "./tabs.js";
import { toast } from "./toast.js";
import { advise, apology, NO_SOCKET, stateName, stateOf } from "./words.js";

const REFRESH_MS = 500;
const READERS_MS = 2_000;
const READERS_SHOWN = 50;

const find = (id) => document.getElementById(id);
const cameraId = decodeURIComponent(location.pathname.replace(/\/$/, "").split("/").at(-1));
const player = find("player");
const server = serverAt();
const { dashboard } = server;
let camera = null;
let numbers = null;
let tab = "numbers";
let retryAt = null;
let held = false;

player.camera = cameraId;
const shape = () => (player.stats?.width ? player.stats.width / player.stats.height : 4 / 3);
const settings = new Settings(find("over"), shape, { restart, remove: askRemove });
find("panel-settings").append(settings.element);
const detection = new Detection(cameraId, player, find("over"), shape);
find("panel-detection").append(detection.element);

// --- numbers -------------------------------------------------------------------------------------------------

const plots = {
  fps: document.createElement("fc-plot").setup("Frame rate", fps),
  bitrate: document.createElement("fc-plot").setup("From the camera", bitrate),
  latency: document.createElement("fc-plot").setup("Capture to screen", duration),
};
find("plots").append(...Object.values(plots));

const facts = new Facts(find("facts"));
const figures = new Facts(find("figures"), true);

/** Once a second, with the server's numbers. */
function tick() {
  const live = camera.state === "live";
  const shown = player.stats;
  const latencyMs = (live && shown?.latencyMs) || null;
  plots.fps.add(live ? numbers.fps : 0);
  plots.bitrate.add(live ? numbers.bitrate_bps : 0);
  plots.latency.add(latencyMs);
  figures.put("Frame rate", live ? fps(numbers.fps) : fps(0));
  figures.put("Latency", duration(latencyMs));
  figures.put("From the camera", live ? bitrate(numbers.bitrate_bps) : bitrate(0));
  figures.put("Viewers", count(numbers.viewers));
  if (shown) {
    facts.put("Shown here", [shown.title, shown.codec, shown.qualityText].filter(Boolean).join(", "));
    facts.put("To this page", `${fps(shown.fps)}, ${bitrate(shown.bitrateBps)}, ${count(shown.drops)} dropped`);
  }
  if (held) facts.put("On the way", `${HELD.title} (see Health)`);
  if (missingText()) facts.put("Not on this page", missingText());
  facts.put("Frames", count(numbers.frames));
  facts.put("Dropped for slow viewers", count(numbers.drops));
  facts.put(
    "Picture",
    numbers.width ? `${size(numbers.width, numbers.height)}, ${bytes(numbers.bytes_per_frame)}` : "–",
  );
  facts.put("Through the server", throughServer(numbers.latency_ms));
  facts.put("Round trip to the server", duration(dashboard.clock.rttMs));
}

// How each viewer watches, in plain words.
const KINDS = { websocket: "page", mjpeg: "MJPEG", mp4: "MP4", hls: "HLS", webrtc: "WebRTC", relay: "M5Stack viewer" };

// Fractions of a millisecond matter here and nowhere else. Measured at MJPEG viewers only; zeros say there are none.
function throughServer({ p50, p99 }) {
  const text = (value) => (value < 10 ? `${value.toFixed(1)} ms` : duration(value));
  return p99 > 0 ? `${text(p50)}, 1 in 100 takes over ${text(p99)}` : "not measured: nobody watches by MJPEG";
}

function showCamera() {
  const state = stateOf(camera);
  document.title = `${camera.name} – Framecast`;
  setText(find("name"), camera.name);
  setAttribute(find("state"), "data-state", state);
  setText(find("state"), stateName(state));
  const { connection } = camera;
  retryAt = connection.retry_in_s === null ? null : performance.now() + connection.retry_in_s * 1000;
  facts.put("Speaks", connection.dialect || "not known yet");
  facts.put("Address", connection.address || camera.url);
  facts.put("Connected", `${plural(connection.connects, "time")}, ${plural(connection.reconnects, "reconnect")}`);
  facts.put("Last error", connection.last_error || "none");
  showFaults();
  showWay(state);
  settings.update(camera);
  detection.update(camera);
}

// Where it says what to do about a state: [what the button says, the tab it opens].
const WAYS = { waiting: ["How to send pictures here", "embed"], astray: ["Change the address", "settings"] };

function showWay(state) {
  const [text, panel] = WAYS[state] ?? ["", ""];
  const way = find("way");
  way.hidden = !text;
  setText(way, text);
  setAttribute(way, "data-needs", panel === "settings" ? "operate" : null);
  way.dataset.opens = panel;
}

find("way").addEventListener("click", ({ currentTarget }) => {
  const { opens } = currentTarget.dataset;
  find(`tab-${opens}`).click();
  find("tabs").scrollIntoView({ block: "start" });
  if (opens === "settings") find("set-url").focus();
});

function refresh() {
  if (!camera) return;
  const gone = dashboard.status !== "open";
  const waitS = retryAt === null ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
  setText(find("retrying"), waitS > 0 && camera.state !== "live" && !gone ? `Trying again in ${waitS} s` : "");
  if (gone) showStatus();
}

// --- what is wrong -------------------------------------------------------------------------------------------

function showFaults() {
  const { refused, quirks } = camera.counters;
  const rows = (counts, kind) =>
    Object.entries(counts)
      .sort((a, b) => b[1] - a[1])
      .map(([code, times]) => {
        const { title, advice } = advise(code);
        return h(
          "li",
          { class: `problem problem-${kind}` },
          h("b", {}, `${title}, ${plural(times, "time")}`),
          h("span", {}, advice),
        );
      });
  const key = JSON.stringify([refused, quirks, held]);
  if (find("panel-faults").dataset.key === key) return;
  find("panel-faults").dataset.key = key;
  const bad = rows(refused, "warning");
  const odd = rows(quirks, "info");
  const words = [h("b", {}, HELD.title), h("span", {}, HELD.advice)];
  const way = held ? [h("li", { class: "problem problem-warning" }, words)] : [];
  setText(find("fault-count"), String(bad.length + odd.length + way.length || ""));
  find("panel-faults").replaceChildren(
    ...(held ? [h("h3", {}, "Between here and the server"), h("ul", { class: "problems" }, way)] : []),
    h("h3", {}, "Left out or lost"),
    bad.length
      ? h("ul", { class: "problems" }, bad)
      : h("p", { class: "quiet" }, "Nothing: every picture came whole."),
    h("h3", {}, "Oddities of its firmware"),
    odd.length ? h("ul", { class: "problems" }, odd) : h("p", { class: "quiet" }, "None seen."),
    h("p", { class: "quiet" }, "A closer look, from the server's computer:"),
    h("fc-copy", { label: "the command", text: `framecast doctor ${camera.id}` }),
  );
}

/** Nothing is known of the camera then but its picture, which comes another way. */
function showNoSocket() {
  const words = [h("b", {}, NO_SOCKET.title), h("span", {}, NO_SOCKET.text)];
  setText(find("fault-count"), "1");
  find("panel-faults").replaceChildren(
    h("h3", {}, "Between here and the server"),
    h("ul", { class: "problems" }, h("li", { class: "problem problem-warning" }, words)),
  );
}

/** Who it is, and where: told to those who may operate the camera, a number to others. */
function viewerOf({ id, holder, address }) {
  if (!holder) return [address || `no. ${id}`];
  return [h("b", {}, nameOf({ name: holder })), h("br"), address];
}

async function showReaders() {
  const wanted = tab === "numbers" || tab === "faults";
  if (!wanted || document.hidden || dashboard.status !== "open" || !camera) return;
  try {
    const { readers, counters, connection } = await request("GET", cameraApi(cameraId, "/stats"));
    if (!camera) return; // removed meanwhile
    camera = { ...camera, counters, connection };
    showFaults();
    const rows = readers
      .slice(0, READERS_SHOWN)
      .map((reader) =>
        h(
          "tr",
          {},
          h("td", {}, ...viewerOf(reader)),
          h(
            "td",
            {},
            [
              KINDS[reader.kind] ?? reader.kind,
              reader.rendition?.replace(/^video\/?/, ""),
              reader.fps_limit ? `${reader.fps_limit} fps at most` : "",
            ]
              .filter(Boolean)
              .join(", "),
          ),
          h("td", {}, ago(Date.now() - reader.since * 1000).replace(" ago", "")),
          h("td", {}, bytes(reader.bytes)),
          h("td", {}, count(reader.drops)),
        ),
      );
    find("readers").replaceChildren(...rows);
    const more = readers.length - rows.length;
    setText(find("readers-more"), more > 0 ? `and ${plural(more, "more viewer", "more viewers")}` : "");
  } catch {
    // The socket tells when the server is gone; the table keeps what it had.
  }
}

// --- the socket ----------------------------------------------------------------------------------------------

function showStatus() {
  const { status } = dashboard;
  setAttribute(document.documentElement, "data-server", status);
  find("gone").hidden = status !== "gone";
  find("state").hidden = status === "gone" || camera === null;
  if (status === "gone") {
    const waitS = Math.ceil(Math.max(0, dashboard.retryAt - performance.now()) / 1000);
    setText(find("gone-what"), `${dashboard.blocked ? NO_SOCKET.title : "Server gone"}.`);
    setText(find("gone-when"), `Trying again in ${waitS} s.`);
    for (const figure of find("figures").querySelectorAll("dd")) setText(figure, "–");
    if (dashboard.blocked && !camera) showNoSocket();
  }
  if (status === "denied" && !asksToEnter(find("instead"))) replacePage(keyPanel(() => location.reload()));
}

/** Shows a panel in place of the camera and of all that acts on it; without one, the camera again. */
function replacePage(panel) {
  for (const id of ["page", "tools", "name", "state"]) find(id).hidden = Boolean(panel);
  find("instead").hidden = !panel;
  find("instead").replaceChildren(...(panel ? [panel] : []));
  panel?.querySelector("input")?.focus();
}

async function showEmbed() {
  await markRights();
  if (camera) showSnippets(find("panel-embed"), camera, whoAmI()?.open ?? false, held);
}

async function lookAtTheWay() {
  const before = held;
  held = await server.heldBack();
  if (held === before || !camera) return;
  showCamera();
  showFaults();
  showEmbed();
}

dashboard.addEventListener("status", showStatus);
dashboard.addEventListener("cameras", () => {
  camera = dashboard.cameras.get(cameraId) ?? null;
  if (!camera) return missing();
  replacePage(null);
  showCamera();
  showEmbed();
  lookAtTheWay();
  showReaders();
});
dashboard.addEventListener("camera", ({ detail }) => {
  if (detail.id !== cameraId) return;
  if (!camera) return location.reload();
  camera = detail;
  showCamera();
});
dashboard.addEventListener("removed", ({ detail }) => {
  if (detail.id === cameraId) missing();
});
dashboard.addEventListener("stats", ({ detail }) => {
  numbers = detail[cameraId];
  if (!numbers || !camera) return;
  if (numbers.state !== camera.state || numbers.reason !== camera.reason) {
    camera = { ...camera, state: numbers.state, reason: numbers.reason ?? "" };
    showCamera();
  }
  tick();
});
dashboard.addEventListener("problem", ({ detail }) => detail.camera || toast(detail.message, { bad: true }));

function missing() {
  camera = null;
  document.title = "No such camera – Framecast";
  replacePage(
    h(
      "div",
      { class: "panel" },
      h("h1", {}, "No such camera"),
      h(
        "p",
        {},
        `There is no camera with the id “${cameraId}”. It may have been removed or renamed in the configuration.`,
      ),
      h("p", {}, h("a", { class: "button", href: url("").href }, "All cameras")),
    ),
  );
}

// --- actions -------------------------------------------------------------------------------------------------

async function restart() {
  if (
    !(await ask(
      "Restart the reader?",
      "Framecast lets go of the camera and connects anew. Viewers stay; the picture pauses for a moment.",
      "Restart",
    ))
  )
    return;
  try {
    await request("POST", cameraApi(cameraId, "/restart"));
    toast("Restarted.");
  } catch (error) {
    toast(`Not restarted. ${apology(error)}`, { bad: true });
  }
}

async function askRemove() {
  if (!camera) return;
  const undo = canUndo() ? "You can undo it for a few seconds." : "It can't be undone.";
  const text = `Its ${plural(numbers?.viewers ?? camera.viewers, "viewer")} will be disconnected. ${undo}`;
  if (await ask(`Remove ${camera.name}?`, text, "Remove", "button-danger")) removeAndLeave(camera);
}

// What is drawn and not saved would be lost with the page.
const isUnsaved = () => settings.isUnsaved || detection.isUnsaved;

addEventListener("beforeunload", (event) => isUnsaved() && event.preventDefault());

function neighbour(step) {
  const all = [...dashboard.cameras.values()].sort((a, b) => a.number - b.number);
  const at = all.findIndex((other) => other.id === cameraId);
  if (all.length > 1 && at >= 0 && !isUnsaved()) location.href = cameraPage(all.at((at + step) % all.length).id);
}

const mayOperate = () => document.documentElement.dataset.rights?.includes("operate") ?? false;

bindKeys([
  { keys: ["ArrowLeft"], text: "Previous camera", run: () => neighbour(-1) },
  { keys: ["ArrowRight"], text: "Next camera", run: () => neighbour(1) },
  ...KEYS.map(({ keys, text, run }) => ({ keys, text, run: (event) => run(player, event) })),
  { keys: ["r"], text: "Restart the reader", run: () => mayOperate() && restart() },
  { keys: ["Enter"], text: "Close the zone that is drawn", run: ({ key }) => detection.key(key) },
  {
    keys: ["Escape"],
    text: "All cameras",
    run: ({ key }) => (document.fullscreenElement || settings.key(key) || detection.key(key) ? false : (location.href = url("").href)),
  },
]);
find("retry").addEventListener("click", () => dashboard.retry());
setUpTabs(find("tabs"), (name) => {
  tab = name;
  settings.show(name === "settings");
  detection.show(name === "detection");
  showReaders();
});

setInterval(() => document.hidden || refresh(), REFRESH_MS);
setInterval(showReaders, READERS_MS);
markRights();
server.join();
