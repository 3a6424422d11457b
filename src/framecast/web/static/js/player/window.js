// Where else the picture may go: the whole screen, a window of its own, a file.

import { h } from "../dom.js";

const REVOKE_MS = 10_000;

/** Full screen, or back; rejects where it is refused. */
export async function fullScreen(element) {
  if (document.fullscreenElement) await document.exitFullscreen();
  // An iPhone gives full screen to videos only; there the picture fills the page instead.
  else if (element.requestFullscreen) await element.requestFullscreen();
  else element.toggleAttribute("filled");
}

/** Offers a picture as a file named after the camera and the time. */
export function save(blob, camera) {
  const href = URL.createObjectURL(blob);
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  h("a", { href, download: `${camera}-${stamp}.jpg` }).click();
  setTimeout(() => URL.revokeObjectURL(href), REVOKE_MS);
}

/** A picture in a window of its own, above all others. */
export class PictureWindow {
  #video;
  #own;
  #closed;

  static get possible() {
    return document.pictureInPictureEnabled ?? false;
  }

  /**
   * Opens it; has to be called from a click or a key.
   *
   * @param surface The canvas, video or img of now. @param closed Called when it is gone, whoever closed it.
   */
  static async of(surface, closed) {
    let video = surface;
    const own = surface.localName !== "video";
    if (own) {
      if (!surface.captureStream) throw new Error("this path has no picture that can be passed on.");
      video = h("video", { muted: true, srcObject: surface.captureStream() });
    }
    try {
      if (own) await video.play();
      await video.requestPictureInPicture();
    } catch (error) {
      if (own) for (const track of video.srcObject.getTracks()) track.stop();
      throw error;
    }
    return new PictureWindow(video, own, closed);
  }

  constructor(video, own, closed) {
    this.#video = video;
    this.#own = own;
    this.#closed = closed;
    video.addEventListener("leavepictureinpicture", () => this.#end(), { once: true });
  }

  /** Another element shows the picture: the window shows that, or closes where it can't. */
  follow(surface) {
    const stream = surface.srcObject ?? surface.captureStream?.();
    if (!this.#own || !stream) return this.close();
    this.#video.srcObject = stream;
  }

  close() {
    // What left its page has closed it already. The document knows it by the player around it, if at all.
    if (this.#video) document.exitPictureInPicture().catch(() => {});
    this.#end();
  }

  #end() {
    if (!this.#video) return;
    if (this.#own) {
      for (const track of this.#video.srcObject.getTracks()) track.stop();
      this.#video.srcObject = null;
    }
    this.#video = null;
    this.#closed();
  }
}
