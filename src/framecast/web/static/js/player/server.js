// Where a Framecast server is, how to ask it, and the sockets that the players of a page share.
//
// Our own server takes the cookie of the session. For another one a token may be given (`key`): requests carry it in
// a header; what can carry none, sockets and pictures, carry it as `?key=`, which a camera has to permit.

import { ApiError, url as ownUrl } from "../api.js";
import { Playout } from "../playout.js";
import { Dashboard } from "../socket.js";
import { Held } from "./held.js";

const LINGER_MS = 1_000;
const servers = new Map();

/** The server at an address ("" is the one this module came from), one object for each address and key. */
export function serverAt(src = "", key = "") {
  const root = src ? new URL(src.endsWith("/") ? src : `${src}/`, document.baseURI) : ownUrl("");
  const name = `${root.href} ${key}`;
  if (!servers.has(name)) servers.set(name, new Server(root, key));
  return servers.get(name);
}

class Server {
  #root;
  #key;
  #users = 0;
  #sockets = [];
  #lingering = 0;
  #awake = 0;
  #held = new Held((path) => this.fetch(path));

  constructor(root, key) {
    this.#root = root;
    this.#key = key;
    this.#sockets.push(new Dashboard(this));
    /** What keeps this server's cameras in step. */
    this.playout = new Playout(this.clock);
  }

  /** Whether something on the way holds answers back (held.js). */
  heldBack() {
    return this.#held.look();
  }

  /** The socket that also brings states and numbers. */
  get dashboard() {
    return this.#sockets[0];
  }

  get clock() {
    return this.dashboard.clock;
  }

  /** Whether the page is one of its own. */
  get own() {
    return this.#root.origin === location.origin;
  }

  /** The absolute URL of a path below the server's root, without a leading slash. */
  url(path) {
    return new URL(path, this.#root);
  }

  /** The same for what can carry no header: the key stands in it. */
  openUrl(path) {
    const address = this.url(path);
    if (this.#key) address.searchParams.set("key", this.#key);
    return address;
  }

  socketUrl(path) {
    const address = this.openUrl(path);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    return address.href;
  }

  /** The answer to a request; raises ApiError where there is none or it is an error. */
  async fetch(path, { headers = {}, ...options } = {}) {
    const signed = this.#key ? { ...headers, Authorization: `Bearer ${this.#key}` } : headers;
    const credentials = this.own || !this.#key ? "include" : "omit";
    let response;
    try {
      response = await fetch(this.url(path), { cache: "no-store", credentials, ...options, headers: signed });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "gone", "The server does not answer.");
    }
    if (response.ok) return response;
    const said = await response.json().catch(() => null);
    const { code, message } = said?.error ?? {};
    throw new ApiError(response.status, code ?? "", message ?? `The server answered ${response.status}.`);
  }

  /** What this browser may do there: {open, rights, name}. */
  async session(signal) {
    return (await this.fetch("api/v1/session", { signal })).json();
  }

  /** A player begins to use the server. */
  join() {
    this.#users += 1;
    clearTimeout(this.#lingering);
    if (this.dashboard.status === "off") {
      this.dashboard.wantStats(1);
      this.dashboard.start();
    }
  }

  /** It ends; with the last one the sockets are closed. */
  leave() {
    this.#users -= 1;
    // Elements that are moved in the page leave and join again at once.
    if (this.#users === 0) this.#lingering = setTimeout(() => this.dashboard.stop(), LINGER_MS);
  }

  /**
   * A socket on which nobody wants this camera yet: a camera comes in one form on each. It is to be wanted from at
   * once, and given back with `unseat`.
   */
  seat(camera) {
    let free = this.#sockets.find((each) => !each.wants(camera));
    if (!free) {
      free = new Dashboard(this);
      this.#sockets.push(free);
      free.keepAwake(this.#awake);
      free.start();
    }
    return free;
  }

  /** Lets pictures come though the page is hidden, as for one in a window of its own; each call has to be undone. */
  keepAwake(on) {
    this.#awake += on ? 1 : -1;
    for (const socket of this.#sockets) socket.keepAwake(on ? 1 : -1);
  }

  /** The camera is wanted from this socket no more. */
  unseat(dashboard, camera) {
    dashboard.unwant(camera);
    if (dashboard === this.dashboard || dashboard.wanted > 0) return;
    this.#sockets.splice(this.#sockets.indexOf(dashboard), 1);
    dashboard.close();
  }
}
