// Ways to use a camera elsewhere, ready to copy.

import { cameraApi, cameraPage, url } from "./api.js";
import { h } from "./dom.js";
import { linkMaker } from "./links.js";
import { HELD } from "./player/held.js";
import { bearer, pushHelp, tokenNote } from "./add.js";

// Displays that decode with TJpg_Decoder hold some 38 kB at most.
const DISPLAY_BYTES = 38_000;

/** An address with the login that programs without a field for headers understand. */
function withLogin(address) {
  const signed = new URL(address);
  signed.username = "any";
  signed.password = "TOKEN";
  return signed.href;
}

function snippets(camera, open) {
  const at = (rest) => url(cameraApi(camera.id, rest)).href;
  // As a program without a field for headers takes it.
  const signed = (rest) => (open ? at(rest) : withLogin(at(rest)));
  const [plainStream, plainStill] = [at("/stream.mjpeg"), at("/snapshot.jpg")];
  const stream = signed("/stream.mjpeg");
  const display = `${stream}?width=320&max_bytes=${DISPLAY_BYTES}`;
  const name = camera.name.replaceAll('"', "'");
  const alt = camera.name.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  const module = url("static/js/player.js").href;
  const origin = url("").href.replace(/\/$/, "");
  return [
    [
      "A web page: the whole player",
      "H.264 and sound by the best way there is. A page of another site is let in once its origin stands in the " +
        'configuration: [server] allowed_origins = ["https://example.org"]' +
        (open ? "." : "; a token in key needs allow_query_key = true on this camera."),
      `<script type="module" src="${module}"></script>\n` +
        `<framecast-player src="${origin}" camera="${camera.id}"${open ? "" : ' key="TOKEN"'}></framecast-player>`,
    ],
    [
      "A web page: as a picture",
      open
        ? "Live picture in any page. Add ?fps=5 or ?width=320 to save bandwidth, or ?quality=auto to follow the link."
        : "Live picture in any page. An <img> can't send a token; with allow_query_key = true this camera takes one " +
          "in the address. Add &fps=5 or &width=320 to save bandwidth, or &quality=auto to follow the link.",
      `<img src="${plainStream}${open ? "" : "?key=TOKEN"}" alt="${alt}">`,
    ],
    ["curl", "The newest picture as a file.", `curl ${bearer(open)}-o ${camera.id}.jpg ${plainStill}`],
    ["VLC", "", `vlc ${stream}`],
    [
      "With boxes and names, by VLC",
      "Drawn around what is seen, into the pictures themselves.",
      `vlc "${stream}?overlay=detections"`,
    ],
    ["A slow link, by VLC", "Smaller and fewer pictures as the link asks for.", `vlc "${stream}?quality=auto"`],
    [
      "ffmpeg, H.264",
      "Ten seconds with sound into a file; recorders take the same address.",
      `ffmpeg -i ${signed("/stream.mp4")} -t 10 -c copy ${camera.id}.mp4`,
    ],
    [
      "ffmpeg, the camera's own pictures",
      "Ten seconds of JPEG, bit by bit as they come.",
      `ffmpeg -f mpjpeg -use_wallclock_as_timestamps 1 -i ${stream} -t 10 -c copy ${camera.id}.mkv`,
    ],
    ["HLS", "For phones, TVs and a CDN; some seconds late.", signed("/hls/index.m3u8")],
    [
      "WebRTC (WHEP)",
      "For players that speak it, and media servers" + (open ? "." : "; the token goes into their own field for it."),
      at("/whep"),
    ],
    ["Sound", "As a WAV without an end, where the camera has a microphone.", `vlc ${signed("/audio.wav")}`],
    [
      "OpenCV, Python",
      "",
      `import cv2\n\nvideo = cv2.VideoCapture("${stream}")\nwhile True:\n    ok, picture = video.read()\n    if not ok:\n        break`,
    ],
    [
      "Home Assistant",
      open
        ? "Settings, Devices & services, Add integration, MJPEG IP Camera; then these two addresses."
        : "Settings, Devices & services, Add integration, MJPEG IP Camera; then these four.",
      `# MJPEG URL\n${plainStream}\n# Still image URL\n${plainStill}${open ? "" : "\n# Username\nany\n# Password\nTOKEN"}`,
    ],
    [
      "Home Assistant, configuration.yaml",
      "The same through its ffmpeg integration.",
      `camera:\n  - platform: ffmpeg\n    name: "${name}"\n    input: ${stream}`,
    ],
    [
      "ESP32 display",
      "Small enough for TJpg_Decoder: 320 wide and 38 kB at most.",
      `const char *STREAM_URL = "${display}";`,
    ],
    ["A link to this page", "", cameraPage(camera.id)],
  ];
}

/**
 * Fills the panel of snippets for one camera, unless it says all of that already: a link that was made stands there once,
 * and somebody may be in the middle of copying.
 *
 * @param panel Where. @param open Whether the server asks nobody for a token.
 * @param held Whether a proxy on the way holds pictures back.
 */
export function showSnippets(panel, camera, open, held) {
  const { id, name, kind } = camera;
  const key = JSON.stringify([id, name, kind, open, held]);
  if (panel.dataset.key === key) return;
  panel.dataset.key = key;
  const parts = snippets(camera, open).map(([title, text, code]) =>
    h(
      "section",
      { class: "snippet" },
      h("h3", {}, title),
      text ? h("p", { class: "quiet" }, text) : null,
      h("fc-copy", { label: title, text: code }),
    ),
  );
  const push = camera.kind === "push" ? [h("h3", {}, "Sending to this camera"), ...pushHelp(camera.id, open)] : [];
  const words = [h("b", {}, HELD.title), h("span", {}, HELD.advice)];
  const late = held ? h("div", { class: "problem problem-warning" }, words) : null;
  const stack = h(
    "div",
    { class: "stack" },
    late,
    push,
    open ? null : [linkMaker(camera), push.length ? h("h3", {}, "Watching it") : null, tokenNote("watch", camera.id)],
    parts,
  );
  panel.replaceChildren(stack);
}
