// The menu in the head of every page: where else one can go, who one is here, and how to end that.

import "./install.js";
import { request, url } from "./api.js";
import { h, setText } from "./dom.js";
import { install, installable } from "./install.js";
import { isOutdated, reload } from "./newer.js";
import { changePassword } from "./password.js";
import { hasEntered, logIn, logOut, nameOf, whoAmI } from "./session.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";

// [path below the root, what it is called, the right without which it is of no use]
const PLACES = [
  ["", "Cameras", null],
  ["events", "Events", "watch"],
  ["people", "People", "operate"],
  ["analytics", "Analytics", "watch"],
  ["access", "Access", "entered"],
  ["docs", "API", null],
];
const GAP_PX = 4;

class Menu extends HTMLElement {
  #name = h("span", { class: "menu-name" }, "Menu");
  #button = h(
    "button",
    { class: "button button-quiet menu-button", type: "button", "aria-expanded": "false", "aria-haspopup": "true" },
    this.#name,
    h("span", { class: "menu-mark", "aria-hidden": "true" }),
  );
  #box = h("div", { class: "menu", popover: "auto", role: "region", "aria-label": "Menu" });
  #offered = () => this.#build();
  #state = null;

  connectedCallback() {
    if (!this.childElementCount) {
      this.append(this.#button, this.#box);
      if (HTMLElement.prototype.hidePopover) this.#float();
      else this.#unfold();
      this.#build();
    }
    addEventListener("framecast-installable", this.#offered);
    addEventListener("framecast-newer", this.#offered);
    addEventListener("framecast-session", this.#known);
    if (whoAmI()) this.#known();
  }

  disconnectedCallback() {
    removeEventListener("framecast-installable", this.#offered);
    removeEventListener("framecast-newer", this.#offered);
    removeEventListener("framecast-session", this.#known);
  }

  // It is told at each hello of the server. Made anew, an open menu would lose a click just now.
  #known = () => {
    const state = whoAmI();
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#build();
  };

  /** As browsers do it by themselves: over everything, closed by Esc and by a click beside it. */
  #float() {
    this.#button.popoverTargetElement = this.#box;
    this.#box.addEventListener("beforetoggle", ({ newState }) => {
      if (newState === "open") this.#place();
      this.#shown(newState === "open");
    });
  }

  /** Where they don't yet: old tablets hang on walls for long. */
  #unfold() {
    this.#box.removeAttribute("popover");
    const show = (open) => {
      this.#box.hidden = !open;
      if (open) this.#place();
      this.#shown(open);
    };
    show(false);
    this.#box.hidePopover = () => show(false);
    this.#button.addEventListener("click", () => show(this.#box.hidden));
    document.addEventListener("click", (event) => this.contains(event.target) || show(false));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#box.hidden) return;
      event.preventDefault();
      show(false);
      this.#button.focus();
    });
  }

  #shown(open) {
    this.#button.setAttribute("aria-expanded", String(open));
    // For keys.js: Esc is to close the menu, and nothing else.
    this.#box.classList.toggle("menu-open", open);
  }

  #place() {
    const { bottom, right } = this.#button.getBoundingClientRect();
    this.#box.style.top = `${bottom + GAP_PX}px`;
    this.#box.style.right = `${Math.max(GAP_PX, document.documentElement.clientWidth - right)}px`;
  }

  #build() {
    const state = this.#state;
    const entered = state !== null && hasEntered(state);
    const person = state?.kind === "user";
    setText(this.#name, entered ? nameOf(state) : "Menu");
    this.#button.setAttribute("aria-label", entered ? `Menu, logged in as ${nameOf(state)}` : "Menu");
    const may = (need) => {
      if (need === null) return true;
      if (need === "entered") return state !== null && (state.open || entered);
      return state?.rights.includes(need);
    };
    const held = this.#box.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.#box.replaceChildren(
      ...(state ? [h("p", { class: "menu-who" }, ...who(state, entered))] : []),
      h(
        "ul",
        { class: "menu-list" },
        PLACES.filter(([, , need]) => may(need)).map(([path, text]) => h("li", {}, place(path, text))),
      ),
      h(
        "ul",
        { class: "menu-list" },
        isOutdated() ? item("Reload for the new version", reload) : null,
        installable() ? item("Install as an app", install) : null,
        person ? item("Change password", changePassword) : null,
        entered ? item("Log out", () => this.#leave("", "Logged out.")) : null,
        entered ? item("Log out everywhere", () => this.#leave("?everywhere=1", "Logged out everywhere.")) : null,
        state && !entered && !state.open ? item("Log in", logIn) : null,
      ),
      ...(insecure() ? [h("p", { class: "menu-note" }, insecure())] : []),
    );
    for (const list of this.#box.querySelectorAll("ul:empty")) list.remove();
    for (const each of this.#box.querySelectorAll("button")) {
      each.addEventListener("click", () => this.#box.hidePopover());
    }
    if (held !== null) this.#focus(held);
  }

  /** Gives the focus back to the item of this name, or to what opens the menu where that one is gone. */
  #focus(text) {
    const items = [...this.#box.querySelectorAll(".menu-item")];
    (items.find((item) => item.textContent === text) ?? this.#button).focus();
  }

  async #leave(query) {
    try {
      await logOut(query);
    } catch (error) {
      toast(`You are still logged in. ${apology(error)}`, { bad: true });
    }
  }
}

function who(state, entered) {
  if (state.open) return ["Open to this computer: nobody needs to log in."];
  if (!entered) return ["Not logged in"];
  const role = { owner: "Owner", viewer: "Viewer" }[state.role] ?? "By a token";
  const cameras = state.cameras === null ? "all cameras" : `${state.cameras.length} of the cameras`;
  return [h("b", {}, nameOf(state)), ` ${role}, ${cameras}`];
}

/** Why there is no "Install as an app" here, where that is the server's doing. */
function insecure() {
  return isSecureContext ? "" : "Browsers install only what comes by HTTPS: through a tunnel, a proxy, or after framecast tls init.";
}

function place(path, text) {
  const address = url(path);
  const here = address.pathname === location.pathname;
  return h("a", { class: "menu-item", href: address.href, "aria-current": here ? "page" : null }, text);
}

function item(text, run) {
  return h("li", {}, h("button", { class: "menu-item", type: "button", click: run }, text));
}

customElements.define("fc-menu", Menu);
