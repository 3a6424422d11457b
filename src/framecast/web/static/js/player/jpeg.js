// JPEG over the WebSocket: works in every browser and costs the server nothing, and ten times the bandwidth of H.264.

import { h } from "../dom.js";
import { JPEG, VIDEO } from "../media.js";
import { Picture } from "../picture.js";
import { SocketPath } from "./path.js";

export class JpegPath extends SocketPath {
  element = h("canvas");
  codec = "JPEG";

  #picture = null;

  start() {
    this.#picture = new Picture(this.element, {
      clock: this.host.server.clock,
      playout: this.host.playout,
      ack: (frame) => this.ack(frame),
      onpaint: (frame, ageMs) => {
        const { width, height } = this.#picture.shown;
        this.drops = this.#picture.skipped + this.#picture.broken;
        this.shown(width, height, ageMs);
      },
    });
    super.start();
  }

  stop() {
    super.stop();
    this.#picture?.close();
  }

  take(message) {
    if (message.kind === VIDEO && message.codec === JPEG) this.#picture.push(message);
    else this.ack(message);
  }
}
