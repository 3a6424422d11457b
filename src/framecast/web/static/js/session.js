// Who is watching: what this browser may do, and the forms that ask for a name and password, or for a token.

import { request, session } from "./api.js";
import { field, passwordField, showDialog } from "./ask.js";
import { h, setText } from "./dom.js";
import { duration } from "./format.js";

const LOOK_AGAIN_MS = 2_000;

let known = null;

/** What the server said last: {open, rights, cameras, name, kind, role, accounts, setup}; null before it said anything. */
export function whoAmI() {
  return known;
}

/** Whether somebody with these rights may watch; whoever may operate may watch. */
export function mayWatch(rights) {
  return rights.includes("watch") || rights.includes("operate");
}

/** Whether somebody showed who he is. */
export function hasEntered(state) {
  return !state.open && state.kind !== "none" && state.name !== "";
}

/** What a holder is called: of an account its name alone. */
export function nameOf({ name }) {
  return name.replace(/^link:/, "link of ").replace(/^(link of )?user:/, "$1");
}

/** Asks the server what is allowed and marks the page with it: CSS hides what needs a right that is missing. */
export async function markRights() {
  let state = { open: false, rights: [], name: "" };
  try {
    state = await session();
    known = state;
    dispatchEvent(new Event("framecast-session"));
  } catch {
    // The socket's own state tells the visitor; until the first answer nothing that changes things is offered.
  }
  // Who was told his rights before keeps them where no answer comes now.
  document.documentElement.dataset.rights = (known ?? state).rights.join(" ");
  return state;
}

/** Ends this browser's session and starts over; `?everywhere=1` ends all of this account or token. */
export async function logOut(query = "") {
  await request("DELETE", `api/v1/session${query}`);
  location.reload();
}

/** The same form for somebody who sees what is open to everybody and has a right to more. */
export function logIn() {
  const { dialog } = showDialog("Log in", new Entrance(() => location.reload(), { titled: false }).element);
  dialog.querySelector("input")?.focus();
}

/** Whether the form to log in stands in a place already: another one would lose what somebody has typed so far. */
export function asksToEnter(place) {
  return place.querySelector("[data-entrance]") !== null;
}

/** The panel for a visitor without the right to watch; `done()` is called once he was let in. */
export function keyPanel(done) {
  return new Entrance(done, { titled: true }).element;
}

/** What an entrance says to a failure. */
function refusal(error, byToken) {
  if (error.status === 0) return "The server does not answer. Try again in a moment.";
  if (error.status === 429) {
    const wait = error.retryAfterS ? `Wait ${duration(error.retryAfterS * 1000).replace(".0", "")}` : "Wait a minute";
    return `Too many wrong attempts. ${wait}, then try again.`;
  }
  if (error.status !== 401) return error.message;
  return byToken
    ? "That token is not known here, or was revoked. Check that it was copied whole."
    : "Name and password don't belong together. Check both; capitals count.";
}

class Entrance {
  element = h("div", { class: "panel", "data-entrance": "" });

  #done;
  #titled;
  #kind = "";
  #chosen = null;

  constructor(done, { titled }) {
    this.#done = done;
    this.#titled = titled;
    this.#show(known);
    if (known === null) markRights().then((state) => this.#show(state));
    this.#lookAgain();
  }

  /** Builds what fits the state: by password where there are accounts, else by token. */
  #show(state) {
    if (state === null) return;
    const kind = this.#chosen ?? (state.accounts ? "password" : "token");
    if (kind === this.#kind) return;
    this.#kind = kind;
    const build = kind === "password" ? byPassword : byToken;
    this.element.replaceChildren(
      ...build(
        this.#titled,
        (other) => this.#choose(other, state),
        (fields, said) => this.#try(fields, said),
      ),
    );
    if (this.element.isConnected) this.element.querySelector("input")?.focus();
  }

  #choose(kind, state) {
    this.#chosen = kind;
    this.#show(state);
  }

  async #try(fields, said) {
    setText(said, "");
    try {
      const { rights } = await request("POST", "api/v1/session", fields);
      if (!mayWatch(rights)) {
        const what = fields.key ? "This token is valid, but does" : "Your account is good, but does";
        setText(said, `${what} not allow watching. Ask for one with the right “watch”.`);
        return false;
      }
      await markRights();
      this.#done();
      return true;
    } catch (error) {
      setText(said, refusal(error, Boolean(fields.key)));
      return false;
    }
  }

  // The server may stop asking (its last token was forgotten), or get its first account.
  #lookAgain() {
    setTimeout(async () => {
      if (!this.element.isConnected) return;
      if (!document.hidden) {
        const state = await markRights();
        // Only then: with a token for other cameras one may watch, and yet not what this page shows.
        if (state.open) return this.#done();
        if (state.kind || "accounts" in state) this.#show(state);
      }
      this.#lookAgain();
    }, LOOK_AGAIN_MS);
  }
}

function entry(attempt, fields, values, verb) {
  const said = h("p", { class: "field-error", role: "alert", id: "key-error" });
  const button = h("button", { class: "button button-main", type: "submit" }, verb);
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    if (!(await attempt(values(), said))) fields.at(-1).input.select();
    button.disabled = false;
  };
  for (const { input } of fields) input.setAttribute("aria-describedby", "key-error");
  return h(
    "form",
    { class: "stack", submit },
    fields.map(({ element }) => element),
    said,
    h("div", {}, button),
  );
}

function other(text, click) {
  return h("div", {}, h("button", { class: "button button-quiet button-inline", type: "button", click }, text));
}

function byPassword(titled, choose, attempt) {
  const name = field("Name", "entrance-name", { autocomplete: "username", required: true });
  const password = passwordField("Password", "entrance-password", { autocomplete: "current-password" });
  const values = () => ({ name: name.input.value.trim(), password: password.input.value });
  return [
    titled ? h("h1", {}, "Log in") : null,
    titled ? h("p", {}, "This server shows its cameras only to people it knows.") : null,
    entry(attempt, [name, password], values, "Log in"),
    other("Use a token instead", () => choose("token")),
  ].filter(Boolean);
}

function byToken(titled, choose, attempt) {
  const token = field("Token", "entrance-key", { type: "password", autocomplete: "current-password", required: true });
  const people = known?.accounts;
  return [
    known?.setup ? ownerless() : null,
    titled ? h("h1", {}, "A token is needed") : null,
    titled ? h("p", {}, "This server shows its cameras only to those who hold a token.") : null,
    entry(attempt, [token], () => ({ key: token.input.value.trim() }), "Open"),
    people ? other("Use a name and password instead", () => choose("password")) : null,
    h(
      "p",
      { class: "quiet" },
      people ? "An owner makes one on the page “Access”." : "Where the server runs one is made with",
    ),
    people ? null : h("fc-copy", { text: "framecast token create NAME --right watch" }),
    people ? null : h("p", { class: "quiet" }, "To add and change cameras as well, it needs --right operate instead."),
  ].filter(Boolean);
}

function ownerless() {
  return h(
    "section",
    { class: "ownerless stack-tight" },
    h("h2", {}, "Nobody owns this server yet"),
    h(
      "p",
      {},
      "When it started it printed a link that ends in /setup#…, which works once: whoever opens it becomes the owner, and invites others. " +
        "With each start a new one is printed.",
    ),
  );
}
