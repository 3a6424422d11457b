// The rules by which something that is seen becomes an event.

import { inTurn, request } from "../api.js";
import { button, failed, head, renew, rowButton, tag } from "../access/rows.js";
import { ask } from "../ask.js";
import { h } from "../dom.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { editRule } from "./ruleform.js";
import { conditionsOf, whatOf } from "./rulewords.js";
import { capital } from "./words.js";

const address = (id) => `api/v1/rules/${encodeURIComponent(id)}`;

export class Rules {
  #cameras = [];
  #turn = 0;
  #inTurn = inTurn();

  constructor(element) {
    this.element = element;
  }

  async show() {
    const turn = (this.#turn += 1);
    try {
      const [{ rules }, { cameras }, { reason }] = await Promise.all([
        request("GET", "api/v1/rules"),
        request("GET", "api/v1/cameras"),
        request("GET", "api/v1/models"),
      ]);
      // What was asked for later is newer, whichever comes first.
      if (turn !== this.#turn) return;
      this.#cameras = cameras;
      const names = new Map(cameras.map(({ id, name }) => [id, name]));
      renew(
        this.element,
        head(
          "A rule says what is to be an event, and who is told of it.",
          button("Add a rule", () => this.#edit(null), "button-main"),
        ),
        reason
          ? h(
              "div",
              { class: "problem problem-warning" },
              h("b", {}, "No model that knows things"),
              h("span", {}, capital(reason)),
            )
          : "",
        rules.length
          ? h(
              "ul",
              { class: "entries" },
              rules.map((rule) => this.#row(rule, names)),
            )
          : this.#none(),
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      this.element.replaceChildren(failed(error, () => this.show()));
    }
  }

  #none() {
    return h(
      "div",
      { class: "stack access-empty" },
      h("h2", {}, "No rule yet"),
      h(
        "p",
        {},
        "While no rule looks for anything and nobody watches, a camera rests. With a rule that has to see, it is read all the time.",
      ),
    );
  }

  #row(rule, names) {
    const on = h("input", {
      type: "checkbox",
      role: "switch",
      checked: rule.enabled,
      "aria-label": `${rule.name} is on`,
      change: ({ target }) => this.#switch(rule, target),
    });
    return h(
      "li",
      { class: "entry rule" },
      h(
        "div",
        { class: "entry-what" },
        h("b", { class: "entry-title" }, rule.name || whatOf(rule)),
        tag(rule.enabled ? "" : "Off"),
      ),
      h(
        "div",
        { class: "entry-more" },
        h(
          "p",
          { class: "quiet" },
          [rule.name === whatOf(rule) ? "" : whatOf(rule), ...conditionsOf(rule, names)].filter(Boolean).join(" · "),
        ),
        rule.reason
          ? h("p", { class: "entry-tag", "data-state": "stalled" }, `No event can come of it now: ${rule.reason}.`)
          : null,
      ),
      h(
        "div",
        { class: "entry-do row" },
        h("label", { class: "check rule-on" }, on),
        rowButton("Change", rule.name, () => this.#edit(rule)),
        rowButton("Delete", rule.name, () => this.#remove(rule), "button-bad"),
      ),
    );
  }

  async #edit(rule) {
    const done = await editRule(rule, this.#cameras, (fields) =>
      rule ? request("PATCH", address(rule.id), fields) : request("POST", "api/v1/rules", fields),
    );
    if (done === null) return;
    toast(rule ? "Saved." : "It looks from now on.");
    this.show();
  }

  async #switch(rule, box) {
    const enabled = box.checked;
    try {
      await this.#inTurn(() => request("PATCH", address(rule.id), { enabled }));
      this.show();
    } catch (error) {
      box.checked = rule.enabled;
      toast(`Not changed. ${apology(error)}`, { bad: true });
    }
  }

  async #remove(rule) {
    if (!(await ask(`Delete “${rule.name}”?`, "Events that it made stay.", "Delete", "button-danger"))) return;
    try {
      await request("DELETE", address(rule.id));
      toast("Deleted.");
      this.show();
    } catch (error) {
      toast(`Not deleted. ${apology(error)}`, { bad: true });
    }
  }
}
