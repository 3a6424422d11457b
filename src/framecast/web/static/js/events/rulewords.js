// A rule in words, as one would say it to somebody.

import { camerasText } from "../access/rows.js";
import { duration } from "../format.js";
import { capital, kindName, STRANGER } from "./words.js";

const DIRECTIONS = { both: "", to_left: " to the left", to_right: " to the right" };

const span = (seconds) => duration(seconds * 1000).replace(".0 s", " s");

function either(words) {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} or ${words.at(-1)}` : (words[0] ?? "");
}

function who({ kind, labels, names }) {
  if (kind !== "face")
    return names.length ? either(names.map(nameText)) : either(labels) || "anything that is looked for";
  return names.length ? either(names.map(nameText)) : "any face";
}

const nameText = (name) => (name === STRANGER ? "a stranger" : name);

/** What it looks for: "Person or dog in porch, for 5 s". */
export function whatOf(rule) {
  const where = rule.zone ? ` in ${rule.zone}` : "";
  const time = rule.for_s ? ` for ${span(rule.for_s)}` : "";
  switch (rule.kind) {
    case "object":
    case "face":
      return capital(`${who(rule)}${where}${time}`);
    case "line":
      return capital(`${who(rule)} crosses ${rule.line || "a line"}${DIRECTIONS[rule.direction] ?? ""}`);
    case "motion":
      return `Motion${where}`;
    case "no_motion":
      return `No motion${where}${time}`;
    case "offline":
      return `Camera offline${time}`;
    default:
      return kindName(rule.kind);
  }
}

/** Where, when and to whom: words to stand beside each other. */
export function conditionsOf(rule, cameras) {
  return [
    camerasText(rule.cameras.length ? rule.cameras : null, cameras),
    rule.cooldown_s ? `at most every ${span(rule.cooldown_s)}` : "",
    rule.quiet.length ? `quiet ${rule.quiet.map(([from, to]) => `${from}–${to}`).join(", ")}` : "",
    rule.notify.length ? `tells ${either(rule.notify.map(toldText))}` : "",
  ].filter(Boolean);
}

const toldText = (sink) => (sink === NOBODY ? "nobody" : (SINKS[sink] ?? sink));

/** Stands alone in a rule that tells nobody; one that names nobody tells all. */
export const NOBODY = "none";

/** Where a rule's events may go. */
export const SINKS = { push: "phones", webhook: "webhooks", mqtt: "MQTT" };
