// Where events are told beside this page: webhooks, MQTT, phones; how each of them does, and a try of each.

import { request } from "../api.js";
import { button, failed, head, renew, row, rowButton, tag, when } from "../access/rows.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";

const STATES = { ok: ["", null], idle: ["", null], retrying: ["Trying again", "stalled"], failed: ["Failed", "offline"], off: ["Off", null] };

export class Sinks {
  constructor(element) {
    this.element = element;
  }

  async show() {
    try {
      const { sinks } = await request("GET", "api/v1/events/sinks");
      renew(
        this.element,
        head(
          "Each event is sent to all of these, or to those that its rule names, until it has arrived.",
          button("Look again", () => this.show()),
        ),
        sinks.length ? h("ul", { class: "entries" }, sinks.map((sink) => this.#row(sink))) : nowhere(),
      );
    } catch (error) {
      this.element.replaceChildren(failed(error, () => this.show()));
    }
  }

  #row(sink) {
    const [text, look] = STATES[sink.state] ?? [sink.state, null];
    const details = [
      sink.waiting ? `${plural(sink.waiting, "event")} waiting` : "",
      sink.delivered !== undefined ? `${plural(sink.delivered, "event")} delivered` : "",
      sink.last_delivered ? `the last ${when(sink.last_delivered)}` : "",
      sink.last_error ? `last error: ${sink.last_error}` : "",
    ];
    return row(sink.title ?? sink.name ?? sink.id, tag(text, look), details, rowButton("Test", sink.id, () => this.#test(sink)));
  }

  async #test(sink) {
    try {
      await request("POST", "api/v1/events/sinks/test", { sink: sink.id });
      toast("Sent. It says so here when that fails.");
      this.show();
    } catch (error) {
      toast(`Not sent. ${apology(error)}`, { bad: true });
    }
  }
}

function nowhere() {
  return h(
    "p",
    { class: "quiet access-empty" },
    "Events are told to nobody but this page. Webhooks and MQTT are set up in the configuration (docs/events.md); phones by “Notify this device” above, on each of them.",
  );
}
