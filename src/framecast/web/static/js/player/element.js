// <framecast-player>: the element itself. It joins a server, keeps a director running while the picture is seen, and
// says what it shows.

import { setAttribute } from "../dom.js";
import { renditionWidth } from "../layout.js";
import { Playout } from "../playout.js";
import { explain, stateOf } from "../words.js";
import { Controls, KEYS, QUALITIES } from "./controls.js";
import { Director } from "./director.js";
import { choose, PATHS } from "./paths.js";
import { Rates, summary } from "./rates.js";
import { serverAt } from "./server.js";
import { dress } from "./style.js";
import { View } from "./view.js";
import { fullScreen, PictureWindow, save } from "./window.js";

const RENDER_MS = 500;
const RESIZE_MS = 150;
const REST_S = 20;
// Pictures just below the fold are fetched before they are scrolled into view.
const AHEAD = "160px";
const NO_CAMERA = { title: "No such camera", text: "The server has no camera with this id." };
const SERVER = {
  off: { title: "Off", text: "" },
  connecting: { title: "Connecting", text: "Waiting for the server." },
  gone: { title: "Server gone", text: "The Framecast server does not answer. The picture returns by itself." },
  denied: { title: "No permission", text: "The server shows this camera only to those who hold a token." },
};

export class FramecastPlayer extends HTMLElement {
  static observedAttributes = ["camera", "src", "key", "path", "quality", "fps", "controls", "group", "retry"];

