// Whether something on the way holds answers back until many bytes are together, or until they end: a proxy that
// buffers. The server sends five lines 200 ms apart, with the head of an MJPEG stream; here counts when they come.

const APART_MS = 800;
// On any way that delivers as it gets, they come over nearly as long as they left.
const HELD_BELOW_MS = APART_MS / 2;
const KNOWN_MS = 60_000;

export const HELD = {
  title: "A proxy holds pictures back",
  advice:
    "What lies between this page and the server collects answers before it hands them on, so MJPEG, MP4 and sound " +
    "come late or never, in other programs too. The WebSocket is not held back, so this page uses it. " +
    "In nginx: proxy_buffering off (docs/proxies.md).",
};

export class Held {
  #fetch;
  #answer = null;
  #untilMs = 0;

  /** @param fetch Answers a request for a path below the server's root (server.js). */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  /** Whether it is so; asked anew after a minute. What can't be found out is not so. */
  look() {
    if (this.#answer === null || performance.now() > this.#untilMs) {
      this.#untilMs = performance.now() + KNOWN_MS;
      this.#answer = this.#find();
    }
    return this.#answer;
  }

  async #find() {
    // The server has looked through its tunnel already: what it found saves the second that it takes here.
    if (await this.#isToldSo()) return true;
    try {
      // Lines come together as well when this page was busy for that long, so it takes two.
      return (await this.#spreadMs()) < HELD_BELOW_MS && (await this.#spreadMs()) < HELD_BELOW_MS;
    } catch {
      return false;
    }
  }

  async #isToldSo() {
    try {
      return (await (await this.#fetch("api/v1/system")).json()).buffered === true;
    } catch {
      return false;
    }
  }

  async #spreadMs() {
    const answer = await this.#fetch("api/v1/selftest/stream");
    const reader = answer.body.getReader();
    let firstMs = null;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      if (value.length) firstMs ??= performance.now();
    }
    if (firstMs === null) throw new Error("nothing came");
    return performance.now() - firstMs;
  }
}
