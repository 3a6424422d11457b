// The events themselves: pictures by day, the newest first, with what is going on now at the top.
//
// What is shown lives in one map by event id: a page of older ones, what the stream says and what was missed while the
// page was hidden all go in there, and the grid is made from it. So an event that is told twice is shown once.

import { request } from "../api.js";
import { h, setText } from "../dom.js";
import { plural } from "../format.js";
import { eventCard, fillCard } from "./card.js";
import { Filters } from "./filters.js";
import { NotifySwitch } from "./notify.js";
import { EventStream } from "./stream.js";
import { dayOf, titleOf } from "./words.js";

const PAGE = 48;
// A page that stays open for a week must not grow by itself; it does as far back as somebody goes in it.
const MOST = 480;
const DAY_LOOK_MS = 30_000;
const MOST_ASKED = 32;

const isOpen = ({ end }) => end === null || end === undefined;

export class Feed {
  #filters;
  #grid = h("div", { class: "event-days" });
  #older = h("button", { class: "button", type: "button", click: () => this.#loadOlder() }, "Older events");
  #said = h("p", { class: "quiet event-sum", role: "status" });
  #empty = h("div", { class: "panel event-empty", hidden: true });
  #events = new Map();
  #cards = new Map();
  #next = null;
  #most = MOST;
  #changed = false;
  #loading = null;
  #today = "";
  #names;
  #told;
  #stream;

