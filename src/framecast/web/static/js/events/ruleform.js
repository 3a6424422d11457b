// The dialog in which a rule is made or changed. Only what its kind can use is asked for.

import { cameraApi, request } from "../api.js";
import { cameraChoice } from "../access/rows.js";
import { beforeDialog, field, fill } from "../ask.js";
import { h } from "../dom.js";
import { labelChoice } from "../labels.js";
import { NOBODY, SINKS, whatOf } from "./rulewords.js";
import { KINDS, STRANGER } from "./words.js";

const NEW = {
  name: "",
  cameras: [],
  kind: "object",
  labels: ["person"],
  names: [],
  zone: "",
  line: "",
  direction: "both",
  min_score: 0,
  for_s: 0,
  cooldown_s: 60,
  quiet: [],
  enabled: true,
  notify: [],
};
// Which kinds ask for what.
const ASKS = {
  labels: ["object", "line"],
  names: ["object", "face"],
  zone: ["object", "face", "motion", "no_motion"],
  line: ["line"],
  score: ["object", "face", "line"],
  time: ["object", "face", "no_motion", "offline"],
};
const TIMES = {
  object: ["Has to stay for, s", "0: at once."],
  face: ["Has to stay for, s", "0: at once."],
  no_motion: ["Nothing moves for, s", "How long it has to be still."],
  offline: ["Gone for, s", "A camera that comes back sooner makes no event."],
};
const USUAL_S = { no_motion: 600, offline: 60 };

function choose(label, id, options, value, change = () => {}) {
  const input = h("select", { class: "input", id, change });
  const set = (entries, wished) => {
    const known = entries.some(([each]) => each === wished);
    // What it says now stays to be chosen, though nobody draws it any more.
    const all = known || !wished ? entries : [...entries, [wished, `${wished} (not there now)`]];
    input.replaceChildren(...all.map(([each, text]) => h("option", { value: each }, text)));
    input.value = wished;
  };
  set(options, value);
  return { input, set, element: h("div", { class: "field" }, h("label", { for: id }, label), input) };
}

function boxes(legend, options, chosen, hint = "") {
  const made = options.map(([value, text]) => {
    const input = h("input", { type: "checkbox", checked: chosen.includes(value) });
    return { value, input, element: h("label", { class: "check" }, input, text) };
  });
  const element = h(
    "fieldset",
    { class: "fieldset" },
    h("legend", {}, legend),
    h(
      "div",
      { class: "label-boxes" },
      made.map(({ element: each }) => each),
    ),
    hint ? h("p", { class: "quiet" }, hint) : null,
  );
  return { element, value: () => made.filter(({ input }) => input.checked).map(({ value }) => value) };
}

/** Spans of the day in which nobody is told. Returns {element, value()}. */
function quietHours(spans) {
  const list = h("ul", { class: "quiet-list" });
  const add = ([from, to]) => {
    const time = (value, label) =>
      h("input", { class: "input", type: "time", value, required: true, "aria-label": label });
    const line = h(
      "li",
      { class: "quiet-row" },
      time(from, "Quiet from"),
      h("span", {}, "to"),
      time(to, "Quiet until"),
      h("button", { class: "button", type: "button", click: () => line.remove() }, "Remove"),
    );
    list.append(line);
    return line;
  };
  spans.forEach(add);
  return {
    element: h(
      "fieldset",
      { class: "fieldset stack-tight" },
      h("legend", {}, "Quiet hours"),
      h("p", { class: "quiet" }, "Events are kept then, and nobody is told. By the server’s clock."),
      list,
      h(
        "div",
        {},
        h(
          "button",
          { class: "button", type: "button", click: () => add(["22:00", "07:00"]).querySelector("input").focus() },
          "Add quiet hours",
        ),
      ),
    ),
    value: () => [...list.children].map((line) => [...line.querySelectorAll("input")].map(({ value }) => value)),
  };
}

async function peopleThere() {
  try {
    return (await request("GET", "api/v1/people")).people.map(({ name }) => name);
  } catch {
    return [];
  }
}

async function drawnOn(ids) {
  const answers = await Promise.allSettled(ids.map((id) => request("GET", cameraApi(id, "/zones"))));
  return answers.flatMap(({ value }) => value?.zones ?? []);
}

/**
 * Asks for a rule.
 *
 * @param rule The one to change; null for a new one. @param cameras As the API lists them.
 * @param save Given its fields; what it gives is what this resolves to, null when it was closed without.
 */
