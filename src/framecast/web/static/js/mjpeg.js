// The plain page: one camera on a canvas, a button and the live numbers. `?camera=ID` chooses; by default it is the
// one that the M5Stack's routes mean, the first where none is configured.

import "./copybox.js";
import "./menu.js";
import { request } from "./api.js";
import { duration, bitrate, count, fps } from "./format.js";
import { h, setAttribute, setText } from "./dom.js";
import { bindKeys } from "./keys.js";
import { Picture } from "./picture.js";
import { asksToEnter, keyPanel, markRights, whoAmI } from "./session.js";
import { Dashboard } from "./socket.js";
import { explain, lastPicture, NO_SOCKET, stateName, stateOf } from "./words.js";

const TICK_MS = 1_000;

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search).get("camera");
const stage = find("stage");
const choice = find("choice");

const dashboard = new Dashboard();
let picture = pictureOn(find("picture"));
let camera = null;
let usual = null;
// Stays wanted while it is not there.
let wanted = asked;
// Of the second that runs.
let bytes = 0;
let painted = 0;
let ages = [];
let total = 0;

dashboard.addEventListener("status", show);
for (const type of ["cameras", "camera", "removed"]) dashboard.addEventListener(type, list);

function pictureOn(canvas) {
  return new Picture(canvas, {
    clock: dashboard.clock,
    ack: (frame) => dashboard.ack(frame),
    onpaint: (frame, ageMs) => {
      bytes += frame.bytes;
      ages.push(ageMs);
      painted += 1;
      total += 1;
    },
  });
}

function list() {
  const names = [...dashboard.cameras.values()].map(({ id, name }) => [id, name]);
  // Only when it differs: writing it anew would close the list under somebody's finger.
  if (choice.dataset.names !== JSON.stringify(names)) {
    choice.dataset.names = JSON.stringify(names);
    choice.replaceChildren(...names.map(([value, name]) => h("option", { value }, name)));
  }
  const { cameras } = dashboard;
  const instead = asked ? null : (cameras.get(camera?.id) ?? cameras.values().next().value);
  choose(cameras.get(wanted ?? usual) ?? instead ?? null);
}

function choose(chosen) {
  if (camera && camera.id !== chosen?.id) {
    dashboard.unwant(camera.id);
    blank();
  }
  camera = chosen;
  choice.value = camera?.id ?? "";
  if (camera) dashboard.want(camera.id, {}, (frame) => picture.push(frame));
  show();
}

/** Takes the picture away: under the name of another camera it would be a lie. */
function blank() {
  picture.close();
  const canvas = find("picture");
  const empty = canvas.cloneNode();
  canvas.replaceWith(empty);
  picture = pictureOn(empty);
}

function choiceMade() {
  wanted = choice.value;
  list();
}

function say(title, text = "", state = null) {
  setText(find("note-title"), title);
  setText(find("note-why"), text);
  setText(find("connection"), title);
  setAttribute(find("connection"), "data-state", state);
}

function show() {
  const { status } = dashboard;
  if (status === "open" && whoAmI() === null) markRights();
  setText(find("connect"), status === "off" ? "Connect" : "Disconnect");
  choice.disabled = status !== "open";
  choice.hidden = status === "open" && choice.length === 0;
  // Nothing to connect to, or to leave.
  find("connect").hidden = choice.hidden;
  find("way").hidden = status !== "open" || camera !== null;
  stage.classList.toggle("not-live", status !== "open" || camera?.state !== "live");
  if (status === "off") say("Disconnected", "Press Connect.");
  else if (status === "connecting") say("Connecting", "Waiting for the server.", "connecting");
  else if (status === "gone" && dashboard.blocked) say(NO_SOCKET.title, NO_SOCKET.text, "gone");
  else if (status === "gone") say("Server gone", "The server does not answer. This page returns by itself.", "gone");
  else if (status === "denied") askKey();
  else if (!camera)
    say(
      asked ? "No such camera" : "No camera yet",
      asked ? `There is no camera with the id “${wanted}”.` : "Add one on the page of all cameras.",
    );
  else {
    const state = stateOf(camera);
    say(stateName(state), camera.state === "live" ? "" : explain(camera, state).text, state);
  }
}

function askKey() {
  if (asksToEnter(find("instead"))) return;
  const panel = keyPanel(() => location.reload());
  find("page").hidden = true;
  find("instead").hidden = false;
  find("instead").replaceChildren(panel);
  panel.querySelector("input")?.focus();
}

function tick() {
  const ageMs = picture.shown ? dashboard.clock.now() - picture.shown.capturedMs : null;
  const middle = ages.sort((a, b) => a - b)[Math.floor(ages.length / 2)];
  setText(find("fps"), fps(painted));
  setText(find("frames"), count(total));
  setText(find("bitrate"), bitrate((bytes * 8_000) / TICK_MS));
  setText(find("latency"), duration(middle ?? ageMs));
  setText(find("note-ago"), ageMs !== null && stage.classList.contains("not-live") ? lastPicture(ageMs) : "");
  bytes = 0;
  painted = 0;
  ages = [];
}

async function begin() {
  if (!asked) {
    try {
      usual = (await request("GET", "api/v1/system")).m5_camera;
    } catch {
      // The first camera will do; that the server is gone will be said soon enough.
    }
  }
  dashboard.start();
}

function toggle() {
  if (dashboard.status === "off") return dashboard.start();
  dashboard.stop();
  picture.clear();
}

find("connect").addEventListener("click", toggle);
choice.addEventListener("change", choiceMade);
bindKeys([
  { keys: ["c"], text: "Connect or disconnect", run: toggle },
  {
    keys: ["f"],
    text: "Full screen",
    run: () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()),
  },
]);
setInterval(tick, TICK_MS);
markRights();
begin();
