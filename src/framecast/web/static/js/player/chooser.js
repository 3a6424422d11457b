// Which path next: the best of the order that did not fail lately. Pure; the time is passed in, in seconds.
//
// A path that failed rests for a while, longer each time, and is tried again after that: a network that lets no UDP
// through today may do so tomorrow, and a server that was updated may speak more than before.

const LONGEST_REST_S = 300;
const GROWTH = 3;

export class Chooser {
  #order;
  #restS;
  #failures = new Map();

  /** @param order Names, best first. @param restS How long a path rests after its first failure. */
  constructor(order, restS) {
    this.#order = order;
    this.#restS = restS;
  }

  get order() {
    return this.#order;
  }

  /** One more may be used, after all others. */
  allow(name) {
    if (!this.#order.includes(name)) this.#order = [...this.#order, name];
  }

  /** A path failed or stalled. */
  failed(name, why, nowS) {
    const times = (this.#failures.get(name)?.times ?? 0) + 1;
    const restS = Math.min(LONGEST_REST_S, this.#restS * GROWTH ** (times - 1));
    this.#failures.set(name, { times, why, untilS: nowS + restS });
  }

  /** The network or the server is another one: what failed before may work now. */
  forgive() {
    this.#failures.clear();
  }

  /** The path has worked for long: its next failure is the first one again. */
  praise(name) {
    this.#failures.delete(name);
  }

  /** Why a path is not in use: the reason of its last failure, "" where it has not failed. */
  why(name) {
    return this.#failures.get(name)?.why ?? "";
  }

  /** The best path that may be tried now, null while all rest. */
  best(nowS) {
    return this.#order.find((name) => this.#rested(name, nowS)) ?? null;
  }

  /** The best path that may be tried now and is better than `name`, null where there is none. */
  better(name, nowS) {
    const ahead = this.#order.slice(0, Math.max(0, this.#order.indexOf(name)));
    return ahead.find((other) => this.#rested(other, nowS)) ?? null;
  }

  /** Seconds until some path may be tried, 0 if one may. */
  waitS(nowS) {
    const waits = this.#order.map((name) => Math.max(0, (this.#failures.get(name)?.untilS ?? 0) - nowS));
    return Math.min(...waits);
  }

  #rested(name, nowS) {
    return (this.#failures.get(name)?.untilS ?? 0) <= nowS;
  }
}
