// What every path from the server to the picture is: one small interface.
//
//   element       what shows the picture: a canvas, video or img of its own
//   start()       begin; a path is started once
//   stop()        end for good; the element keeps its last picture where it can
//   wish          what is asked for: {quality, width, fps, sound}, never changed but replaced
//   follows       names of the wishes that it can follow as it runs; where another changes, a new path has to
//   refresh()     another `wish` was set, of which it follows all that is different
//   stats()       numbers, all rising but the last ones (see below)
//   onframe       called by the path with each picture it shows
//   onstall(why)  called by the path when it can't go on, with a sentence
//
// A path that just goes silent is noticed by the director (director.js), not by the path.

const SAMPLES = 240;

export class Path {
  element = null;
  onframe = null;
  onstall = null;

  frames = 0;
  /** Pictures that came and were not shown. */
  drops = 0;
  bytes = 0;
  width = 0;
  height = 0;
  codec = "";
  /** What the server says it chose: {asked, level, width, fps, reason}, null where it said nothing. */
  quality = null;
  /** Capture time of the picture that is shown, Unix ms; 0 where it is not known. */
  capturedMs = 0;
  /** When that was, by performance.now(). */
  shownMs = 0;
  /** Whether it comes back by itself when the server was gone. */
  returns = false;
  /** Whether the server that it began with is gone, and knows nothing of it. */
  lost = false;
  /** Whether it shows pictures long after they were taken. */
  late = false;
  /** Whether it knows a new picture from the one before though nothing in it has changed. */
  tells = true;

  #latencies = [];
  #stopped = false;

  /**
   * @param host What a path may know: `server`, `camera` (its id), `sound` (sound.js), `playout` (what pictures wait
   *   by), `rescue(blocked)` (pictures are held back on the way; no WebSocket gets through either), `painted(path)`
   *   (to be told of each picture).
   * @param wish What is asked for.
   */
  constructor(host, wish) {
    this.host = host;
    this.wish = wish;
  }

  get follows() {
    return [];
  }

  get stopped() {
    return this.#stopped;
  }

  start() {}

  stop() {
    this.#stopped = true;
    this.onframe = null;
    this.onstall = null;
  }

  refresh() {}

  /** The <video> that plays the sound along with the picture, null where blocks of sound come beside it. */
  get voice() {
    return null;
  }

  /** A picture is on the screen. `ageMs` is null where its capture time is not known. */
  shown(width, height, ageMs = null) {
    if (this.#stopped) return;
    this.capturedMs = ageMs === null ? 0 : this.host.server.clock.now() - ageMs;
    this.shownMs = performance.now();
    this.frames += 1;
    this.width = width;
    this.height = height;
    if (ageMs !== null && this.#latencies.length < SAMPLES) this.#latencies.push(ageMs);
    this.onframe?.();
    this.host.painted?.(this);
  }

  fail(why) {
    if (!this.#stopped) this.onstall?.(why);
  }

  /** Over plain HTTP: goes to the WebSocket where pictures are held back on the way, or says that they are. */
  async holdsBack(why) {
    const { server, rescue } = this.host;
    if (!(await server.heldBack()) || this.stopped) return;
    rescue(server.dashboard.blocked);
    if (!server.dashboard.blocked) this.fail(why);
  }

  /**
   * {codec, width, height, frames, drops, bytes, quality, latencyMs}; latencyMs is the median since the last call, null
   * where nothing was measured.
   */
  stats() {
    const sorted = this.#latencies.splice(0).sort((a, b) => a - b);
    const { codec, width, height, frames, drops, bytes, quality } = this;
    const latencyMs = sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
    return { codec, width, height, frames, drops, bytes, quality, latencyMs };
  }
}

/** The paths whose pictures come over the dashboard's socket. */
export class SocketPath extends Path {
  /** The form to subscribe to; "" is the usual one, JPEG. */
  form = "";
  returns = true;
  dashboard = null;

  #end = new AbortController();

  start() {
    const { server, camera } = this.host;
    this.dashboard = server.seat(camera);
    this.refresh();
    const { signal } = this.#end;
    const listen = (type, act) => this.dashboard.addEventListener(type, act, { signal });
    listen("form", ({ detail }) => detail.id === camera && this.#formed(detail));
    listen("problem", ({ detail }) => detail.camera === camera && this.fail(detail.message));
    listen("status", () => this.#status());
    this.#status();
  }

  stop() {
    super.stop();
    this.#end.abort();
    if (this.dashboard) this.host.server.unseat(this.dashboard, this.host.camera);
  }

  /** Wants nothing from the socket any more: its pictures come another way. */
  leave() {
    this.#end.abort();
    this.host.server.unseat(this.dashboard, this.host.camera);
    this.dashboard = null;
  }

  get follows() {
    return ["quality", "width", "fps", "sound"];
  }

  refresh() {
    if (!this.dashboard) return;
    const { quality, width, fps } = this.wish;
    const options = {
      ...(this.form && { form: this.form }),
      quality,
      ...(width && { width }),
      ...(fps && { fps }),
      ...(this.listens && { audio: true }),
    };
    this.dashboard.want(this.host.camera, options, (message) => this.#sink(message));
  }

  /** Whether sound is to come too. */
  get listens() {
    return this.wish.sound || this.host.sound.metered;
  }

  /** A picture or fragment has come. */
  take() {}

  /** The form has changed; the next picture is the first of it. */
  formed() {}

  ack(message) {
    this.dashboard?.ack(message);
  }

  #sink(message) {
    this.bytes += message.payload.byteLength;
    if (message.rateHz) this.host.sound.speaker.push(message);
    else this.take(message);
  }

  #formed(detail) {
    this.quality = detail.quality ?? null;
    this.formed(detail);
  }

  /** No socket gets through, while the server answers. */
  blocked() {
    this.fail("Something between this page and the server lets no WebSocket through.");
  }

  #status() {
    if (this.dashboard.status === "gone" && this.dashboard.blocked) this.blocked();
  }
}
