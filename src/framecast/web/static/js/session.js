// Who is watching: what this browser's token allows, and the form that asks for one.

import { request, session } from "./api.js";
import { h, setText } from "./dom.js";

const LOOK_AGAIN_MS = 2_000;

/** Whether somebody with these rights may watch; whoever may operate may watch. */
export function mayWatch(rights) {
  return rights.includes("watch") || rights.includes("operate");
}

/** Asks the server what is allowed and marks the page with it: CSS hides what needs a right that is missing. */
export async function markRights() {
  let state = { open: false, rights: [], name: "" };
  try {
    state = await session();
  } catch {
    // The socket's own state tells the visitor; until then nothing that changes things is offered.
  }
  document.documentElement.dataset.rights = state.rights.join(" ");
  document.documentElement.dataset.key = state.open || state.rights.length === 0 ? "none" : "held";
  return state;
}

/** Gives the token back and starts over. */
export async function signOut() {
  await request("DELETE", "api/v1/session");
  location.reload();
}

/** The panel for a visitor without the right to watch; `done()` is called once a token was accepted. */
export function keyPanel(done) {
  const said = h("p", { class: "field-error", role: "alert", id: "key-error" });
  const input = h("input", {
    class: "input",
    id: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: false,
    "aria-describedby": "key-error",
  });
  const button = h("button", { class: "button button-main", type: "submit" }, "Open");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(said, "");
    try {
      const { rights } = await request("POST", "api/v1/session", { key: input.value.trim() });
      if (!mayWatch(rights)) {
        setText(said, "This token is valid, but does not allow watching. Ask for one with the right “watch”.");
      } else {
        await markRights();
        done();
      }
    } catch (error) {
      if (error.status === 0) setText(said, "The server does not answer. Try again in a moment.");
      else if (error.status === 429) setText(said, "Too many wrong tokens. Wait a minute, then try again.");
      else setText(said, "That token is not known here, or was revoked. Check that it was copied whole.");
      input.select();
    }
    button.disabled = false;
  };
  const form = h(
    "form",
    { class: "panel", submit },
    h("h1", {}, "A token is needed"),
    h("p", {}, "This server shows its cameras only to those who hold a token."),
    h("label", { for: "key" }, "Token"),
    h("div", { class: "field-row" }, input, button),
    said,
    h("p", { class: "quiet" }, "The owner of the server makes one with"),
    h("fc-copy", { text: "framecast token create NAME --right watch" }),
    h("p", { class: "quiet" }, "To add and change cameras as well, it needs --right operate instead."),
  );
  whenOpen(form, done);
  return form;
}

/** Calls `done()` once the server asks for no tokens any more (the last one was forgotten), while `panel` is shown. */
function whenOpen(panel, done) {
  setTimeout(async () => {
    if (!panel.isConnected) return;
    // Only then: with a token for other cameras one may watch, and yet not what this page shows.
    if (!document.hidden && (await markRights()).open) done();
    else whenOpen(panel, done);
  }, LOOK_AGAIN_MS);
}
