// The tunnel: this server's address for the whole internet, and how well it works.

import { field, fill } from "../ask.js";
import { request, url } from "../api.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { button, failed, head, moment, renew } from "./rows.js";

const LOOK_MS = 2_000;
const PROVIDERS = { ngrok: "ngrok", cloudflare: "Cloudflare" };
const STATES = {
  off: ["No tunnel", null],
  starting: ["Starting", "connecting"],
  online: ["Online", "live"],
  waiting: ["Interrupted, trying again", "stalled"],
  failed: ["Failed", "failed"],
};

export class Tunnel {
  #timer = 0;
  #turn = 0;
  #key = "";

  constructor(element) {
    this.element = element;
  }

  async show() {
    this.#key = "";
    await this.#look();
  }

  /** Ends the looking when another tab is shown. */
  leave() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  async #look() {
    clearTimeout(this.#timer);
    const turn = (this.#turn += 1);
    try {
      const status = await request("GET", "api/v1/tunnel");
      // Its tab was left meanwhile, or it was asked for once more.
      if (turn !== this.#turn) return;
      const key = JSON.stringify(status);
      if (key !== this.#key) renew(this.element, ...this.#panel(status));
      this.#key = key;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#key = "";
      this.element.replaceChildren(failed(error, () => this.show()));
      return;
    }
    this.#timer = setTimeout(() => (document.hidden ? this.#later(turn) : this.#look()), LOOK_MS);
  }

  #later(turn) {
    document.addEventListener("visibilitychange", () => turn === this.#turn && this.#look(), { once: true });
  }

  #panel(status) {
    const [text, state] = STATES[status.state] ?? [status.state, null];
    const running = status.state !== "off" && status.state !== "failed";
    const facts = [
      ["State", h("span", { class: "state", "data-state": state }, text)],
      status.provider ? ["Provider", PROVIDERS[status.provider] ?? status.provider] : null,
      status.since ? ["Since", moment(status.since)] : null,
      running ? ["Reconnected", plural(status.reconnects, "time")] : null,
      status.error ? ["Error", h("span", { class: "field-error" }, sentence(status.error))] : null,
      status.selftest
        ? [
            "Seen from outside",
            h(
              "span",
              { class: status.selftest.verdict === "good" ? "" : "field-error" },
              sentence(status.selftest.words),
            ),
          ]
        : null,
      status.status_page ? ["On the server itself", status.status_page] : null,
    ].filter(Boolean);
    return [
      head(
        "A tunnel gives this server an address for the whole internet, with HTTPS, without a change to your router. Who comes through it has to log in, but for what a camera opens to everybody.",
        running ? null : button("Start a tunnel", () => this.#start(), "button-main"),
        status.state === "online" ? button("Test it", () => this.#test()) : null,
        running ? button("Stop", () => this.#stop(), "button-bad") : null,
      ),
      h(
        "div",
        { class: "tunnel" },
        status.url
          ? h("img", {
              class: "tunnel-code",
              src: qrAddress(status.url),
              width: 200,
              height: 200,
              alt: `QR code of ${status.url}`,
            })
          : null,
        h(
          "div",
          { class: "stack" },
          status.url ? h("fc-copy", { label: "the address", text: status.url }) : null,
          h(
            "dl",
            { class: "facts" },
            facts.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]),
          ),
        ),
      ),
    ];
  }

  async #start() {
    const provider = h(
      "select",
      { class: "input", id: "tunnel-provider", "aria-describedby": "tunnel-provider-hint" },
      Object.entries(PROVIDERS).map(([value, text]) => h("option", { value }, text)),
    );
    const token = field(
      "Token of your account there",
      "tunnel-token",
      { type: "password", autocomplete: "off" },
      "Left empty: the one in the configuration.",
    );
    const domain = field(
      "Domain",
      "tunnel-domain",
      { autocomplete: "off", placeholder: "cameras.example.org" },
      "Left empty: the provider chooses one.",
    );
    const started = await fill(
      "Start a tunnel",
      [
        h(
          "div",
          { class: "field" },
          h("label", { for: "tunnel-provider" }, "Provider"),
          provider,
          h(
            "span",
            { class: "quiet", id: "tunnel-provider-hint" },
            "ngrok asks for the token of an account. Cloudflare needs none for a name of chance, and its program cloudflared on the server.",
          ),
        ),
        token.element,
        domain.element,
      ],
      "Start",
      () => {
        const fields = { provider: provider.value };
        if (domain.input.value.trim()) fields.domain = domain.input.value.trim();
        const secret = provider.value === "ngrok" ? "authtoken" : "cloudflare_token";
        if (token.input.value.trim()) fields[secret] = token.input.value.trim();
        return request("POST", "api/v1/tunnel", fields);
      },
    );
    if (started !== null) this.show();
  }

  async #test() {
    try {
      const { words } = await request("POST", "api/v1/tunnel/selftest");
      toast(sentence(words));
      this.show();
    } catch (error) {
      toast(`It could not be tested. ${apology(error)}`, { bad: true });
    }
  }

  async #stop() {
    try {
      await request("DELETE", "api/v1/tunnel");
      toast("The tunnel is closed.");
      this.show();
    } catch (error) {
      toast(`The tunnel is still open. ${apology(error)}`, { bad: true });
    }
  }
}

function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// With the address in it, since the picture changes when that does.
function qrAddress(address) {
  return `${url("api/v1/tunnel/qr.svg").href}#${encodeURIComponent(address)}`;
}