  /**
   * @param element Its panel.
   * @param options `names`: Map of camera ids to names; `told(event, phase)`: called with what happens from now on;
   *   `state(gone)`: whether the server is out of reach; `empty()`: what to show where nothing has happened.
   */
  constructor(element, { names, told, state, empty }) {
    this.element = element;
    this.#names = names;
    this.#told = told;
    this.emptyPanel = empty;
    this.#filters = new Filters(names, () => this.load());
    this.#stream = new EventStream("api/v1/events/stream", (message) => this.#hear(message), {
      names: ["event", "start", "update", "end"],
      // What happened while nobody listened is looked up, and so is why nobody may.
      state: (open, refused) => {
        state(!open);
        if (open || refused) this.load(true);
      },
    });
    element.append(
      this.#filters.element,
      h("div", { class: "event-line" }, this.#said, new NotifySwitch().element),
      this.#empty,
      this.#grid,
      h("p", { class: "event-older" }, this.#older),
    );
    this.#older.hidden = true;
    // What is called “Today” is not tomorrow. Looked at now and then: no timer goes on in a sleeping device.
    setInterval(() => this.#today && this.#today !== new Date().toDateString() && this.#show(), DAY_LOOK_MS);
  }

  /** Loads what happened so far, and listens from then on. */
  async start() {
    this.#filters.fillNames();
    await this.load();
    this.#stream.start();
  }

  /** Cameras are called otherwise, or are new. */
  renamed() {
    this.#filters.fillCameras(this.#names);
    if (this.#today) this.#show();
  }

  get(id) {
    return this.#events.get(id);
  }

  /** The ids in the order of the page. */
  get order() {
    return this.#sorted().map(({ event_id: id }) => id);
  }

  card(id) {
    return this.#cards.get(id);
  }

  /** Takes an event away that is no more. */
  drop(id) {
    const at = this.order.indexOf(id);
    const held = this.#cards.get(id)?.contains(document.activeElement);
    this.#events.delete(id);
    this.#show();
    // Who was at its card goes on at the one that has come in its place.
    if (held) this.#cards.get(this.order[Math.min(at, this.order.length - 1)])?.focus();
  }

  /** The newest that fit the filters; `more` keeps what is shown and adds to it. Raises nothing. */
  async load(more = false) {
    // A load that takes the place of one for other filters has their work to do.
    this.#changed ||= !more;
    this.#loading?.abort();
    const { signal } = (this.#loading = new AbortController());
    try {
      const answer = await request("GET", `api/v1/events?${this.#filters.query(PAGE)}`, undefined, signal);
      // Where the newest page no longer touches what is shown there would be a hole in between.
      const touches = answer.events.some(({ event_id: id }) => this.#events.has(id));
      if (this.#changed || !touches) {
        this.#events.clear();
        this.#next = answer.next ?? null;
        this.#most = MOST;
      }
      this.#changed = false;
      const open = [...this.#events.values()].filter(isOpen);
      this.#keep(answer.events);
      await this.#lookUp(open.filter((event) => this.#events.get(event.event_id) === event), signal);
      this.#show();
    } catch (error) {
      if (error.name === "AbortError") return;
      // The session has ended, perhaps in another browser: the page anew is the form to log in.
      if (error.status === 401) return location.reload();
      setText(this.#said, error.status === 0 ? "" : error.message);
    }
  }

  /** How it stands with events that went on when they were heard of: their end may not have been heard. */
  async #lookUp(events, signal) {
    const asked = events.slice(0, MOST_ASKED).map(async (event) => {
      const { event_id: id } = event;
      try {
        const now = await request("GET", `api/v1/events/${id}`, undefined, signal);
        // What the stream has said meanwhile is newer.
        if (this.#events.get(id) === event) this.#keep([now]);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        if (error.status === 404) this.#events.delete(id);
      }
    });
    await Promise.all(asked);
  }

  async #loadOlder() {
    this.#older.disabled = true;
    const page = () => `api/v1/events?${this.#filters.query(PAGE)}&before=${this.#next}`;
    const asked = page();
    const last = this.order.at(-1);
    try {
      const answer = await request("GET", asked);
      // Others are wanted meanwhile, or it would leave a hole.
      if (asked !== page()) return;
      this.#next = answer.next ?? null;
      this.#most = Math.max(MOST, this.#events.size + answer.events.length);
      this.#keep(answer.events);
      this.#show();
      // On to the first of them, where one would read on.
      if (document.activeElement === document.body) this.#cards.get(this.order[this.order.indexOf(last) + 1])?.focus();
    } catch (error) {
      setText(this.#said, error.message);
    } finally {
      this.#older.disabled = false;
    }
  }

  #hear({ event, phase }) {
    if (!event) return;
    this.#told(event, phase);
    if (!this.#filters.fits(event)) return;
    const young = !this.#events.has(event.event_id);
    this.#keep([event]);
    this.#show();
    if (young) this.#cards.get(event.event_id)?.classList.add("event-new");
  }

  #keep(events) {
    for (const event of events) this.#events.set(event.event_id, event);
    if (this.#events.size <= this.#most) return;
    const kept = this.#sorted().slice(0, this.#most);
    this.#events = new Map(kept.map((event) => [event.event_id, event]));
    this.#next = kept.at(-1).event_id;
  }

  #sorted() {
    return [...this.#events.values()].sort((a, b) => b.start - a.start || (a.event_id < b.event_id ? 1 : -1));
  }

  // Cards stay the same elements: what has the focus keeps it, and no picture is asked for twice.
  #show() {
    this.#today = new Date().toDateString();
    const sorted = this.#sorted();
    const held = document.activeElement;
    const days = new Map();
    for (const event of sorted) {
      const day = dayOf(event.start);
      if (!days.has(day)) days.set(day, []);
      const card = this.#cards.get(event.event_id) ?? eventCard(event);
      this.#cards.set(event.event_id, card);
      fillCard(card, event, this.#names);
      days.get(day).push(card);
    }
    for (const id of this.#cards.keys()) if (!this.#events.has(id)) this.#cards.delete(id);
    this.#grid.replaceChildren(
      ...[...days].map(([day, cards]) =>
        h("section", { class: "event-day" }, h("h2", {}, day), h("div", { class: "event-grid" }, cards)),
      ),
    );
    if (held !== document.activeElement && held?.isConnected) held.focus({ preventScroll: true });
    this.#older.hidden = this.#next === null;
    const open = sorted.filter(isOpen).length;
    const what = plural(sorted.length, "event");
    setText(
      this.#said,
      sorted.length ? `${what}${this.#next === null ? "" : " so far"}${open ? `, ${open} going on` : ""}` : "",
    );
    this.#showEmpty(sorted.length === 0);
  }

  #showEmpty(empty) {
    this.#empty.hidden = !empty;
    if (!empty) return;
    if (!this.#filters.set) return this.#empty.replaceChildren(...this.emptyPanel());
    this.#empty.replaceChildren(
      h("h2", {}, "No event fits"),
      h("p", {}, "Nothing was seen that fits all that is chosen above."),
      h(
        "p",
        {},
        h("button", { class: "button", type: "button", click: () => this.#filters.clear() }, "Show all events"),
      ),
    );
  }

  /** What is said to those who hear the page. */
  spoken(event) {
    return `${titleOf(event)}, ${this.#names.get(event.camera) ?? event.camera}`;
  }
}
