// A line to copy: <fc-copy text="…">. The text can be selected by hand too.

import { h } from "./dom.js";
import { copy } from "./toast.js";

const SAY_MS = 2_000;

class CopyBox extends HTMLElement {
  #code = h("code", { tabIndex: 0 });
  #button = h("button", { class: "button", type: "button", click: () => this.#copy() }, "Copy");
  #text = "";

  set text(text) {
    this.#text = text;
    this.#code.textContent = text;
  }

  get text() {
    return this.#text;
  }

  connectedCallback() {
    if (this.childElementCount) return;
    this.className = "copy";
    if (this.hasAttribute("text")) this.text = this.getAttribute("text");
    this.#button.setAttribute("aria-label", `Copy ${this.getAttribute("label") ?? "this"}`);
    this.append(h("pre", {}, this.#code), this.#button);
  }

  async #copy() {
    this.#button.textContent = (await copy(this.#text)) ? "Copied" : "Select it";
    setTimeout(() => (this.#button.textContent = "Copy"), SAY_MS);
  }
}

customElements.define("fc-copy", CopyBox);
