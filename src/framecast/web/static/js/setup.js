// Where an owner link and an invitation lead: /setup#CODE. A fragment is never sent to anybody, so the code stays in
// no log on the way; it is taken out of the address at once, so that it stays in no history either.

import { request, session, url } from "./api.js";
import { field, passwordField } from "./ask.js";
import { h, setText } from "./dom.js";
import { PASSWORD_HINT } from "./password.js";

const place = document.getElementById("place");
// CODE of an owner link, CODE.NAME of an invitation. Codes hold nothing that an address would have to escape.
const code = location.hash.slice(1);
const [, person = null] = code.split(/\.(.*)/s);
history.replaceState(null, "", location.pathname + location.search);

function say(title, ...text) {
  place.replaceChildren(
    h(
      "div",
      { class: "panel" },
      h("h1", {}, title),
      text.map((each) => h("p", {}, each)),
      h("p", {}, h("a", { class: "button", href: url("").href }, "All cameras")),
    ),
  );
}

/** What an address has escaped, as it was; as it is where somebody cut it off in between. */
function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function form(first) {
  const said = h("p", { class: "field-error", role: "alert", id: "said" });
  // Of who is invited it is given, and shown: by it they log in from now on.
  const name = field("Your name", "name", {
    autocomplete: "username",
    required: true,
    maxLength: 64,
    readOnly: !first,
    value: first ? "" : plain(person ?? ""),
    "aria-describedby": "said",
  });
  const password = passwordField("Password", "password", { autocomplete: "new-password" }, PASSWORD_HINT);
  const button = h(
    "button",
    { class: "button button-main", type: "submit" },
    first ? "Become the owner" : "Set the password",
  );
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(said, "");
    try {
      const who = first ? { name: name.input.value.trim() } : {};
      await request("POST", "api/v1/setup", { code, ...who, password: password.input.value });
      location.replace(url("").href);
      return;
    } catch (error) {
      if (refused(error)) return;
      setText(said, error.status === 0 ? "The server does not answer. Try again in a moment." : error.message);
    }
    button.disabled = false;
  };
  place.replaceChildren(
    h(
      "form",
      { class: "panel", submit },
      first ? h("h1", {}, "Become the owner") : h("h1", {}, "Choose your password"),
      first
        ? h(
            "p",
            {},
            "Nobody owns this server yet. Whoever has this link can, once: choose a name and a password to log in with.",
          )
        : h("p", {}, "You were invited to this server. With your name and this password you log in from anywhere."),
      first || person ? name.element : null,
      password.element,
      said,
      h("div", {}, button),
    ),
  );
  place.querySelector("input:not([readonly])").focus();
}

/** Says why a code is of no use, where that is what the error is about. */
function refused({ code, message }) {
  if (code === "wrong_code")
    say(
      "This link is good no more",
      "Each works once, and for some time only. An owner makes new ones on the page “Access”; the first owner's is printed when the server starts.",
      "If you chose a password by it already, log in with that.",
    );
  else if (code === "done") say("This server has an owner already", "Log in, or ask the owner to invite you.");
  else if (code === "too_many_attempts") say("Too many attempts", `${message}, then open the link again.`);
  else return false;
  return true;
}

async function begin() {
  if (!code) {
    return say(
      "The link is not whole",
      "It ends in # and a code, which this page takes out of the address at once. Open the link again, as it was given to you.",
    );
  }
  try {
    const { setup } = await session();
    // Before anybody thinks of a password.
    await request("POST", "api/v1/setup/code", { code });
    form(setup && person === null);
  } catch (error) {
    if (!refused(error)) say("The server does not answer", "Open the link again in a moment; it is still good.");
  }
}

// The same page stays when another link is opened in its tab.
addEventListener("hashchange", () => location.hash && location.reload());
begin();