export async function editRule(rule, cameras, save) {
  const before = { ...NEW, ...rule };
  const people = await beforeDialog(peopleThere());
  if (people === null) return null;
  const name = field(
    "Name",
    "rule-name",
    { value: before.name, maxLength: 80, autocomplete: "off", placeholder: whatOf(before) },
    "Empty: as what it looks for.",
  );
  const kind = choose(
    "What is to be an event",
    "rule-kind",
    Object.entries(KINDS).map(([id, [text]]) => [id, text]),
    before.kind,
    () => show(true),
  );
  const meaning = h("p", { class: "quiet" });
  kind.element.append(meaning);
  const labels = labelChoice("rule-labels", before.labels);
  const labelBox = h("fieldset", { class: "fieldset" }, h("legend", {}, "What to look for"), labels.element);
  const names = boxes(
    "Who",
    [
      [STRANGER, "Strangers"],
      ...people.map((each) => [each, each]),
      ...before.names
        .filter((each) => each !== STRANGER && !people.includes(each))
        .map((each) => [each, `${each} (not there now)`]),
    ],
    before.names,
    "None chosen: anybody.",
  );
  const where = cameraChoice(cameras, before.cameras.length ? before.cameras : null);
  const zone = choose("Where in the picture", "rule-zone", [["", "Anywhere"]], before.zone);
  const line = choose("Which line", "rule-line", [["", "Choose a line"]], before.line);
  const way = choose(
    "Which way",
    "rule-way",
    [
      ["both", "Both ways"],
      ["to_left", "To the left"],
      ["to_right", "To the right"],
    ],
    before.direction,
  );
  const drawHint = h("p", { class: "quiet" }, "Zones and lines are drawn on a camera’s page, under Detection.");
  const time = field("", "rule-for", { type: "number", min: 0, max: 86400, step: "any", value: before.for_s }, " ");
  const score = field(
    "How sure it has to be, %",
    "rule-score",
    { type: "number", min: 0, max: 100, step: 1, value: Math.round(before.min_score * 100) },
    "0: as sure as the camera’s own threshold.",
  );
  const cooldown = field(
    "At most one event every, s",
    "rule-cooldown",
    { type: "number", min: 0, max: 86400, step: "any", value: before.cooldown_s },
    "Of this rule on one camera.",
  );
  const quiet = quietHours(before.quiet);
  const notify = boxes(
    "Who is told",
    Object.entries(SINKS).map(([id, text]) => [id, text[0].toUpperCase() + text.slice(1)]),
    before.notify.length ? before.notify : Object.keys(SINKS),
    "None chosen: nobody. This page shows it in any case.",
  );

  async function show(changed) {
    const { value } = kind.input;
    const asks = (what) => ASKS[what].includes(value);
    meaning.textContent = KINDS[value]?.[1] ?? "";
    labelBox.hidden = !asks("labels");
    names.element.hidden = !asks("names") || (value === "object" && !people.length && !before.names.length);
    zone.element.hidden = !asks("zone");
    line.element.hidden = way.element.hidden = !asks("line");
    drawHint.hidden = !asks("zone") && !asks("line");
    score.element.hidden = !asks("score");
    time.element.hidden = !asks("time");
    const [label, hint] = TIMES[value] ?? ["", ""];
    time.element.querySelector("label").textContent = label;
    time.element.querySelector("span").textContent = hint;
    if (changed) time.input.value = USUAL_S[value] ?? 0;
    if (changed) name.input.placeholder = whatOf({ ...fields(), name: "" });
  }

  let drawings = 0;

  async function showDrawn() {
    const drawing = (drawings += 1);
    let ids = null;
    try {
      ids = where.value();
    } catch {
      // None chosen yet: those of all are as good as none.
    }
    const drawn = await drawnOn(ids ?? cameras.map(({ id }) => id));
    // Others were chosen meanwhile.
    if (drawing !== drawings) return;
    const of = (which) =>
      [...new Set(drawn.filter((each) => each.kind === which).map((each) => each.name))].map((each) => [each, each]);
    zone.set([["", "Anywhere"], ...of("zone")], zone.input.value);
    line.set([["", "Choose a line"], ...of("line")], line.input.value);
  }

  function fields() {
    const { value } = kind.input;
    const if_ = (what, given, otherwise) => (ASKS[what].includes(value) ? given : otherwise);
    const told = notify.value();
    const everybody = told.length === Object.keys(SINKS).length;
    return {
      name: name.input.value.trim(),
      kind: value,
      labels: if_("labels", labels.value(), []),
      names: if_("names", names.value(), []),
      zone: if_("zone", zone.input.value, ""),
      line: if_("line", line.input.value, ""),
      direction: if_("line", way.input.value, "both"),
      min_score: if_("score", Number(score.input.value) / 100, 0),
      for_s: if_("time", Number(time.input.value), 0),
      cooldown_s: Number(cooldown.input.value),
      quiet: quiet.value(),
      notify: everybody ? [] : told.length ? told : [NOBODY],
    };
  }

  where.element.addEventListener("change", showDrawn);
  show(false);
  showDrawn();
  return fill(
    rule ? `Change “${rule.name}”` : "Add a rule",
    [
      kind.element,
      labelBox,
      names.element,
      where.element,
      zone.element,
      line.element,
      way.element,
      drawHint,
      time.element,
      score.element,
      cooldown.element,
      quiet.element,
      notify.element,
      name.element,
    ],
    rule ? "Save" : "Add",
    () => {
      const made = fields();
      if (made.kind === "line" && !made.line)
        throw new Error("Choose the line. One is drawn on the camera’s page, under Detection.");
      if (made.kind !== "face" && ASKS.labels.includes(made.kind) && !made.labels.length)
        throw new Error("Choose at least one thing to look for.");
      return save({ ...made, name: made.name || whatOf(made), cameras: where.value() ?? [] });
    },
  );
}
