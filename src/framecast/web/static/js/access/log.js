// The log of who changed what.

import { request } from "../api.js";
import { h } from "../dom.js";
import { button, failed, head, moment, renew, tag } from "./rows.js";

const PAGE = 50;
const COLUMNS = ["When", "Who", "What", "From"];

export class Log {
  #rows = h("tbody", {});
  #older = button("Older", () => this.#more());
  #last = null;
  /** One for each time that it is shown: what was asked for before comes too late. */
  #turn = 0;

  constructor(element) {
    this.element = element;
  }

  async show() {
    this.#turn += 1;
    this.#last = null;
    this.#rows.replaceChildren();
    renew(
      this.element,
      head(
        "Who logged in, and who changed what. Passwords and tokens are never in it.",
        button("Reload", () => this.show()),
      ),
      h(
        "div",
        { class: "table-box", tabindex: "0", role: "region", "aria-label": "Log" },
        h(
          "table",
          { class: "table log" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              COLUMNS.map((text) => h("th", { scope: "col" }, text)),
            ),
          ),
          this.#rows,
        ),
      ),
      h("p", {}, this.#older),
    );
    await this.#more();
  }

  async #more() {
    const before = this.#last === null ? "" : `&before=${this.#last}`;
    const turn = this.#turn;
    this.#older.disabled = true;
    try {
      const { entries } = await request("GET", `api/v1/audit?limit=${PAGE}${before}`);
      if (turn !== this.#turn) return;
      this.#rows.append(...entries.map(entryRow));
      this.#last = entries.at(-1)?.id ?? this.#last;
      this.#older.hidden = entries.length < PAGE;
      if (!this.#rows.childElementCount)
        this.element.lastChild.replaceWith(h("p", { class: "quiet access-empty" }, "Nothing happened yet."));
    } catch (error) {
      if (turn !== this.#turn) return;
      this.element.replaceChildren(failed(error, () => this.show()));
    }
    this.#older.disabled = false;
  }
}

function entryRow(entry) {
  const detail = typeof entry.detail === "string" ? entry.detail : entry.detail && JSON.stringify(entry.detail);
  return h(
    "tr",
    {},
    h("td", {}, moment(entry.time)),
    h("td", {}, (entry.who ?? "").replace(/^user:/, "") || "–"),
    h(
      "td",
      {},
      h("b", {}, entry.action),
      " ",
      entry.target ?? "",
      " ",
      tag(entry.done === false ? "in vain" : "", "offline"),
      detail ? h("span", { class: "quiet log-detail" }, detail) : null,
    ),
    h("td", {}, entry.address || "–"),
  );
}
