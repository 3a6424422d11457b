// Runs one path, and leads from path to path without the picture ever going black.
//
// Theory of operation. At most two paths run: the `current`, whose picture is shown, and a `candidate`, which becomes
// the current with its first picture; only then is the other stopped. A path fails when it says so, when no new
// picture comes for 3 s (more where its rhythm is slower), or when its first one is not there in time; the clock for that runs only while the camera
// is live and the server answers, since nothing else is the path's fault. Then the best path that did not fail lately
// follows (chooser.js), and the last picture stays until it shows one. While a lesser path runs, a better one is
// tried whenever its rest is over.
//
// What is wished for is compared here and nowhere else. A path that can't follow a wish as it runs is begun anew, and
// stays until that shows a picture; where it can't be, the best path that can takes its place.

const TICK_MS = 250;
const SILENT_S = 3;
// A slow camera is not silent before this many of its own intervals.
const SILENT_INTERVALS = 2.5;
const PRAISE_S = 60;
const PLAYS_MS = 1_500;

export class Director {
  #make;
  #wish;
  #alive;
  #fps;
  #changed;
  #chooser;
  #patience;
  #current = null;
  #candidate = null;
  #timer = 0;
  #beforeMs = 0;

  /**
   * @param options `chooser` (which path is next; it remembers longer than a director lives), `make(name, wish)` (a
   *   Path), `wish()` (what is asked for now: {quality, width, fps, sound}), `alive()` (whether a picture can be
   *   expected), `fps()` (the camera's rate), `changed(path, before)` (the current path is another one; either may be
   *   null), `patience` ({name: {patienceS, silentS}}: seconds until the first picture, and for which a picture may
   *   stand still).
   */
  constructor({ chooser, make, wish, alive, fps, changed, patience }) {
    this.#make = make;
    this.#wish = wish;
    this.#alive = alive;
    this.#fps = fps;
    this.#changed = changed;
    this.#patience = patience;
    this.#chooser = chooser;
  }

  /** Name of the path whose picture is shown, "" before the first. */
  get name() {
    return this.#current?.name ?? "";
  }

  get path() {
    return this.#current?.path ?? null;
  }

  /** Name of the path that is being tried, "" where none is. */
  get trying() {
    return this.#candidate?.name ?? "";
  }

  /** Each path of the order: {name, why}, why being the reason of its last failure. */
  get failures() {
    return this.#chooser.order.map((name) => ({ name, why: this.#chooser.why(name) })).filter(({ why }) => why);
  }

  start() {
    if (this.#timer) return;
    this.#beforeMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#next();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#dropCandidate();
    this.#dropCurrent();
  }

  /** The wishes have changed. */
  refresh() {
    const [current, candidate] = [this.#current, this.#candidate];
    const wish = this.#wish();
    for (const run of [current, candidate]) if (run) run.fits = follow(run.path, wish);
    const twice = current !== null && current.name === candidate?.name;
    if (current && !current.fits) {
      if (!twice || !candidate.fits) this.#again(current.name);
    } else if (twice && !current.path.lost) {
      // It was begun for a wish that was taken back.
      this.#dropCandidate();
    } else if (candidate && !candidate.fits) this.#again(candidate.name);
  }

  /** The server was gone and is back: what can't return by itself is begun anew. */
  returned() {
    if (!this.#timer) return;
    const path = this.#current?.path;
    // What still plays never noticed: only the socket was gone.
    const plays = path && performance.now() - path.shownMs < PLAYS_MS;
    if (path && !path.returns && !plays) {
      path.lost = true;
      this.#again(this.#current.name);
    } else if (!path && !this.#candidate) this.#next();
    for (const run of [this.#candidate, this.#current]) if (run) run.silentS = 0;
  }

  #dropCandidate() {
    const run = this.#candidate;
    this.#candidate = null;
    run?.path.stop();
  }

  #dropCurrent() {
    const run = this.#current;
    this.#current = null;
    if (!run) return;
    run.path.stop();
    this.#changed(null, run.path);
  }

  /** Tries a path; while it has shown nothing, the current one stays. */
  #again(name) {
    this.#dropCandidate();
    const run = { name, path: this.#make(name, this.#wish()), fits: true, silentS: 0, goodS: 0 };
    this.#candidate = run;
    run.path.onframe = () => this.#frame(run);
    run.path.onstall = (why) => this.#fail(run, why);
    run.path.start();
  }

  #next() {
    const name = this.#chooser.best(performance.now() / 1000);
    if (name) this.#again(name);
  }

  #frame(run) {
    run.silentS = 0;
    if (run !== this.#candidate) return;
    this.#candidate = null;
    const before = this.#current;
    this.#current = run;
    this.#changed(run.path, before?.path ?? null);
    before?.path.stop();
  }

  #fail(run, why) {
    if (run !== this.#candidate && run !== this.#current) return;
    this.#chooser.failed(run.name, why, performance.now() / 1000);
    if (run === this.#candidate) this.#dropCandidate();
    else this.#dropCurrent();
    if (!this.#current && !this.#candidate) this.#next();
  }

  #tick() {
    const now = performance.now();
    // A page that was frozen by its browser wakes with a leap, and nobody was silent in between.
    const passedS = Math.min(1, (now - this.#beforeMs) / 1000);
    this.#beforeMs = now;
    if (!this.#alive()) return;
    const fps = this.#fps();
    const limitS = Math.max(SILENT_S, fps > 0 ? SILENT_INTERVALS / fps : 0);
    for (const run of [this.#candidate, this.#current]) {
      if (!run) continue;
      run.silentS += passedS;
      run.goodS += passedS;
      const { patienceS = 0, silentS = 0 } = this.#patience[run.name] ?? {};
      const allowedS = Math.max(limitS, run === this.#candidate ? patienceS : silentS);
      // A path that can't tell an unchanging scene from silence is never silent; it says itself when it broke off.
      if (run.silentS > allowedS && (run === this.#candidate || run.path.tells)) {
        const what = run === this.#candidate ? "No picture came" : "The picture stood still";
        this.#fail(run, `${what} for ${allowedS.toFixed(0)} s.`);
      } else if (run === this.#current && run.fits && run.goodS > PRAISE_S) this.#chooser.praise(run.name);
    }
    if (this.#candidate) return;
    const better = this.#current?.fits
      ? this.#chooser.better(this.#current.name, now / 1000)
      : this.#chooser.best(now / 1000);
    if (better) this.#again(better);
  }
}

/** Has a path follow a wish; returns whether it can, as it runs. */
function follow(path, wish) {
  const changed = Object.keys(wish).filter((name) => wish[name] !== path.wish[name]);
  if (!changed.every((name) => path.follows.includes(name))) return false;
  if (changed.length) {
    path.wish = wish;
    path.refresh();
  }
  return true;
}
