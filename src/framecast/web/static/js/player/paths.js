// The table of paths, and which of them suit this browser and network.

import { ImgPath } from "./img.js";
import { JpegPath } from "./jpeg.js";

const INSECURE = "it needs a secure page (HTTPS or localhost)";

/** Of each path: its title, the class, why this browser can't ("" if it can), seconds until its first picture. */
export const PATHS = {
  jpeg: { title: "JPEG over WebSocket", make: JpegPath, missing: () => "", patienceS: 4 },
  img: { title: "MJPEG", make: ImgPath, missing: () => "", patienceS: 5 },
};

export { INSECURE };

/**
 * The paths to use, best first, and those that can't be used here: {order: [name], missing: [{name, why}]}.
 *
 * @param wanted "auto", or names separated by spaces: these and no others, in this order.
 * @param group Whether many pictures play in step: then only paths whose instant is in our hand, and that share
 *   one connection.
 */
export function choose(wanted, group) {
  const asked = wanted.split(/\s+/).filter((name) => PATHS[name]);
  const names = asked.length ? asked : group ? ["webcodecs", "jpeg"] : automatic();
  const known = names.filter((name) => PATHS[name]);
  const missing = known.map((name) => ({ name, why: PATHS[name].missing() })).filter(({ why }) => why);
  return { order: known.filter((name) => !missing.some((other) => other.name === name)), missing };
}

// The decoder in the page comes first: shown as soon as decoded, steered by what was shown. Where packets get lost,
// a WebSocket waits for each of them, and WebRTC does not.
function automatic() {
  const lossy = navigator.connection?.type === "cellular";
  return lossy ? ["webrtc", "webcodecs", "mse", "jpeg", "img"] : ["webcodecs", "webrtc", "mse", "jpeg", "img"];
}
