// Whether this browser is told of events though no page is open: Web Push, switched on for each browser by itself.
//
// The browser makes the subscription, an address at its maker's push service; the server gets it and sends there, and
// nobody between can read what is sent.

import { request, url } from "../api.js";
import { h, setText } from "../dom.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";

const SERVICE = "api/v1/push/subscriptions";

/** Why this browser can't be told, in words; "" where it can. */
function missing() {
  if (!isSecureContext)
    return "Browsers take notifications only over HTTPS: through a tunnel, a proxy, or after framecast tls init.";
  if (!navigator.serviceWorker || !("PushManager" in window)) {
    return /iPhone|iPad/.test(navigator.userAgent)
      ? "On iPhones and iPads: add this page to the home screen first, and open it from there."
      : "This browser knows no notifications.";
  }
  return "";
}

function bytesOf(text) {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
}

/** Whether somebody told this browser to show nothing from here. */
async function isDenied() {
  try {
    return (await navigator.permissions.query({ name: "notifications" })).state === "denied";
  } catch {
    return Notification.permission === "denied"; // where they can't be queried
  }
}

/** Whether a subscription was made for the server with this key. */
function isFor(subscription, key) {
  const made = subscription.options?.applicationServerKey;
  if (!made) return true;
  const [one, other] = [new Uint8Array(made), bytesOf(key)];
  return one.length === other.length && one.every((each, index) => each === other[index]);
}

async function worker() {
  return navigator.serviceWorker.register(url("sw.js"), { scope: url("") });
}

export class NotifySwitch {
  #box = h("input", { type: "checkbox", role: "switch", disabled: true, change: () => this.#change() });
  #said = h("span", { class: "quiet" });

  constructor() {
    this.element = h(
      "div",
      { class: "notify" },
      this.#said,
      h("label", { class: "check" }, this.#box, "Notify this device"),
    );
    this.#look();
  }

  async #look() {
    const why = missing();
    if (why) return setText(this.#said, why);
    try {
      const registration = await navigator.serviceWorker.getRegistration(url(""));
      const subscription = await registration?.pushManager.getSubscription();
      if (!subscription) return await this.#show(false);
      const { key } = await request("GET", "api/v1/push/key");
      // Made for a server that was set up anew since: nothing would arrive by it.
      if (!isFor(subscription, key)) return await this.#show(false);
      // The server may have forgotten it: told anew, it is the same one.
      await request("POST", SERVICE, subscription.toJSON());
      await this.#show(true);
    } catch (error) {
      await this.#show(false);
      if (error.status) setText(this.#said, apology(error));
    }
  }

  async #show(on) {
    const denied = await isDenied();
    this.#box.checked = on;
    this.#box.disabled = denied && !on;
    setText(
      this.#said,
      denied && !on ? "This browser was told to show none from here. Its settings for this site change that." : "",
    );
  }

  async #change() {
    const on = this.#box.checked;
    this.#box.disabled = true;
    try {
      if (on) await this.#subscribe();
      else await this.#unsubscribe();
      await this.#show(on);
      toast(on ? "This device is notified from now on." : "This device is notified no longer.");
    } catch (error) {
      await this.#show(!on);
      if (this.#box.disabled) return;
      toast(`${on ? "Not switched on." : "Not switched off."} ${reason(error)}`, { bad: true });
    }
  }

  async #subscribe() {
    // First the question: browsers want it right after the press.
    if ((await Notification.requestPermission()) !== "granted") throw new Error("It was not allowed.");
    const { key } = await request("GET", "api/v1/push/key");
    const registration = await worker();
    await navigator.serviceWorker.ready;
    const before = await registration.pushManager.getSubscription();
    // It is bound to the key it was made with, and a server that was set up anew has another.
    await before?.unsubscribe();
    const subscription = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: bytesOf(key),
    });
    try {
      await request("POST", SERVICE, subscription.toJSON());
    } catch (error) {
      await subscription.unsubscribe();
      throw error;
    }
  }

  async #unsubscribe() {
    const registration = await navigator.serviceWorker.getRegistration(url(""));
    const subscription = await registration?.pushManager.getSubscription();
    if (!subscription) return;
    await request("DELETE", SERVICE, { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
  }
}

/** What a failure means; a browser's own words where it is no answer of the server. */
function reason(error) {
  if (error.name === "AbortError") return "The browser's push service could not be reached.";
  return error.status === undefined ? error.message : apology(error);
}
