// Which events are shown: by camera, kind, person and time. They live in the address's query, so that a reload and a
// link lead to the same.

import { request } from "../api.js";
import { h } from "../dom.js";
import { KINDS, STRANGER } from "./words.js";

const DAY_MS = 86_400_000;
// [value, what it is called]; how far back from now, or a day that is chosen.
const TIMES = [
  ["", "Any time"],
  ["1", "Last hour"],
  ["24", "Last 24 hours"],
  ["168", "Last 7 days"],
  ["day", "One day"],
];

function choice(id, label, options, change) {
  const select = h("select", { class: "input", id, change });
  fill(select, options);
  return { select, element: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}

function fill(select, options) {
  const before = select.value || select.dataset.wished || "";
  select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  select.value = before;
  if (select.value !== before) select.value = "";
}

export class Filters {
  #changed;
  #camera;
  #kind;
  #name;
  #time;
  #day = h("input", {
    class: "input",
    id: "filter-day",
    type: "date",
    "aria-label": "Day",
    change: () => this.#apply(),
  });

  /** @param cameras Map of ids to names. @param changed Called when other events are wanted. */
  constructor(cameras, changed) {
    this.#changed = changed;
    const apply = () => this.#apply();
    this.#camera = choice("filter-camera", "Camera", [["", "All cameras"]], apply);
    this.#kind = choice(
      "filter-kind",
      "Kind",
      [["", "All kinds"], ...Object.entries(KINDS).map(([id, [text]]) => [id, text])],
      apply,
    );
    this.#name = choice(
      "filter-name",
      "Person",
      [
        ["", "Anybody"],
        [STRANGER, "Strangers"],
      ],
      apply,
    );
    this.#time = choice("filter-time", "Time", TIMES, apply);
    this.element = h(
      "form",
      { class: "event-filters", "aria-label": "Which events", submit: (event) => event.preventDefault() },
      this.#camera.element,
      this.#kind.element,
      this.#name.element,
      h(
        "div",
        { class: "field" },
        this.#time.element.firstChild,
        h("div", { class: "field-row" }, this.#time.select, this.#day),
      ),
    );
    const query = new URLSearchParams(location.search);
    this.#camera.select.dataset.wished = query.get("camera") ?? "";
    this.#name.select.dataset.wished = query.get("name") ?? "";
    this.#kind.select.value = query.get("kind") ?? "";
    if (this.#kind.select.selectedIndex < 0) this.#kind.select.value = "";
    const time = query.get("time") ?? "";
    const isDay = /^\d{4}-\d\d-\d\d$/.test(time);
    this.#day.value = isDay ? time : "";
    this.#time.select.value = isDay ? "day" : TIMES.some(([value]) => value === time && value !== "day") ? time : "";
    this.#day.hidden = !isDay;
    // What was in the address counts before anybody knows which cameras there are.
    for (const { select } of [this.#camera, this.#name]) {
      const { wished } = select.dataset;
      if (wished && ![...select.options].some(({ value }) => value === wished))
        select.append(h("option", { value: wished }, cameras.get(wished) ?? wished));
      select.value = wished;
    }
  }

  /** The cameras that may be chosen from, as they are known. */
  fillCameras(cameras) {
    fill(this.#camera.select, [["", "All cameras"], ...cameras]);
  }

  /** The people there are; who may not know them chooses by what the events say. */
  async fillNames() {
    if (!document.documentElement.dataset.rights?.includes("operate")) return;
    try {
      const { people } = await request("GET", "api/v1/people");
      fill(this.#name.select, [["", "Anybody"], ...people.map(({ name }) => [name, name]), [STRANGER, "Strangers"]]);
    } catch {
      // Without the list the rest of the page is as good.
    }
  }

  /** Whether anything is left out. */
  get set() {
    return [this.#camera, this.#kind, this.#name, this.#time].some(({ select }) => select.value !== "");
  }

  clear() {
    for (const { select } of [this.#camera, this.#kind, this.#name, this.#time]) select.value = "";
    this.#apply();
  }

  /** [from, to] in Unix seconds; null for an open end. */
  #span() {
    const { value } = this.#time.select;
    if (value === "day") {
      if (!this.#day.value) return [null, null];
      // Midnight of this browser's clock, as the page writes times; a day may have 23 hours.
      const from = new Date(`${this.#day.value}T00:00:00`);
      const to = new Date(from);
      to.setDate(to.getDate() + 1);
      return [from / 1000, to / 1000];
    }
    return value ? [(Date.now() - (Number(value) * DAY_MS) / 24) / 1000, null] : [null, null];
  }

  /** What to ask the server for. */
  query(limit) {
    const [since, before] = this.#span();
    const all = {
      camera: this.#camera.select.value,
      kind: this.#kind.select.value,
      name: this.#name.select.value,
      since: since === null ? "" : String(since),
      before: before === null ? "" : String(before),
    };
    return new URLSearchParams([...Object.entries(all).filter(([, value]) => value), ["limit", limit]]);
  }

  /** Whether an event that was just told is among those wanted. */
  fits({ camera, kind, names = [], start }) {
    const [since, before] = this.#span();
    const wanted = (select, is) => select.value === "" || is(select.value);
    return (
      wanted(this.#camera.select, (id) => id === camera) &&
      wanted(this.#kind.select, (which) => which === kind) &&
      wanted(this.#name.select, (name) => names.includes(name)) &&
      (since === null || start >= since) &&
      (before === null || start < before)
    );
  }

  #apply() {
    const { value: time } = this.#time.select;
    this.#day.hidden = time !== "day";
    if (time === "day" && !this.#day.value) {
      const now = new Date();
      now.setMinutes(now.getMinutes() - now.getTimezoneOffset());
      this.#day.value = now.toISOString().slice(0, 10);
    }
    const all = {
      camera: this.#camera.select.value,
      kind: this.#kind.select.value,
      name: this.#name.select.value,
      time: time === "day" ? this.#day.value : time,
    };
    const query = new URLSearchParams(Object.entries(all).filter(([, each]) => each));
    history.replaceState(null, "", `${location.pathname}${`?${query}`.replace(/\?$/, "")}${location.hash}`);
    this.#changed();
  }
}
