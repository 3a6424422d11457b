// Tokens: for devices and programs, which can't log in.

import { ask, beforeDialog, field, fill, showDialog } from "../ask.js";
import { request } from "../api.js";
import { h } from "../dom.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import {
  button,
  cameraChoice,
  cameraNames,
  camerasText,
  camerasThere,
  failed,
  head,
  renew,
  row,
  rowButton,
  tag,
  when,
} from "./rows.js";

const RIGHTS = [
  ["publish", "Send", "A device sends pictures and sound, and can't see anything."],
  ["watch", "Watch", "A program or a display shows pictures."],
  ["operate", "Operate", "Watches, and changes cameras and their settings."],
];
const VERBS = { publish: "sends", watch: "watches", operate: "operates" };

export class Tokens {
  /** One for each time that it is asked for: an older answer may come last. */
  #turn = 0;

  constructor(element) {
    this.element = element;
  }

  async show() {
    const turn = (this.#turn += 1);
    try {
      const [{ tokens }, names] = await Promise.all([request("GET", "api/v1/tokens"), cameraNames()]);
      if (turn !== this.#turn) return;
      const create = button("Create a token", () => this.#create(), "button-main");
      renew(
        this.element,
        head(
          "Devices and programs show a token instead of a password. Give each its own: then one can be revoked alone.",
          create,
        ),
        tokens.length
          ? h(
              "ul",
              { class: "entries" },
              tokens.map((token) => this.#row(token, names)),
            )
          : h("p", { class: "quiet access-empty" }, "No tokens yet."),
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      this.element.replaceChildren(failed(error, () => this.show()));
    }
  }

  #row(token, names) {
    const revoked = token.revoked !== null;
    const details = [
      token.rights.map((right) => VERBS[right] ?? right).join(", "),
      camerasText(token.cameras, names),
      token.last_used === null ? "never used" : `last used ${when(token.last_used)}`,
      `created ${when(token.created)}`,
    ];
    const action = revoked
      ? rowButton("Forget", token.name, () => this.#forget(token))
      : rowButton("Revoke", token.name, () => this.#revoke(token), "button-bad");
    return row(token.name, revoked ? tag("Revoked", "offline") : null, details, action);
  }

  async #create() {
    const cameras = await beforeDialog(camerasThere());
    if (cameras === null) return;
    const name = field(
      "Name",
      "token-name",
      { autocomplete: "off", required: true, maxLength: 64 },
      "Of the device or program that gets it.",
    );
    const rights = RIGHTS.map(([right, title, text], index) => {
      const change = () => choice.suggest(right !== "publish");
      const input = h("input", { type: "radio", name: "token-right", value: right, checked: index === 0, change });
      return {
        input,
        element: h(
          "label",
          { class: "check" },
          input,
          h("span", {}, h("b", {}, title), " ", h("span", { class: "quiet" }, text)),
        ),
      };
    });
    // A device is one camera: what it may not send to, nobody can send to who takes it down from the wall.
    const choice = cameraChoice(cameras, []);
    const made = await fill(
      "Create a token",
      [
        name.element,
        h(
          "fieldset",
          { class: "fieldset" },
          h("legend", {}, "What for"),
          rights.map(({ element }) => element),
        ),
        choice.element,
      ],
      "Create",
      () => {
        const limit = choice.value();
        return request("POST", "api/v1/tokens", {
          name: name.input.value.trim(),
          rights: [rights.find(({ input }) => input.checked).input.value],
          ...(limit === null ? {} : { cameras: limit }),
        });
      },
    );
    if (made === null) return;
    await this.show();
    showDialog(
      `The token ${made.name}`,
      h(
        "div",
        { class: "stack" },
        h(
          "p",
          {},
          "Copy it now: it is shown this once, and the server keeps nothing from which it could be told again.",
        ),
        h("fc-copy", { label: "the token", text: made.secret }),
        h(
          "p",
          { class: "quiet" },
          "It goes into the header Authorization: Bearer TOKEN; each camera's page shows it in use.",
        ),
      ),
    );
  }

  async #revoke(token) {
    const text = "Whoever uses it is cut off at once, open streams too. It can't be undone.";
    if (!(await ask(`Revoke ${token.name}?`, text, "Revoke", "button-danger"))) return;
    await this.#end(token, "", "is revoked", "was not revoked");
  }

  async #forget(token) {
    await this.#end(token, "?forget=1", "is off the list", "is still on the list");
  }

  async #end(token, query, done, kept) {
    try {
      await request("DELETE", `api/v1/tokens/${encodeURIComponent(token.name)}${query}`);
      toast(`${token.name} ${done}.`);
      this.show();
    } catch (error) {
      toast(`${token.name} ${kept}. ${apology(error)}`, { bad: true });
    }
  }
}
