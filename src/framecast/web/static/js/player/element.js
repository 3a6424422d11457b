// <framecast-player>: the element itself. It watches a camera, keeps a director running while somebody sees the
// picture, and shows what that finds. What a visitor can do with it is in actions.js.

import { setAttribute } from "../dom.js";
import { Playout } from "../playout.js";
import { Actions } from "./actions.js";
import { Chooser } from "./chooser.js";
import { Controls } from "./controls.js";
import { Director } from "./director.js";
import { Fit } from "./fit.js";
import { HELD } from "./held.js";
import { choose, PATHS } from "./paths.js";
import { Rates, summary } from "./rates.js";
import { serverAt } from "./server.js";
import { Sound } from "./sound.js";
import { Talk } from "./talk.js";
import { Watch } from "./watch.js";
import { PictureWindow } from "./window.js";

const RENDER_MS = 500;
// The longest that a timer waits, 24 days.
const WHILE_HELD_MS = 2 ** 31 - 1;
const HELD_SAID_MS = 12_000;
const REST_S = 20;
// Pictures just below the fold are fetched before they are scrolled into view.
const AHEAD = "160px";
// A picture is not called still before so long, nor before this many of the camera's own intervals.
const STILL_MS = 2_000;
const STILL_INTERVALS = 2.5;
const STOPPED = { title: "Stopped", text: "" };
const ANEW = ["camera", "src", "key", "path", "group", "meter", "retry"];

const title = (path) => PATHS[path]?.title ?? path;

export class FramecastPlayer extends Actions {
  static observedAttributes = [...ANEW, "quality", "fps", "controls", "talk", "boxes"];

