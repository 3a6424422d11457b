// The one socket of a page: every camera's pictures, states and numbers come over it.
//
// Theory of operation. The page says what it *wants* (`want`, `unwant`) at any time; `#flush` compares that
// with what the server was last told and sends the difference, once per turn of the event loop. So a
// reconnect, a hidden page and a tile that scrolls away all are the same thing: a different set to want.
//
// Events: "status" (this.status changed), "cameras" (the whole list is new), "camera" (detail: one camera),
// "removed" (detail: {id}), "stats" (detail: {id: numbers}), "form" (detail: the form in which a camera comes from
// now on, docs/protocol.md), "problem" (detail: {code, message, camera}).
// Frames go to the sink given to `want` instead, one call each: they are too many for events.

import { session, socketUrl } from "./api.js";
import { ServerClock } from "./clock.js";
import { unpack } from "./media.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;
const QUICK_PINGS = 5;
const QUICK_PING_MS = 250;
const PING_MS = 5_000;
// At most so long the next attempt waits for a word about why the last one was refused.
const SESSION_MS = 5_000;
// Whoever comes back to the page waits for no dead socket as long as that: a phone's mostly is after its sleep.
const BACK_PING_MS = 2_000;
// A Wi-Fi that went away closes nothing: so many pings in a row without hearing anything mean that it did.
// Counted instead of timed, because a browser may freeze a page for hours while its socket stays good.
const UNHEARD_PINGS = 3;

export class Dashboard extends EventTarget {
  clock = new ServerClock();
  cameras = new Map();
  version = "";

  /**
   * "off" until started and once stopped, "connecting" before the first answer, "open", "gone" (retryAt says when
   * it is tried again), "denied" (no right to watch).
   */
  status = "off";
  retryAt = 0;
  /** Whether the server answers requests and the socket was refused all the same: something between forbids it. */
  blocked = false;

  #socket = null;
  #wanted = new Map();
  #told = new Map();
  #sinks = new Map();
  #numbers = new Map();
  #lookers = new Map();
  #toldLooks = "[]";
  #statsS = 0;
  #flushing = false;
  #failures = 0;
  #timer = 0;
  #asking = null;
  #pingTimer = 0;
  #pings = 0;
  #unheard = 0;
  #doubted = 0;
  #paused = document.hidden;
  #awake = 0;
  #server;
  #end = new AbortController();

