// Where events are told beside this page: webhooks, MQTT, phones; how each of them does, and a try of each.

import { request } from "../api.js";
import { button, failed, head, renew, row, rowButton, tag, when } from "../access/rows.js";
import { ask, field, fill, showDialog } from "../ask.js";
import { h } from "../dom.js";
import { duration, plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";

const LOOK_MS = 5_000;
const KINDS = { webhook: "Webhook", mqtt: "MQTT", push: "Notified device" };
const STATES = { sending: ["Sending", null], failing: ["Failing", "offline"] };

export class Sinks {
  #timer = 0;
  #turn = 0;
  #shown = "";

  constructor(element) {
    this.element = element;
  }

  async show() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again(), LOOK_MS);
    const turn = (this.#turn += 1);
    try {
      const { sinks } = await request("GET", "api/v1/events/sinks");
      // What was asked for later is newer, whichever comes first.
      if (turn !== this.#turn) return;
      const key = JSON.stringify(
        sinks.map((sink) => ({ ...sink, retry_in_s: Math.round(sink.retry_in_s / 5), ago: when(sink.last) })),
      );
      if (key === this.#shown) return;
      this.#shown = key;
      const add = button("Add a webhook", () => this.#add(), "button-main");
      add.dataset.needs = "own";
      renew(
        this.element,
        head("Each event is sent to all of these, or to those that its rule names, until it has arrived.", add),
        sinks.length
          ? h(
              "ul",
              { class: "entries" },
              sinks.map((sink) => this.#row(sink)),
            )
          : nowhere(),
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      // Said once, and not with each look: it is read out, and its button may have the focus.
      const key = `${error.status} ${error.message}`;
      if (key === this.#shown) return;
      this.#shown = key;
      this.element.replaceChildren(failed(error, () => this.#anew()));
    }
  }

  #anew() {
    this.#shown = "";
    this.show();
  }

  leave() {
    clearTimeout(this.#timer);
  }

  #again() {
    // Not behind a dialog: what opened it is to have the focus afterwards.
    const looked = !document.hidden && !this.element.hidden && !document.querySelector("dialog[open]");
    if (looked) this.show();
    else this.#timer = setTimeout(() => this.#again(), LOOK_MS);
  }

  #row(sink) {
    const [text, look] = STATES[sink.state] ?? ["", null];
    const details = [
      KINDS[sink.kind] ?? sink.kind,
      sink.waiting ? `${plural(sink.waiting, "message")} waiting` : "",
      sink.last === null ? "nothing delivered yet" : `last delivered ${when(sink.last)}`,
      sink.given_up ? `${plural(sink.given_up, "message")} given up` : "",
      sink.last_error ? `last error: ${sink.last_error}` : "",
      againText(sink.retry_in_s),
    ];
    const remove = rowButton("Remove", sink.label, () => this.#remove(sink), "button-bad");
    remove.dataset.needs = "own";
    return row(
      sink.label,
      tag(text, look),
      details,
      h(
        "div",
        { class: "row" },
        rowButton("Test", sink.label, () => this.#test(sink)),
        sink.kind === "webhook" ? remove : null,
      ),
    );
  }

  async #test(sink) {
    try {
      await request("POST", `api/v1/events/sinks/${encodeURIComponent(sink.sink)}/test`);
      toast(`${sink.label} took the test.`);
    } catch (error) {
      toast(`The test did not arrive. ${apology(error)}`, { bad: true });
    }
    this.show();
  }

  async #add() {
    const url = field(
      "Address",
      "webhook-url",
      { required: true, inputMode: "url", placeholder: "https://" },
      "Each event is sent there by POST, as JSON.",
    );
    const made = await fill("Add a webhook", [url.element], "Add", () =>
      request("POST", "api/v1/webhooks", { url: url.input.value.trim() }),
    );
    if (made === null) return;
    this.show();
    showDialog(
      "The webhook’s secret",
      h(
        "div",
        { class: "stack" },
        h(
          "p",
          {},
          "Copy it now: it is shown this once. The receiver checks with it that a message comes from here (docs/events.md).",
        ),
        h("fc-copy", { label: "the secret", text: made.secret }),
      ),
    );
  }

  async #remove({ sink, label }) {
    if (!(await ask(`Remove ${label}?`, "What still waits for it is not sent any more.", "Remove", "button-danger")))
      return;
    try {
      await request("DELETE", `api/v1/webhooks/${encodeURIComponent(sink.replace(/^webhook-/, ""))}`);
      toast("Removed.");
      this.show();
    } catch (error) {
      toast(`Not removed. ${apology(error)}`, { bad: true });
    }
  }
}

function againText(inS) {
  if (inS === null) return "";
  return inS < 1 ? "tried again now" : `tried again in ${duration(inS * 1000).replace(".0 s", " s")}`;
}

function nowhere() {
  return h(
    "p",
    { class: "quiet access-empty" },
    "Events are told to nobody but this page. MQTT is set up in the configuration (docs/events.md), phones by “Notify this device” on each of them.",
  );
}
