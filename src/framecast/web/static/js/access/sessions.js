// Sessions: browsers that are logged in, one's own or everybody's.

import { ask } from "../ask.js";
import { request } from "../api.js";
import { h } from "../dom.js";
import { hasEntered, logOut, whoAmI } from "../session.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { browserName } from "./agent.js";
import { button, failed, head, renew, row, rowButton, tag, until, when } from "./rows.js";

export class Sessions {
  #all = false;
  #turn = 0;

  constructor(element) {
    this.element = element;
  }

  async show() {
    const me = whoAmI();
    const owner = me?.rights.includes("own");
    const entered = me !== null && hasEntered(me);
    // Who needs no login has no sessions of his own to look at.
    this.#all ||= owner && !entered;
    const turn = (this.#turn += 1);
    try {
      const { sessions } = await request("GET", `api/v1/sessions${this.#all ? "?all=1" : ""}`);
      // Others are wanted meanwhile.
      if (turn !== this.#turn) return;
      const both =
        owner && entered ? button(this.#all ? "Show mine only" : "Show everybody's", () => this.#toggle()) : null;
      const every = entered ? button("Log out everywhere", () => this.#everywhere(), "button-bad") : null;
      renew(
        this.element,
        head(
          this.#all
            ? "Browsers that are logged in, of everybody. Whoever is logged out here loses the picture at once."
            : "Browsers in which you are logged in. One you don't know: log it out, and change your password.",
          both,
          every,
        ),
        sessions.length
          ? h(
              "ul",
              { class: "entries" },
              sessions.map((session) => this.#row(session)),
            )
          : h("p", { class: "quiet access-empty" }, "Nobody is logged in."),
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      this.element.replaceChildren(failed(error, () => this.show()));
    }
  }

  #row(session) {
    const browser = browserName(session.agent);
    const holder = (session.holder ?? "").replace(/^user:/, "");
    const details = [
      this.#all ? browser : "",
      session.address,
      session.last_used === null ? "" : `last used ${when(session.last_used)}`,
      `since ${when(session.created)}`,
      `ends ${until(session.expires)}`,
    ];
    const title = this.#all ? holder : browser;
    const mark = session.current ? tag("This one", "live") : null;
    return row(
      title,
      mark,
      details,
      rowButton("Log out", `${title}, ${session.address}`, () => this.#end(session)),
    );
  }

  #toggle() {
    this.#all = !this.#all;
    this.show();
  }

  async #end(session) {
    try {
      if (session.current) return await logOut();
      await request("DELETE", `api/v1/sessions/${encodeURIComponent(session.id)}`);
      toast("Logged out.");
      this.show();
    } catch (error) {
      toast(`It is still logged in. ${apology(error)}`, { bad: true });
    }
  }

  async #everywhere() {
    if (
      !(await ask(
        "Log out everywhere?",
        "All of your browsers are logged out, this one too, and get no notifications until you log in there again.",
        "Log out",
        "button-danger",
      ))
    )
      return;
    try {
      await logOut("?everywhere=1");
    } catch (error) {
      toast(`You are still logged in. ${apology(error)}`, { bad: true });
    }
  }
}
