// The table of paths, and which of them suit this browser and network.

import { hasHls, HlsPath } from "./hls.js";
import { ImgPath } from "./img.js";
import { JpegPath } from "./jpeg.js";
import { hasMediaSource, MsePath } from "./mse.js";
import { WebCodecsPath } from "./webcodecs.js";
import { WebRtcPath } from "./webrtc.js";

const need = (there, secure = false) => {
  if (there) return "";
  return secure && !isSecureContext ? "It needs a secure page (HTTPS or localhost)." : "This browser has none.";
};

/**
 * Of each path: its title, the class, why this browser can't ("" if it can), seconds until its first picture, and
 * those for which it may stand still, where that is more than for any other.
 */
export const PATHS = {
  webcodecs: {
    title: "WebCodecs",
    make: WebCodecsPath,
    missing: () => need("VideoDecoder" in globalThis, true),
    patienceS: 5,
  },
  webrtc: {
    title: "WebRTC",
    make: WebRtcPath,
    missing: () => need("RTCPeerConnection" in globalThis),
    patienceS: 8,
  },
  mse: { title: "MSE", make: MsePath, missing: () => need(hasMediaSource), patienceS: 6 },
  jpeg: { title: "JPEG over WebSocket", make: JpegPath, missing: () => "", patienceS: 4 },
  // It gets two seconds at once: a segment that comes one late has the picture stand still for as long.
  hls: { title: "HLS", make: HlsPath, missing: () => need(hasHls), patienceS: 12, silentS: 8 },
  img: { title: "MJPEG", make: ImgPath, missing: () => "", patienceS: 5 },
};

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
  const others = ["mse", "jpeg", "hls", "img"];
  const lossy = navigator.connection?.type === "cellular";
  return lossy ? ["webrtc", "webcodecs", ...others] : ["webcodecs", "webrtc", ...others];
}
