// People: who may log in, as what, and to which cameras.

import { ask, beforeDialog, field, fill, passwordField, showDialog } from "../ask.js";
import { request } from "../api.js";
import { h } from "../dom.js";
import { PASSWORD_HINT } from "../password.js";
import { hasEntered, nameOf, whoAmI } from "../session.js";
import { addresses } from "../reach.js";
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

const ROLES = { owner: "Owner", viewer: "Viewer" };

export class People {
  /** One for each time that it is asked for: an older answer may come last. */
  #turn = 0;

  constructor(element) {
    this.element = element;
  }

  async show() {
    const turn = (this.#turn += 1);
    try {
      const [{ users }, names] = await Promise.all([request("GET", "api/v1/users"), cameraNames()]);
      if (turn !== this.#turn) return;
      if (users.length === 0) return renew(this.element, ...this.#nobody());
      renew(
        this.element,
        head(
          "People log in with a name and a password. Owners may do everything; viewers watch.",
          button("Invite somebody", () => this.#invite(), "button-main"),
        ),
        h(
          "ul",
          { class: "entries" },
          users.map((user) => this.#row(user, names)),
        ),
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      this.element.replaceChildren(failed(error, () => this.show()));
    }
  }

  #row(user, names) {
    const mark =
      user.disabled !== null ? tag("Disabled", "offline") : user.invited !== null ? tag("Invited", "stalled") : null;
    const details = [
      ROLES[user.role] ?? user.role,
      user.role === "owner" ? "" : camerasText(user.cameras, names),
      user.last_used === null ? "never logged in" : `last seen ${when(user.last_used)}`,
      this.#isSelf(user) ? "this is you" : "",
    ];
    return row(
      user.name,
      mark,
      details,
      rowButton("Change", user.name, () => this.#change(user)),
    );
  }

  #isSelf(user) {
    const me = whoAmI();
    return me !== null && hasEntered(me) && me.kind === "user" && nameOf(me) === user.name;
  }

  /** Before there is anybody: the first is an owner, and it is best oneself. */
  #nobody() {
    const { open } = whoAmI() ?? {};
    return [
      h(
        "div",
        { class: "stack access-empty" },
        h("h2", {}, "No accounts yet"),
        h(
          "p",
          {},
          open
            ? "Everybody at this computer may do everything without logging in. Before others are to reach the server, make yourself its owner: from then on it asks who one is."
            : "Make an owner, who may do everything and invites others.",
        ),
        h(
          "div",
          {},
          button("Make the owner", () => this.#makeOwner(), "button-main"),
        ),
      ),
    ];
  }

  async #makeOwner() {
    const name = field("Name", "owner-name", { autocomplete: "username", required: true, maxLength: 64 });
    const password = passwordField("Password", "owner-password", { autocomplete: "new-password" }, PASSWORD_HINT);
    const made = await fill("Make the owner", [name.element, password.element], "Make the owner", async () => {
      const fields = { name: name.input.value.trim(), password: password.input.value };
      await request("POST", "api/v1/users", { ...fields, role: "owner" });
      await request("POST", "api/v1/session", fields);
    });
    if (made !== null) location.reload();
  }

  async #invite() {
    const cameras = await beforeDialog(camerasThere());
    if (cameras === null) return;
    const name = field(
      "Name",
      "invite-name",
      { autocomplete: "off", required: true, maxLength: 64 },
      "They log in with it.",
    );
    const role = roleChoice("viewer");
    const choice = cameraChoice(cameras, null);
    role.input.addEventListener("change", () => (choice.element.hidden = role.input.value === "owner"));
    const made = await fill(
      "Invite somebody",
      [name.element, role.element, choice.element],
      "Make the invitation",
      () => {
        const limit = role.input.value === "owner" ? {} : { cameras: choice.value() };
        return request("POST", "api/v1/users", { name: name.input.value.trim(), role: role.input.value, ...limit });
      },
    );
    if (made === null) return;
    await this.show();
    showInvitation(made);
  }

  async #change(user) {
    const cameras = await beforeDialog(camerasThere());
    if (cameras === null) return;
    const self = this.#isSelf(user);
    const role = roleChoice(user.role);
    const choice = cameraChoice(cameras, user.cameras);
    const disabled = h("input", { type: "checkbox", checked: user.disabled !== null });
    const shown = () => (choice.element.hidden = role.input.value === "owner");
    role.input.addEventListener("change", shown);
    shown();
    const close = (work) => async (event) => {
      event.target.closest("dialog").close();
      await work();
    };
    const changed = await fill(
      user.name,
      [
        role.element,
        choice.element,
        h("label", { class: "check" }, disabled, "Disabled: can't log in, and is logged out everywhere"),
        h(
          "div",
          { class: "row" },
          self
            ? null
            : button(
                user.invited !== null ? "New invitation" : "Link for a new password",
                close(() => this.#anew(user)),
              ),
          button(
            "Remove",
            close(() => this.#remove(user, self)),
            "button-bad",
          ),
        ),
      ],
      "Save",
      async () => {
        const fields = { role: role.input.value, disabled: disabled.checked };
        if (fields.role !== "owner") fields.cameras = choice.value();
        await request("PATCH", path(user), fields);
      },
    );
    if (changed === null) return;
    toast(`${user.name} is changed.`);
    if (self) location.reload();
    else this.show();
  }

  async #anew(user) {
    try {
      const made = await request("PATCH", path(user), { invite: true });
      await this.show();
      showInvitation(made);
    } catch (error) {
      toast(`No link was made. ${apology(error)}`, { bad: true });
    }
  }

  async #remove(user, self) {
    const text = self
      ? "This is you: you are logged out everywhere, and can't log in again."
      : "They are logged out everywhere at once, and their pictures stop. It can't be undone, but you can invite them again.";
    if (!(await ask(`Remove ${user.name}?`, text, "Remove", "button-danger"))) return;
    try {
      await request("DELETE", path(user));
      toast(`${user.name} is removed.`);
      if (self) location.reload();
      else this.show();
    } catch (error) {
      toast(`${user.name} was not removed. ${apology(error)}`, { bad: true });
    }
  }
}

function path(user) {
  return `api/v1/users/${encodeURIComponent(user.name)}`;
}

function roleChoice(chosen) {
  const input = h(
    "select",
    { class: "input", id: "person-role" },
    h("option", { value: "viewer", selected: chosen === "viewer" }, "Viewer: watches"),
    h("option", { value: "owner", selected: chosen === "owner" }, "Owner: may do everything"),
  );
  return { input, element: h("div", { class: "field" }, h("label", { for: "person-role" }, "Role"), input) };
}

async function showInvitation({ name, invite }) {
  showDialog(
    `A link for ${name}`,
    h(
      "div",
      { class: "stack" },
      h(
        "p",
        {},
        "Give it to them, and to nobody else: whoever opens it chooses the password and is logged in. It works once, for 72 hours, and is not shown again.",
      ),
      await addresses("the link", invite.replace(/^\//, "")),
    ),
  );
}
