// What events are called, in one place: on the page, in its dialogs, and in a rule's description.

import { duration } from "../format.js";

/** What a rule may look for: kind -> [what it is called, what it means]. */
export const KINDS = {
  object: ["Person or thing", "Somebody or something is seen."],
  face: ["Face", "Somebody known, or a stranger, is seen."],
  line: ["Line crossed", "Somebody or something crosses a line drawn on the picture."],
  motion: ["Motion", "Anything moves."],
  no_motion: ["No motion", "Nothing has moved for a while."],
  offline: ["Camera offline", "The camera gives no picture for a while."],
};

/** The name that stands for everybody who is not known. */
export const STRANGER = "unknown";

export function kindName(kind) {
  return KINDS[kind]?.[0] ?? capital(kind.replaceAll("_", " "));
}

export function capital(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : text;
}

/** "anna, a stranger" */
export function namesText(names) {
  return names.map((name) => (name === STRANGER ? "a stranger" : name)).join(", ");
}

/** What happened, in a few words: "Anna", "Person in porch", "Car crossed the gate". */
export function titleOf({ kind, label, names = [], zone = "" }) {
  const known = names.filter((name) => name && name !== STRANGER);
  const who = known.length ? known.join(", ") : kind === "face" ? "Unknown face" : capital(label || "Something");
  if (kind === "line") return zone ? `${who} crossed ${zone}` : `${who} crossed a line`;
  if (kind === "motion") return zone ? `Motion in ${zone}` : "Motion";
  if (kind === "no_motion") return "No motion";
  if (kind === "offline") return "Camera offline";
  return zone ? `${who} in ${zone}` : who;
}

/** How long it took: "12 s", "going on"; "" for what is over as soon as it has begun. */
export function lengthOf({ start, end }) {
  if (end === null || end === undefined) return "going on";
  if (end - start < 1) return "";
  return duration(Math.max(0, end - start) * 1000).replace(".0 s", " s");
}

const sameDay = (one, other) => one.toDateString() === other.toDateString();

/** "Today", "Yesterday", "Friday, 3 October" for Unix seconds, by this browser's clock. */
export function dayOf(unixS, now = new Date()) {
  const day = new Date(unixS * 1000);
  if (sameDay(day, now)) return "Today";
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (sameDay(day, before)) return "Yesterday";
  const year = day.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return day.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", ...year });
}

/** "14:03:22" */
export function clockOf(unixS) {
  return new Date(unixS * 1000).toLocaleTimeString(undefined, { timeStyle: "medium" });
}

/** All of it: "3 Oct 2026, 14:03:22" */
export function momentOf(unixS) {
  return new Date(unixS * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
