// What happened to the cameras over hours and days: a table of sums, and the course of one of them.

import "./chart.js";
import "./copybox.js";
import "./menu.js";
import { cameraPage, request, session, url } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import { bitrate, bytes, count, duration, fps } from "./format.js";
import { bindKeys } from "./keys.js";
import { asksToEnter, keyPanel, markRights, mayWatch } from "./session.js";
import { momentText } from "./timeaxis.js";

// [hours, what it is called, how often it is looked at anew]
const RANGES = [
  [1, "1 hour", 15_000],
  [6, "6 hours", 30_000],
  [24, "24 hours", 60_000],
  [168, "7 days", 300_000],
];
const RETRY_MS = 5_000;

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
let asIs = asked.has("hours");
let hours = RANGES.some(([each]) => each === Number(asked.get("hours"))) ? Number(asked.get("hours")) : 24;
let chosen = asked.get("camera");
let loading = null;
let timer = 0;

// --- numbers ---------------------------------------------------------------------------------------------------

/** 99.98 %, and never 100 % of what was not whole. */
function percent(share) {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  if (value > 99.99 && value < 100) return "99.99 %";
  return `${value >= 99.995 || value === 0 ? Math.round(value) : value.toFixed(value < 99 ? 1 : 2)} %`;
}

/** Fractions of a millisecond matter here. */
function latency(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : duration(ms);
}

function mean(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 && value !== Math.round(value) ? value.toFixed(1) : count(value);
}

// --- charts ----------------------------------------------------------------------------------------------------

const CHARTS = [
  { title: "Frame rate", format: fps, series: [{ column: "fps", label: "Pictures a second", look: "main" }] },
  {
    title: "Through the server",
    format: latency,
    series: [
      { column: "p99_ms", label: "99 %", look: "third" },
      { column: "p95_ms", label: "95 %", look: "second" },
      { column: "p50_ms", label: "half", look: "main" },
    ],
  },
  {
    title: "Lost pictures",
    format: count,
    bars: true,
    series: [
      { column: "drops", label: "missed by slow viewers", look: "main" },
      { column: "refused", label: "refused on the way in", look: "second" },
    ],
  },
  {
    title: "Reconnects",
    format: count,
    bars: true,
    series: [{ column: "reconnects", label: "Reconnects", look: "main" }],
  },
  {
    title: "Viewers",
    format: mean,
    series: [
      { column: "most_viewers", label: "at most", look: "second" },
      { column: "viewers", label: "on average", look: "main" },
    ],
  },
  {
    title: "Traffic",
    format: bitrate,
    series: [
      { column: "bitrate_bps", label: "from the camera", look: "second" },
      { column: "sent_bps", label: "to viewers", look: "main" },
    ],
  },
];

const charts = CHARTS.map((chart) => document.createElement("fc-chart").setup(chart));
find("charts").append(...charts);
find("charts").addEventListener("moment", ({ detail }) => charts.forEach((chart) => chart.mark(detail)));

function showCourse(answer) {
  const course = answer.cameras[chosen];
  const nowS = Date.now() / 1000;
  const at = Object.fromEntries(answer.columns.map((name, index) => [name, index]));
  const column = (name) => course.points.map((point) => point[at[name]]);
  const data = {
    fromS: nowS - hours * 3600,
    toS: nowS,
    nowS,
    stepS: answer.step_s,
    times: column("time"),
    values: Object.fromEntries(answer.columns.map((name) => [name, column(name)])),
    down: column("live").map((share) => (share === null ? null : 1 - share)),
  };
  for (const chart of charts) chart.show(data);
  setText(find("course-name"), course.name);
  find("course-link").href = cameraPage(chosen);
  find("course-link").setAttribute("aria-label", `Watch ${course.name}`);
  find("charts").hidden = find("facts").hidden = course.points.length === 0;
  find("nothing").hidden = course.points.length > 0;
  const facts = [
    ["Pictures", count(course.frames)],
    ["Live", percent(course.live)],
    ["Latency, 50 % within", latency(course.p50_ms)],
    ["Latency, 99 % within", latency(course.p99_ms)],
    ["Missed by slow viewers", count(course.drops)],
    ["Refused", count(course.refused)],
    ["Reconnects", count(course.reconnects)],
    ["Watched", course.viewer_s ? `${duration(course.viewer_s * 1000)} in sum` : "not at all"],
    ["Received", bytes(course.bytes)],
    ["Sent", bytes(course.sent_bytes)],
  ];
  find("facts").replaceChildren(...facts.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text))));
}

// --- the table -------------------------------------------------------------------------------------------------

function showTable({ cameras, kept_hours: keptHours }) {
  const rows = Object.entries(cameras).map(([id, sums]) => {
    const cells = [
      [percent(sums.live)],
      [fps(sums.fps)],
      [latency(sums.p50_ms), "wide"],
      [count(sums.drops)],
      [count(sums.refused), "wide"],
      [count(sums.reconnects), "wide"],
      [mean(sums.viewers)],
      [bytes(sums.bytes), "wide"],
      [bytes(sums.sent_bytes), "wide"],
    ];
    const button = h(
      "button",
      { class: "button button-quiet sums-name", type: "button", "data-id": id, click: () => choose(id) },
      sums.name,
    );
    return h("tr", {}, h("th", { scope: "row" }, button), ...cells.map(([text, look = null]) => h("td", { class: look }, text)));
  });
  const focused = document.activeElement?.dataset?.id;
  find("cameras").replaceChildren(...rows);
  if (focused !== undefined) find("cameras").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  const since = `Since ${momentText(Date.now() / 1000 - hours * 3600, Date.now() / 1000)}`;
  setText(find("since"), keptHours < hours ? `${since}; this server keeps ${duration(keptHours * 3_600_000)} of it` : since);
  markChosen();
}

