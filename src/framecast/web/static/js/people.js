// The page of the people whom the cameras know by their faces, and of faces that nobody has named yet.

import "./copybox.js";
import "./menu.js";
import { request, url } from "./api.js";
import { button, renew, when } from "./access/rows.js";
import { awayPanel } from "./away.js";
import { h } from "./dom.js";
import { capital } from "./events/words.js";
import { bindKeys } from "./keys.js";
import { enrol } from "./people/enrol.js";
import { personRow } from "./people/person.js";
import { strangerCard } from "./people/stranger.js";
import { asksToEnter, hasEntered, keyPanel, markRights, whoAmI } from "./session.js";
import { apology } from "./words.js";

const LOOK_MS = 15_000;
const RETRY_MS = 5_000;
const KNOWN_NAMES = "known-names";

const find = (id) => document.getElementById(id);
let timer = 0;
let shown = "";
let turns = 0;

function instead(...content) {
  find("page").hidden = true;
  find("instead").hidden = false;
  find("instead").replaceChildren(...content);
  find("instead").querySelector("input, button")?.focus();
}

function enter() {
  if (!asksToEnter(find("instead"))) instead(keyPanel(() => location.reload()));
}

function panel(title, text) {
  return h("div", { class: "panel" }, h("h2", {}, title), h("p", {}, text));
}

/** Whether one may change something here. */
const mayChange = () => document.documentElement.dataset.rights?.includes("own") ?? false;

async function add() {
  if (await enrol({ title: "Add somebody", verb: "Add" })) load(true);
}

/** Why nobody is recognised, where that is so. */
function trouble({ faces }) {
  if (!faces || !faces.reason) return null;
  return h(
    "div",
    { class: "problem problem-warning" },
    h("b", {}, "Faces are not recognised now"),
    h("span", {}, capital(faces.reason)),
  );
}

function known(people) {
  const rows = people.map((person) => personRow(person, mayChange(), () => load(true)));
  return h(
    "section",
    { class: "people-section", "aria-labelledby": "known-title" },
    h(
      "div",
      { class: "access-head" },
      h(
        "div",
        {},
        h("h2", { id: "known-title" }, "Known"),
        h("p", { class: "quiet" }, "What is kept of a face stays on this server, and goes with the person."),
      ),
      mayChange() ? h("div", { class: "row" }, button("Add somebody", add, "button-main")) : null,
    ),
    rows.length
      ? h("ul", { class: "entries" }, rows)
      : h(
          "p",
          { class: "access-empty" },
          "Nobody yet. Three or four photos of a face, each from another side, make the best likeness.",
        ),
  );
}

function unknown(groups, people) {
  const cards = groups.map((group) => strangerCard(group, KNOWN_NAMES, mayChange(), () => load(true)));
  // One for all of them: there may be hundreds of each.
  const names = people.map(({ name }) => h("option", { value: name }));
  return h(
    "section",
    { class: "people-section", id: "unknown", "aria-labelledby": "unknown-title" },
    h("h2", { id: "unknown-title" }, "Who is this?"),
    h("datalist", { id: KNOWN_NAMES }, names),
    cards.length
      ? h("ul", { class: "strangers" }, cards)
      : h("p", { class: "quiet" }, "No unknown face was seen. Once a camera sees one, it waits here for its name."),
  );
}

/** Whether somebody is in the middle of something that a new list would take away. */
function busy() {
  const active = document.activeElement;
  return (
    document.querySelector("dialog[open]") !== null ||
    (find("page").contains(active) && active.matches("input") && active.value !== "")
  );
}

/** How long ago each was seen, as it stands there; seconds don't count, for the sake of the pictures beside them. */
function ages(...lists) {
  return lists.flat().map(({ last_seen: seen }) => when(seen).replace(/^[\d.]+ s /, "seconds "));
}

async function load(force = false) {
  clearTimeout(timer);
  timer = setTimeout(look, LOOK_MS);
  if (!force && busy()) return;
  const turn = (turns += 1);
  try {
    const [answer, strangers] = await Promise.all([
      request("GET", "api/v1/people"),
      request("GET", "api/v1/people/unknown"),
    ]);
    // What was asked for later is newer, whichever comes first.
    if (turn !== turns) return;
    const key = JSON.stringify([answer, strangers, ages(answer.people, strangers.unknown)]);
    if (key === shown) return;
    const first = shown === "";
    shown = key;
    find("page").hidden = false;
    find("instead").hidden = true;
    find("instead").replaceChildren();
    renew(
      find("page"),
      ...[trouble(answer), known(answer.people), unknown(strangers.unknown, answer.people)].filter(Boolean),
    );
    if (first && location.hash === "#unknown") find("unknown").scrollIntoView();
  } catch (error) {
    if (error.status === 401) {
      shown = "";
      return enter();
    }
    clearTimeout(timer);
    timer = setTimeout(look, RETRY_MS);
    // What is shown is still true; it is looked up again.
    if (shown === "") instead(panel("This can't be shown", apology(error).replace(" Nothing was changed.", "")));
  }
}

function look() {
  if (!document.hidden) load();
}

async function begin() {
  const { rights } = await markRights();
  const state = whoAmI();
  if (state === null) return instead(awayPanel());
  if (!state.open && !hasEntered(state)) return enter();
  if (!rights.includes("operate"))
    return instead(panel("This can't be shown", "Who is known here is shown to those who may operate the cameras."));
  load();
}

document.addEventListener("visibilitychange", look);
bindKeys([
  { keys: ["a"], text: "Add somebody", run: () => mayChange() && add() },
  { keys: ["r"], text: "Look again", run: () => load(true) },
  { keys: ["Escape"], text: "All cameras", run: () => (location.href = url("").href) },
]);
begin();