  #server = null;
  #camera = null;
  #numbers = null;
  #director = null;
  #playout = null;
  #choice = { order: [], missing: [] };
  #view = new View(this);
  #controls = null;
  #frame = document.createElement("div");
  #rates = new Rates();
  #stats = null;
  #window = null;
  #ends = null;
  #timer = 0;
  #seen = false;
  #paused = false;
  #widthPx = 0;
  #askedPx = 0;
  #resizing = 0;
  #observers = [];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    dress(root);
    this.#frame.className = "player";
    this.#frame.append(this.#view.element);
    root.append(this.#frame);
    this.addEventListener("keydown", (event) => this.#key(event));
    this.addEventListener("keyup", (event) => event.key === "t" && this.stopTalking());
    for (const type of ["pointermove", "pointerdown", "keydown"])
      this.addEventListener(type, () => this.#controls?.stir(this.#frame));
  }

  // --- attributes and properties -------------------------------------------------------------------------------

  /** Id of the camera. */
  get camera() {
    return this.getAttribute("camera") ?? "";
  }

  set camera(id) {
    this.setAttribute("camera", id);
  }

  get quality() {
    const asked = this.getAttribute("quality") ?? "auto";
    return QUALITIES.some(([name]) => name === asked) ? asked : "auto";
  }

  set quality(name) {
    this.setAttribute("quality", name);
  }

  /** What is shown: "off", "connecting", "gone", "denied", "missing", or the camera's own state. */
  get state() {
    if (!this.#server) return "off";
    const { status, blocked } = this.#server.dashboard;
    if (blocked && status === "gone") return this.#director?.path ? "live" : "connecting";
    if (status !== "open") return status;
    if (!this.#camera) return "missing";
    return stateOf(this.#camera);
  }

  /** Numbers of the last second; docs/player.md lists them. */
  get stats() {
    return this.#stats;
  }

  /** The canvas, video or img that shows the picture, null before the first. */
  get surface() {
    return this.#view.surface;
  }

  /** Server time at which the picture that is shown was captured, in Unix ms; null where it is not known. */
  get capturedMs() {
    return this.#director?.path?.capturedMs || this.#rates.capturedMs;
  }

  connectedCallback() {
    this.#timer = setInterval(() => this.#render(), RENDER_MS);
    const inView = new IntersectionObserver(([entry]) => this.#see(entry.isIntersecting), { rootMargin: AHEAD });
    inView.observe(this);
    const sizes = new ResizeObserver(() => this.#resized());
    sizes.observe(this);
    this.#observers = [inView, sizes];
    this.#dressControls();
    this.#join();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    for (const observer of this.#observers) observer.disconnect();
    this.#seen = false;
    this.#window?.close();
    this.#part();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "controls") return this.#dressControls();
    if (name === "quality" || name === "fps") {
      this.#director?.refresh();
      return this.#render();
    }
    this.#part();
    this.#join();
  }

  // --- the server ----------------------------------------------------------------------------------------------

  #join() {
    if (!this.camera) return this.#render();
    this.#server = serverAt(this.getAttribute("src") ?? "", this.getAttribute("key") ?? "");
    this.#playout = this.hasAttribute("group") ? this.#server.playout : new Playout(this.#server.clock);
    this.#ends = new AbortController();
    const { signal } = this.#ends;
    const { dashboard } = this.#server;
    const listen = (type, act) => dashboard.addEventListener(type, act, { signal });
    const known = () => this.#known(dashboard.cameras.get(this.camera) ?? null);
    listen("status", () => this.#status());
    listen("cameras", known);
    listen("camera", ({ detail }) => detail.id === this.camera && this.#known(detail));
    listen("removed", ({ detail }) => detail.id === this.camera && this.#known(null));
    listen("stats", ({ detail }) => detail[this.camera] && this.#measured(detail[this.camera]));
    document.addEventListener("visibilitychange", () => this.#run(), { signal });
    this.#server.join();
    known();
    this.#run();
  }

  #part() {
    this.#ends?.abort();
    this.#halt();
    this.#server?.leave();
    this.#server = null;
    this.#camera = null;
    this.#numbers = null;
  }

  #known(camera) {
    // A copy: the page keeps and changes its own.
    this.#camera = camera && { ...camera };
    if (camera?.video) this.#view.shape(camera.video.width, camera.video.height);
    this.#resized();
    this.#render();
  }

  #measured(numbers) {
    this.#numbers = numbers;
    const { state, reason = "", width, height } = numbers;
    if (!this.#camera) return;
    const turned = width && width !== this.#camera.video?.width;
    if (turned) this.#camera.video = { ...this.#camera.video, width, height };
    if (state !== this.#camera.state || reason !== this.#camera.reason || turned) {
      this.#known({ ...this.#camera, state, reason });
    }
  }

  #status() {
    if (this.#server.dashboard.status === "open") this.#director?.returned();
    this.#render();
  }

  // --- running -------------------------------------------------------------------------------------------------

  /** Begins, unless it runs. Pictures are fetched only while the element is in view of somebody. */
  start() {
    this.#paused = false;
    this.#run();
  }

  /** Ends; the last picture stays. */
  stop() {
    this.#paused = true;
    this.#run();
  }

  #see(seen) {
    this.#seen = seen;
    this.#run();
  }

  #run() {
    const watched = (this.#seen && !document.hidden) || this.#window?.open;
    const wanted = this.#server !== null && !this.#paused && watched;
    if (!wanted) this.#halt();
    else if (!this.#director) this.#direct();
  }

  #direct() {
    this.#choice = choose(this.getAttribute("path") ?? "auto", this.hasAttribute("group"));
    const patience = Object.fromEntries(Object.entries(PATHS).map(([name, { patienceS }]) => [name, patienceS]));
    this.#director = new Director({
      order: this.#choice.order,
      make: (name) => new PATHS[name].make(this.#host()),
      alive: () => this.state === "live" || this.#server.dashboard.blocked,
      fps: () => Math.min(this.#numbers?.fps || Infinity, Number(this.getAttribute("fps")) || Infinity),
      changed: (path) => this.#changed(path),
      patience,
      restS: Number(this.getAttribute("retry")) || REST_S,
    });
    this.#director.start();
  }

  #halt() {
    this.#director?.stop();
    this.#director = null;
    this.#render();
  }

  #host() {
    const player = this;
    return {
      server: this.#server,
      camera: this.camera,
      playout: this.#playout,
      speaker: null,
      get sound() {
        return false;
      },
      wish: () => player.#wish(),
    };
  }

  #wish() {
    const { quality } = this;
    return {
      quality,
      width: quality === "auto" ? this.#askedPx : 0,
      fps: Number(this.getAttribute("fps")) || 0,
    };
  }

  #changed(path) {
    if (path) this.#view.swap(path.element);
    this.#rates.reset(path);
    this.#tell("pathchange", { path: this.#director?.name ?? "" });
    this.#render();
  }

  /** Notes how large the picture is drawn: a small one is asked for smaller. */
  #resized() {
    clearTimeout(this.#resizing);
    const settle = () => {
      this.#widthPx = this.clientWidth;
      const sourcePx = this.#camera?.video?.width ?? 0;
      const shownPx = Math.round(this.#widthPx * devicePixelRatio);
      // While the size is not known yet (no picture ever came), what was asked before stays.
      const askedPx = sourcePx && shownPx ? renditionWidth(shownPx, sourcePx) : this.#askedPx;
      if (askedPx === this.#askedPx) return;
      this.#askedPx = askedPx;
      this.#director?.refresh();
    };
    if (this.#widthPx) this.#resizing = setTimeout(settle, RESIZE_MS);
    else settle();
  }

  // --- what it shows -------------------------------------------------------------------------------------------

  #render() {
    const { state } = this;
    const live = state === "live" && this.#director !== null && this.#rates.frames > 0;
    // A wall says once that its server is gone, and not on every tile.
    const quiet = state === "gone" && this.hasAttribute("group");
    const words = quiet ? { title: "", text: "" } : SERVER[state] ?? (state === "missing" ? NO_CAMERA : explain(this.#camera, state));
    const waiting = state === "live" && !live ? { title: "Connecting", text: "Waiting for the first picture." } : words;
    const ageMs = this.capturedMs === null || !this.#server ? null : this.#server.clock.now() - this.capturedMs;
    this.#view.state({ live, title: waiting.title, why: waiting.text, ageMs });
    if (this.getAttribute("state") !== state) {
      setAttribute(this, "state", state);
      this.#tell("statechange", { state });
    }
    const second = this.#rates.second(this.#director?.path ?? null);
    if (second) this.#report(second);
    this.#showControls();
  }

  #report(second) {
    const { name, trying, failures } = this.#director ?? { name: "", trying: "", failures: [] };
    const title = (path) => PATHS[path]?.title ?? path;
    const all = [...this.#choice.missing, ...failures];
    this.#stats = {
      ...second,
      state: this.state,
      connection: this.#server ? this.#server.dashboard.status : "off",
      path: name,
      title: title(name) || "–",
      trying: trying && trying !== name ? title(trying) : "",
      rttMs: this.#server?.clock.rttMs ?? null,
      failures: all.map((each) => ({ path: each.name, title: title(each.name), why: each.why })),
    };
    this.#view.numbers(this.#stats);
    this.#controls?.line(summary(this.#stats));
    this.#tell("stats", this.#stats);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // --- controls ------------------------------------------------------------------------------------------------

  #dressControls() {
    const wanted = this.getAttribute("controls") !== "none";
    if (wanted && !this.#controls) {
      this.#controls = new Controls(this);
      this.#frame.append(this.#controls.element);
      if (!this.hasAttribute("tabindex")) this.tabIndex = 0;
    } else if (!wanted && this.#controls) {
      this.#controls.element.remove();
      this.#controls = null;
    }
    this.#render();
  }

  #showControls() {
    this.#controls?.show({
      hasSound: false,
      sound: false,
      metered: false,
      talk: "",
      talkOff: "",
      canTalk: false,
      canPip: PictureWindow.possible,
      pip: this.#window?.open ?? false,
      numbers: this.#view.numbersShown,
      quality: this.quality,
      qualityText: this.#stats?.qualityText ?? "",
    });
  }

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.#controls) return;
    if (event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]")) return;
    const row = KEYS.find(({ keys }) => keys.includes(event.key));
    if (!row) return;
    event.preventDefault();
    row.run(this, event);
  }

  toggleSound() {}

  startTalking() {}

  stopTalking() {}

  nextQuality() {
    const names = QUALITIES.map(([name]) => name);
    this.quality = names[(names.indexOf(this.quality) + 1) % names.length];
    this.#view.say(`Quality: ${QUALITIES.find(([name]) => name === this.quality)[1]}`);
  }

  toggleNumbers() {
    this.#view.showNumbers(!this.#view.numbersShown);
    if (this.#stats) this.#view.numbers(this.#stats);
    this.#showControls();
  }

  /** The newest picture as a Blob, as the camera took it; raises ApiError. */
  async snapshot() {
    const path = `api/v1/cameras/${encodeURIComponent(this.camera)}/snapshot.jpg`;
    return (await this.#server.fetch(path)).blob();
  }

  /** Saves the newest picture as a file. */
  async saveSnapshot() {
    try {
      save(await this.snapshot(), this.camera);
    } catch (error) {
      this.#view.say(`No snapshot. ${error.message}`);
    }
  }

  toggleFullScreen() {
    fullScreen(this);
    this.#controls?.stir(this.#frame);
  }

  /** Opens the picture in a window of its own, or closes that. */
  async togglePictureInPicture() {
    if (this.#window?.open) return this.#window.close();
    const { dashboard } = this.#server ?? {};
    if (!dashboard || !this.surface) return this.#view.say("There is no picture yet.");
    try {
      this.#window = await PictureWindow.of(this.surface, () => {
        dashboard.keepAwake(false);
        this.#window = null;
        this.#run();
      });
      dashboard.keepAwake(true);
    } catch (error) {
      this.#view.say(`No picture in picture: ${error.message}`);
    }
    this.#showControls();
  }
}

customElements.define("framecast-player", FramecastPlayer);