function markChosen() {
  for (const button of find("cameras").querySelectorAll("button")) {
    const yes = button.dataset.id === chosen;
    setAttribute(button, "aria-pressed", String(yes));
    button.closest("tr").classList.toggle("sums-chosen", yes);
  }
}

// --- what to show ----------------------------------------------------------------------------------------------

function choose(id) {
  if (id === chosen) return;
  chosen = id;
  markChosen();
  load(true);
}

function step(by) {
  const ids = [...find("cameras").querySelectorAll("button")].map((button) => button.dataset.id);
  if (ids.length > 1) choose(ids.at((ids.indexOf(chosen) + by) % ids.length));
}

function remember() {
  const query = new URLSearchParams({ ...(chosen ? { camera: chosen } : {}), hours });
  history.replaceState(null, "", `?${query}`);
}

function instead(...content) {
  find("page").hidden = content.length > 0;
  find("instead").hidden = content.length === 0;
  find("instead").replaceChildren(...content);
}

function enter() {
  if (!asksToEnter(find("instead"))) instead(keyPanel(() => location.reload()));
}

function noCamera() {
  return h(
    "div",
    { class: "panel" },
    h("h2", {}, "No camera yet"),
    h("p", {}, "Once there is a camera, its numbers are kept from then on."),
    h("p", {}, h("a", { class: "button button-main", href: url("").href }, "Add a camera")),
  );
}

function refused(message) {
  return h("div", { class: "panel" }, h("h2", {}, "This can't be shown"), h("p", {}, message));
}

async function load(announce = false) {
  clearTimeout(timer);
  loading?.abort();
  const { signal } = (loading = new AbortController());
  try {
    // First, since a browser answers a refused request with a form of its own.
    const { rights } = await session();
    if (!rights.length) return enter();
    if (!mayWatch(rights)) return instead(refused("Your token does not allow watching. Ask for one with the right “watch”."));
    const sums = await request("GET", `api/v1/history?hours=${hours}`, undefined, signal);
    const ids = Object.keys(sums.cameras);
    if (!ids.includes(chosen)) chosen = ids[0] ?? null;
    gone(false);
    if (!chosen) {
      instead(noCamera());
    } else {
      const query = new URLSearchParams({ camera: chosen, hours });
      const course = await request("GET", `api/v1/history?${query}`, undefined, signal);
      if (!asIs && isYoung(course)) return setRange(1);
      asIs = true;
      instead();
      showTable(sums);
      showCourse(course);
      remember();
      if (announce) setText(find("news"), `${course.cameras[chosen].name}, ${rangeName()}`);
    }
    timer = setTimeout(look, RANGES.find(([each]) => each === hours)[2]);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) return enter();
    if (error.status === 0 || error.status >= 500) gone(true);
    else if (error.status !== 404) instead(refused(error.message));
    timer = setTimeout(look, RETRY_MS);
  }
}

/** Whether all that is known fits into an hour: over a day it would be a speck. */
function isYoung({ columns, cameras }) {
  const [first] = cameras[chosen].points;
  return hours > 1 && (!first || first[columns.indexOf("time")] > Date.now() / 1000 - 3600);
}

function gone(yes) {
  const older = !find("page").hidden;
  find("gone").hidden = !yes || !older;
  if (!yes) return;
  setText(find("gone-text"), "Server gone. What is shown is older.");
  if (!older) instead(away());
}

function away() {
  return h(
    "div",
    { class: "panel" },
    h("h2", {}, "The server does not answer"),
    h("p", {}, "Either this device has no network, or the server is off or out of reach. This page returns by itself."),
    h("p", {}, h("button", { class: "button", type: "button", click: () => load() }, "Try now")),
  );
}

function look() {
  if (document.hidden) return;
  load();
}

const rangeName = () => RANGES.find(([each]) => each === hours)[1];

function setRange(value) {
  hours = value;
  asIs = true;
  for (const input of find("ranges").querySelectorAll("input")) input.checked = Number(input.value) === value;
  load(true);
}

find("ranges").append(
  ...RANGES.map(([value, text]) =>
    h(
      "label",
      { class: "range" },
      h("input", { type: "radio", name: "range", value, checked: value === hours, change: () => setRange(value) }),
      h("span", {}, text),
    ),
  ),
);
find("retry").addEventListener("click", () => load());
document.addEventListener("visibilitychange", look);
bindKeys([
  ...RANGES.map(([value, text], index) => ({ keys: [String(index + 1)], text, run: () => setRange(value) })),
  { keys: ["j"], text: "Next camera", run: () => step(1) },
  { keys: ["k"], text: "Previous camera", run: () => step(-1) },
  { keys: ["Escape"], text: "All cameras", run: () => (location.href = url("").href) },
]);

markRights();
load();