  /** @param server Where it leads: `socketUrl(path)`, and `session(signal)` as in api.js; our own server by default. */
  constructor(server = { socketUrl, session }) {
    super();
    this.#server = server;
    const { signal } = this.#end;
    document.addEventListener("visibilitychange", () => this.#setPaused(), { signal });
    window.addEventListener("online", () => this.#back(), { signal });
    // Restored from the back-forward cache: the browser has closed the socket meanwhile.
    window.addEventListener("pageshow", (event) => event.persisted && this.retry(), { signal });
  }

  /** Opens the socket and keeps it open. */
  start() {
    this.#connect();
  }

  /** Connects now instead of after the back-off; does nothing while connected. */
  retry() {
    if (this.#socket || (this.status !== "gone" && this.status !== "denied")) return;
    this.#failures = 0;
    this.#connect();
  }

  /** Ends it; `start` begins anew. */
  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#pingTimer);
    this.#hushQuestion();
    const socket = this.#socket;
    this.#socket = null;
    this.#told.clear();
    this.#toldLooks = "[]";
    this.#failures = 0;
    socket?.close();
    this.#setStatus("off");
  }

  /** Ends it for good. */
  close() {
    this.stop();
    this.#end.abort();
  }

  /** Whether somebody on this page wants this camera. */
  wants(id) {
    return this.#wanted.has(id);
  }

  /** How many cameras are wanted. */
  get wanted() {
    return this.#wanted.size;
  }

  /** Lets pictures come though the page is hidden, while the sum of all calls is above 0. */
  keepAwake(count) {
    this.#awake += count;
    this.#setPaused();
  }

  /** Asks for a camera's pictures; `sink(frame)` gets each, and must `ack` it when there is room for another. */
  want(id, options, sink) {
    this.#wanted.set(id, options);
    this.#sinks.set(id, sink);
    this.#scheduleFlush();
  }

  unwant(id) {
    this.#wanted.delete(id);
    this.#sinks.delete(id);
    this.#scheduleFlush();
  }

  /** Asks for what a camera's detector sees; `sink(look)` gets the newest, again and again. */
  look(id, sink) {
    if (!this.#lookers.has(id)) this.#lookers.set(id, new Set());
    this.#lookers.get(id).add(sink);
    this.#scheduleFlush();
  }

  lookAway(id, sink) {
    const sinks = this.#lookers.get(id);
    if (sinks?.delete(sink) && !sinks.size) this.#lookers.delete(id);
    this.#scheduleFlush();
  }

  /** Asks for everybody's numbers every `intervalS` seconds; 0 ends it. */
  wantStats(intervalS) {
    this.#statsS = intervalS;
    this.#send({ type: "stats", interval_s: this.#paused ? 0 : intervalS });
  }

  ack(frame) {
    // By hand, since JSON.stringify refuses a BigInt.
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(`{"type":"ack","camera":${frame.camera},"frame":${frame.id}}`);
    }
  }

  /** Asks for a picture that can be decoded alone, after one that could not be. */
  askKey(number) {
    this.#send({ type: "key", camera: number });
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#hushQuestion();
    // Who is gone or not let in stays so until the server says otherwise: whoever is logging in must not lose the form.
    if (this.#failures === 0 && !["gone", "denied"].includes(this.status)) this.#setStatus("connecting");
    const socket = new WebSocket(this.#server.socketUrl("api/v1/ws"));
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    // What lies between may answer the handshake and let nothing else through: only a word of the server counts.
    let opened = false;
    socket.onmessage = (event) => {
      opened = true;
      this.#unheard = 0;
      if (typeof event.data === "string") this.#text(JSON.parse(event.data));
      else this.#binary(event.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost(opened);
    };
  }

  async #lost(wasOpen) {
    this.#socket = null;
    this.#told.clear();
    this.#toldLooks = "[]";
    this.#unheard = 0;
    clearTimeout(this.#pingTimer);
    this.#failures += 1;
    if (!wasOpen) {
      const asking = (this.#asking = new AbortController());
      const { answered, denied } = await this.#ask(asking);
      // What was asked about another attempt says nothing about this one.
      if (this.#asking !== asking) return;
      this.#asking = null;
      if (denied) return this.#setStatus("denied");
      this.blocked = answered;
    }
    // Up to a fifth more by chance, so that a hundred walls do not return in the same instant.
    const step = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    const delayMs = step * (1 + Math.random() / 5);
    this.retryAt = performance.now() + delayMs;
    this.#setStatus("gone");
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  /** A browser does not tell why a socket was refused, so ask over HTTP whether it is a matter of rights. */
  async #ask(asking) {
    const timer = setTimeout(() => asking.abort(), SESSION_MS);
    try {
      const { rights } = await this.#server.session(asking.signal);
      return { answered: true, denied: !rights.some((right) => right === "watch" || right === "operate") };
    } catch (error) {
      return { answered: false, denied: error.status === 401 || error.status === 403 };
    } finally {
      clearTimeout(timer);
    }
  }

  #hushQuestion() {
    this.#asking?.abort();
    this.#asking = null;
  }

  #text(message) {
    switch (message.type) {
      case "hello":
        return this.#hello(message);
      case "camera":
        // Who wanted it before it went wants it still.
        if (!this.cameras.has(message.camera.id)) this.#scheduleFlush();
        this.#keep(message.camera);
        return this.#emit("camera", message.camera);
      case "removed":
        this.cameras.delete(message.id);
        this.#told.delete(message.id);
        this.#toldLooks = "";
        this.#numbers.delete(message.number);
        return this.#emit("removed", { id: message.id });
      case "stats":
        return this.#emit("stats", message.cameras);
      case "form":
        return this.#emit("form", message);
      case "detections":
        for (const sink of this.#lookers.get(message.id) ?? []) sink(message);
        return;
      case "pong":
        return this.clock.sample(message.t, performance.now(), message.server_ns);
      case "error":
        return this.#emit("problem", message);
      default: // A newer server may say more than this page knows.
    }
  }

  #hello(message) {
    this.#failures = 0;
    this.blocked = false;
    this.version = message.version;
    this.clock.reset();
    this.clock.guess(message.server_ns);
    this.cameras.clear();
    this.#numbers.clear();
    for (const camera of message.cameras) this.#keep(camera);
    this.status = "open";
    this.#emit("cameras");
    this.#emit("status");
    this.#pings = 0;
    this.#ping();
    if (this.#statsS) this.wantStats(this.#statsS);
    this.#scheduleFlush();
  }

  #keep(camera) {
    this.cameras.set(camera.id, camera);
    this.#numbers.set(camera.number, camera.id);
  }

  #binary(buffer) {
    const frame = unpack(buffer);
    if (!frame) return;
    const sink = this.#sinks.get(this.#numbers.get(frame.camera));
    // Nobody wants it any more: it crossed our unsubscribe. Acknowledged, or the credit would be lost.
    if (sink && !this.#paused) sink(frame);
    else this.ack(frame);
  }

  #ping() {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (this.#unheard >= UNHEARD_PINGS) {
      // The closing handshake would wait for the same dead network: forget the socket first.
      socket.onclose = null;
      socket.close();
      this.#lost(true);
      return;
    }
    this.#send({ type: "ping", t: performance.now() });
    this.#pings += 1;
    const quick = this.#pings < QUICK_PINGS;
    // Not those that only set the clock: on a way by satellite three of them are gone before the first answer is back.
    if (!quick) this.#unheard += 1;
    const doubtful = this.#doubted > 0;
    if (doubtful) this.#doubted -= 1;
    this.#pingTimer = setTimeout(() => this.#ping(), quick ? QUICK_PING_MS : doubtful ? BACK_PING_MS : PING_MS);
  }

  /** Somebody is back at the page, or the network is: connects, or finds out whether what is connected still lives. */
  #back() {
    this.retry();
    if (this.status !== "open" || this.#pings < QUICK_PINGS) return;
    clearTimeout(this.#pingTimer);
    this.#unheard = 0;
    this.#doubted = UNHEARD_PINGS;
    this.#ping();
  }

  #setPaused() {
    const paused = document.hidden && this.#awake === 0;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#send({ type: "stats", interval_s: paused ? 0 : this.#statsS });
    this.#scheduleFlush();
    if (!paused) this.#back();
  }

  #scheduleFlush() {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.status !== "open") return;
    this.#flushLooks();
    const wanted = this.#paused ? new Map() : this.#wanted;
    const gone = [...this.#told.keys()].filter((id) => !wanted.has(id));
    const changed = [];
    for (const [id, options] of wanted) {
      const key = JSON.stringify(options);
      if (this.#told.get(id) === key || !this.cameras.has(id)) continue;
      this.#told.set(id, key);
      changed.push({ id, ...options });
    }
    for (const id of gone) this.#told.delete(id);
    if (gone.length) this.#send({ type: "unsubscribe", cameras: gone });
    if (changed.length) this.#send({ type: "subscribe", cameras: changed });
  }

  #flushLooks() {
    const cameras = this.#paused ? [] : [...this.#lookers.keys()].filter((id) => this.cameras.has(id));
    const key = JSON.stringify(cameras);
    if (key === this.#toldLooks) return;
    this.#toldLooks = key;
    this.#send({ type: "detections", cameras });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #setStatus(status) {
    this.status = status;
    this.#emit("status");
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
