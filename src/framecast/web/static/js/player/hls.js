// HLS, where the browser plays it by itself: seconds late, and the only way to video on an old iPhone whose network
// lets neither UDP nor sockets through. Capture times are known only to Safari (`getStartDate`).

import { Path } from "./path.js";
import { freeze, keepPlaying, liveVideo, streamQuery, watchFrames } from "./video.js";

const TYPE = "application/vnd.apple.mpegurl";

/** Whether this browser can. */
export const hasHls = document.createElement("video").canPlayType(TYPE) !== "";

export class HlsPath extends Path {
  codec = "H.264";
  late = true;

  #unwatch = null;
  #unkeep = null;

  start() {
    const { server, camera } = this.host;
    this.element = liveVideo(this.wish.sound);
    this.element.addEventListener("error", () => this.fail(`The player gave up: ${this.element.error?.message}`));
    this.#unwatch = watchFrames(this.element, (metadata) => this.#painted(metadata));
    this.#unkeep = keepPlaying(this.element, () => this.host.sound.refuse());
    const address = server.openUrl(`api/v1/cameras/${encodeURIComponent(camera)}/hls/index.m3u8`);
    address.searchParams.set("container", "mp4");
    for (const [name, value] of streamQuery(this.wish)) address.searchParams.set(name, value);
    this.element.src = address.href;
    this.element.play().catch(() => {});
  }

  stop() {
    super.stop();
    this.#unwatch?.();
    this.#unkeep?.();
    freeze(this.element, this.element.videoWidth, this.element.videoHeight);
    this.element.removeAttribute("src");
    this.element.load();
  }

  get voice() {
    return this.wish.sound ? this.element : null;
  }

  #painted({ mediaTime, width, height }) {
    const beganMs = this.element.getStartDate?.().getTime();
    const ageMs = beganMs ? this.host.server.clock.now() - beganMs - mediaTime * 1000 : null;
    this.shown(width, height, ageMs);
  }
}