  #watch = null;
  #director = null;
  #chooser = null;
  #playout = null;
  #choice = { order: [], missing: [] };
  #heard = { on: false, volume: 1 };
  #rates = new Rates();
  #stats = null;
  #mayTalk = false;
  #timer = 0;
  #seen = false;
  #paused = false;
  #fit = new Fit(this, {
    sourcePx: () => this.#watch?.camera?.video?.width ?? 0,
    changed: () => this.#director?.refresh(),
  });
  #observers = [];

  /** What is shown: "off", "paused", "connecting", "gone", "denied", "missing", or the camera's own state. */
  get state() {
    if (!this.#watch) return "off";
    return this.#paused ? "paused" : this.#watch.state;
  }

  /** Numbers of the last second (docs/player.md lists them), null before the first. */
  get stats() {
    return this.#stats;
  }

  /** The canvas, video or img that shows the picture, null before the first. */
  get surface() {
    return this.view.surface;
  }

  /** Server time at which the picture that is shown was captured, in Unix ms; null where it is not known. */
  get capturedMs() {
    return this.#director?.path?.capturedMs || this.#rates.capturedMs;
  }

  get server() {
    return this.#watch?.server ?? null;
  }

  connectedCallback() {
    this.#timer = setInterval(() => this.render(), RENDER_MS);
    // What happened between two calls comes as several entries, the newest last.
    const seen = (entries) => {
      this.#seen = entries.at(-1).isIntersecting;
      this.run();
    };
    const inView = new IntersectionObserver(seen, { rootMargin: AHEAD });
    inView.observe(this);
    const sizes = new ResizeObserver(() => this.#fit.look());
    sizes.observe(this);
    this.#observers = [inView, sizes];
    this.#dress();
    this.#join();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    for (const observer of this.#observers) observer.disconnect();
    this.#seen = false;
    this.#part();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (ANEW.includes(name)) {
      this.#part();
      this.#join();
    } else if (name === "controls") this.#dress();
    else this.#director?.refresh();
    this.render();
  }

  /** Begins, unless it runs. Pictures are fetched only while the element is in somebody's view. */
  start() {
    this.#paused = false;
    this.run();
    this.render();
  }

  /** Ends; the last picture stays. */
  stop() {
    this.#paused = true;
    this.run();
    this.render();
  }

  // --- joining and leaving -------------------------------------------------------------------------------------

  #join() {
    if (!this.camera) return;
    const server = serverAt(this.getAttribute("src") ?? "", this.getAttribute("key") ?? "");
    this.#playout = this.hasAttribute("group") ? server.playout : new Playout(server.clock);
    this.#choice = choose(this.getAttribute("path") ?? "auto", this.hasAttribute("group"));
    this.#chooser = new Chooser(this.#choice.order, Number(this.getAttribute("retry")) || REST_S);
    this.hearing = new Sound({
      clock: server.clock,
      playout: this.#playout,
      metered: this.hasAttribute("meter"),
      level: (value) => this.#level(value),
      said: (text) => this.view.say(text),
      refused: () => (this.muted = true),
    });
    this.hearing.volume = this.#heard.volume;
    if (this.#heard.on) this.hearing.turn(true);
    this.talking = new Talk({
      server,
      camera: this.camera,
      changed: () => this.#talked(),
      said: (text) => this.view.say(text),
    });
    this.#watch = new Watch(server, this.camera, {
      changed: () => this.#changed(),
      returned: () => {
        this.#chooser.forgive();
        this.#director?.returned();
        this.#askRights();
      },
    });
    this.see(true);
    document.addEventListener("visibilitychange", this.#visible);
    this.#changed();
    this.#askRights();
    this.run();
  }

  #part() {
    document.removeEventListener("visibilitychange", this.#visible);
    if (!this.#watch) return;
    this.closeWindow();
    this.talking.stop();
    this.see(false);
    this.#halt();
    this.#heard = { on: this.hearing.on, volume: this.hearing.volume };
    this.hearing.close();
    if (this.#playout !== this.server.playout) this.#playout.close();
    this.#watch.close();
    this.hearing = null;
    this.talking = null;
    this.#watch = null;
  }

  #visible = () => this.run();

  async #askRights() {
    if (!this.bar || this.getAttribute("talk") === "off") return;
    try {
      const { rights } = await this.server.session();
      this.#mayTalk = rights.includes("operate");
      this.#showControls();
    } catch {
      // Asked again when the server is back.
    }
  }

  #changed() {
    const { video } = this.#watch?.camera ?? {};
    if (video) this.view.shape(video.width, video.height);
    this.named(this.#watch?.camera?.name ?? this.camera);
    this.#fit.look();
    this.render();
  }

  // --- running -------------------------------------------------------------------------------------------------

  /** Runs or rests, as it should. */
  run() {
    const watched = (this.#seen && !document.hidden) || this.windowOpen;
    const wanted = this.#watch !== null && !this.#paused && watched;
    if (!wanted) this.#halt();
    else if (!this.#director) this.#direct();
  }

  #direct() {
    const watch = this.#watch;
    this.#director = new Director({
      chooser: this.#chooser,
      make: (name, wish) => new PATHS[name].make(this.#host(), wish),
      wish: () => this.#wish(),
      // A camera that rests is woken by a path that gets through.
      alive: () => watch.state === "live" || watch.state === "idle",
      fps: () => this.#fps,
      changed: (path) => this.#led(path),
      patience: PATHS,
    });
    this.#director.start();
  }

  #halt() {
    if (!this.#director) return;
    this.#director.stop();
    this.#director = null;
    this.render();
  }

  #host() {
    const { camera, hearing: sound } = this;
    const painted = (path) => path === this.#director?.path && this.seeing?.painted(path);
    const rescue = (blocked) => this.#rescue(blocked);
    return { server: this.server, camera, playout: this.#playout, sound, rescue, painted };
  }

  /** Pictures are held back on the way. Whoever wanted MJPEG alone gets what comes in time, too. */
  #rescue(blocked) {
    this.#chooser.allow("jpeg");
    const instead = blocked ? "Pictures come late, and no WebSocket gets through either." : "Using the WebSocket instead.";
    this.view.say(`${HELD.title}. ${instead}`, HELD_SAID_MS);
  }

  #wish() {
    const width = this.quality === "auto" ? this.#fit.askedPx : 0;
    const fps = Number(this.getAttribute("fps")) || 0;
    return Object.freeze({ quality: this.quality, width, fps, sound: this.hearing.on });
  }

  /** Another path plays; null: none does, and its last picture stays. */
  #led(path) {
    if (path) {
      this.view.swap(path.element);
      this.followWindow(path.element);
    }
    this.#rates.reset(path);
    this.hearing.follow(path?.voice ?? null);
    this.tell("pathchange", { path: this.#director?.name ?? "" });
    this.render();
  }

  refresh() {
    this.#director?.refresh();
    this.render();
  }

  // --- showing -------------------------------------------------------------------------------------------------

  render() {
    const { state } = this;
    const path = this.#director?.path ?? null;
    const shownMs = path?.shownMs || this.#rates.shownMs;
    const sinceMs = shownMs === null ? null : performance.now() - shownMs;
    const still = sinceMs > Math.max(STILL_MS, (STILL_INTERVALS * 1000) / this.#fps) && (path?.tells ?? true);
    const stuck = state === "live" ? this.#stuck() : null;
    const seen = this.#director !== null && this.#rates.frames > 0;
    const live = state === "live" && seen && !still && !stuck;
    const ageMs = this.capturedMs && this.server ? this.server.clock.now() - this.capturedMs : sinceMs;
    // A wall says once that its server is gone, and not on every tile.
    const quiet = state === "gone" && this.hasAttribute("group");
    const known = stuck ?? (seen && state === "live" ? this.#between() : this.#words(state));
    const words = quiet ? { title: "", text: "" } : known;
    this.view.state({ live, title: words.title, why: words.text, ageMs });
    if (this.getAttribute("state") !== state) {
      setAttribute(this, "state", state);
      this.tell("statechange", { state });
    }
    const second = this.#rates.second(this.#director?.path ?? null);
    if (second) this.#report(second);
    this.hearing?.look(live && this.#director.path?.wish.sound);
    this.seeing?.turn(this.boxes && this.#director !== null, this.getAttribute("boxes") === "all");
    this.#showControls();
  }

  #words(state) {
    if (state === "paused") return STOPPED;
    return this.#watch?.words(state) ?? { title: "No camera", text: "" };
  }

  /** What to say of a picture that stands still while the camera goes on. */
  #between() {
    const { trying } = this.#director;
    return { title: "No new picture", text: trying ? `Trying ${title(trying)}.` : "" };
  }

  /** The rate at which pictures can be expected; Infinity where it is not known. */
  get #fps() {
    return Math.min(this.#watch?.numbers?.fps || Infinity, Number(this.getAttribute("fps")) || Infinity);
  }

  /** What to say while no path is left to try, null otherwise. */
  #stuck() {
    if (!this.#director || this.#director.name || this.#director.trying) return null;
    const why = this.#failures().map((failure) => `${failure.title}: ${failure.why}`);
    return { title: "No picture", text: why.join(" ") };
  }

  #failures() {
    const all = [...this.#choice.missing, ...(this.#director?.failures ?? [])];
    return all.map(({ name, why }) => ({ path: name, title: title(name), why }));
  }

  #report(second) {
    const { name, trying } = this.#director ?? { name: "", trying: "" };
    this.#stats = {
      ...second,
      state: this.state,
      connection: this.server?.dashboard.status ?? "off",
      path: name,
      title: title(name) || "–",
      trying: trying && trying !== name ? title(trying) : "",
      rttMs: this.server?.clock.rttMs ?? null,
      sound: this.hearing?.text ?? "",
      failures: this.#failures(),
    };
    this.view.numbers(this.#stats);
    this.bar?.line(summary(this.#stats));
    this.tell("stats", this.#stats);
  }

  #dress() {
    const wanted = this.getAttribute("controls") !== "none";
    if (wanted && !this.bar) {
      this.bar = new Controls(this);
      this.frame.append(this.bar.element);
      if (!this.hasAttribute("tabindex")) this.tabIndex = 0;
    } else if (!wanted && this.bar) {
      this.bar.element.remove();
      this.bar = null;
    }
  }

  #showControls() {
    const { hearing: sound, talking: talk } = this;
    if (!this.bar || !sound) return;
    this.bar.show({
      sound: sound.on,
      metered: sound.flows,
      talk: talk.state,
      heard: talk.heard,
      canTalk: this.#mayTalk && this.getAttribute("talk") !== "off",
      canPip: PictureWindow.possible,
      pip: this.windowOpen,
      boxes: this.boxes,
      numbers: this.view.numbersShown,
      quality: this.quality,
      qualityText: this.#stats?.qualityText ?? "",
    });
    if (!sound.flows) this.bar.level(0);
  }

  #level(value) {
    this.bar?.level(value);
    this.tell("level", { level: value });
  }

  get #talkWords() {
    if (this.talking.held) return "This device holds the microphone up.";
    return this.talking.heard ? "You are heard. Let go to end." : "No device is listening.";
  }

  #talked() {
    if (!this.talking) return;
    const talking = this.talking.state === "talking";
    this.hearing.duck(talking);
    this.view.say(talking ? this.#talkWords : "", WHILE_HELD_MS);
    this.tell("talkchange", { state: this.talking.state });
    this.#showControls();
  }
}

customElements.define("framecast-player", FramecastPlayer);
