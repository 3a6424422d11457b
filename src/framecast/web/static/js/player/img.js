// MJPEG in an <img>: the last resort, since a browser tells next to nothing about it. Neither capture times nor
// lost pictures are known; frames are found by looking whether the picture has changed.

import { h } from "../dom.js";
import { HELD } from "./held.js";
import { Path } from "./path.js";
import { freeze } from "./video.js";

const LOOK_MS = 40;
const GLANCE_PX = 24;

export class ImgPath extends Path {
  element = h("img", { alt: "", decoding: "async" });
  codec = "JPEG";
  tells = false;

  #timer = 0;
  #glance = null;
  #before = null;

  /** It has none, on or off. */
  get follows() {
    return ["sound"];
  }

  start() {
    const { server, camera } = this.host;
    const { quality, width, fps } = this.wish;
    const address = server.openUrl(`api/v1/cameras/${encodeURIComponent(camera)}/stream.mjpeg`);
    // Told, and not left to the guess by the request's headers, which plain HTTP lacks (docs/protocol.md).
    address.searchParams.set("advance", "1");
    const asked = Object.entries({ quality, width, fps }).filter(([, value]) => value);
    for (const [name, value] of asked) address.searchParams.set(name, value);
    this.element.addEventListener("error", () => this.fail("The picture stream broke off."));
    // To be read for changes a picture of another server has to come with its permission.
    if (!server.own) this.element.crossOrigin = "use-credentials";
    this.element.src = address.href;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.holdsBack(`${HELD.title}: it goes over the WebSocket instead.`);
  }

  stop() {
    super.stop();
    clearInterval(this.#timer);
    freeze(this.element, this.element.naturalWidth, this.element.naturalHeight);
    this.element.removeAttribute("src");
  }

  #look() {
    const { naturalWidth: width, naturalHeight: height } = this.element;
    if (!width || document.hidden) return;
    const canvas = { width: GLANCE_PX, height: GLANCE_PX };
    this.#glance ??= h("canvas", canvas).getContext("2d", { willReadFrequently: true });
    this.#glance.drawImage(this.element, 0, 0, GLANCE_PX, GLANCE_PX);
    const pixels = new Uint32Array(this.#glance.getImageData(0, 0, GLANCE_PX, GLANCE_PX).data.buffer);
    if (this.#before?.every((pixel, index) => pixel === pixels[index])) return;
    this.#before = pixels;
    this.shown(width, height);
  }
}
