// Server-sent events that come back by themselves, and rest while nobody looks at the page.
//
// A browser's EventSource returns after a lost connection, and asks from where it was (Last-Event-ID); after any
// answer that is no stream it gives up for good, so that has to be tried again from here.

import { url } from "../api.js";

const RETRY_MS = 5_000;

export class EventStream {
  #path;
  #heard;
  #state;
  #names;
  #source = null;
  #timer = 0;
  #on = false;
  #visible = () => this.#settle();

  /**
   * @param path Below the server's root.
   * @param heard Called with each message, parsed.
   * @param options `state(open, refused)` is told whether it is connected, and whether it was answered otherwise; `names`: events beside plain messages.
   */
  constructor(path, heard, { state = () => {}, names = [] } = {}) {
    this.#path = path;
    this.#heard = heard;
    this.#state = state;
    this.#names = names;
  }

  start() {
    if (this.#on) return;
    this.#on = true;
    document.addEventListener("visibilitychange", this.#visible);
    this.#settle();
  }

  stop() {
    this.#on = false;
    document.removeEventListener("visibilitychange", this.#visible);
    this.#settle();
  }

  #settle() {
    const wanted = this.#on && !document.hidden;
    if (wanted && !this.#source) return this.#open();
    if (wanted) return;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    clearTimeout(this.#timer);
    const source = (this.#source = new EventSource(url(this.#path)));
    const take = (event) => this.#heard(JSON.parse(event.data));
    source.onopen = () => this.#state(true);
    for (const name of ["message", ...this.#names]) source.addEventListener(name, take);
    source.onerror = () => {
      const refused = source.readyState === EventSource.CLOSED;
      this.#state(false, refused);
      if (!refused || this.#source !== source) return;
      this.#source = null;
      this.#timer = setTimeout(() => this.#settle(), RETRY_MS);
    };
  }
}
