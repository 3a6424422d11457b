// Ways to use a camera elsewhere, ready to copy.

import { cameraApi, cameraPage, url } from "./api.js";
import { h } from "./dom.js";
import { pushHelp } from "./add.js";

// Displays that decode with TJpg_Decoder hold some 38 KB at most.
const DISPLAY_BYTES = 38_000;

function snippets(camera) {
  const stream = url(cameraApi(camera.id, "/stream.mjpeg")).href;
  const still = url(cameraApi(camera.id, "/snapshot.jpg")).href;
  const display = `${stream}?width=320&max_bytes=${DISPLAY_BYTES}`;
  const name = camera.name.replaceAll('"', "'");
  const alt = camera.name.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  return [
    [
      "A web page",
      "Live picture in any page. Add ?fps=5 or ?width=320 to save bandwidth.",
      `<img src="${stream}" alt="${alt}">`,
    ],
    ["curl", "The newest picture as a file.", `curl -o ${camera.id}.jpg ${still}`],
    ["VLC", "", `vlc ${stream}`],
    [
      "ffmpeg",
      "Ten seconds into a file, as they come.",
      `ffmpeg -f mpjpeg -use_wallclock_as_timestamps 1 -i ${stream} -t 10 -c copy ${camera.id}.mkv`,
    ],
    [
      "OpenCV, Python",
      "",
      `import cv2\n\nvideo = cv2.VideoCapture("${stream}")\nwhile True:\n    ok, picture = video.read()\n    if not ok:\n        break`,
    ],
    [
      "Home Assistant",
      "Settings, Devices & services, Add integration, MJPEG IP Camera; then these two addresses.",
      `# MJPEG URL\n${stream}\n# Still image URL\n${still}`,
    ],
    [
      "Home Assistant, configuration.yaml",
      "The same through its ffmpeg integration.",
      `camera:\n  - platform: ffmpeg\n    name: "${name}"\n    input: ${stream}`,
    ],
    [
      "ESP32 display",
      "Small enough for TJpg_Decoder: 320 wide and 38 KB at most.",
      `const char *STREAM_URL = "${display}";`,
    ],
    ["A link to this page", "", cameraPage(camera.id)],
  ];
}

/** The panel of snippets for one camera. */
export function embedPanel(camera) {
  const parts = snippets(camera).map(([title, text, code]) =>
    h(
      "section",
      { class: "snippet" },
      h("h3", {}, title),
      text ? h("p", { class: "quiet" }, text) : null,
      h("fc-copy", { label: title, text: code }),
    ),
  );
  const push = camera.kind === "push" ? [h("h3", {}, "Sending to this camera"), ...pushHelp(camera.id)] : [];
  const key = h(
    "p",
    { class: "quiet", "data-needs": "key" },
    "This server asks for a key. Programs send it as the header “Authorization: Bearer KEY”; for those that can't, " +
      "the camera's setting allow_query_key permits ?key=KEY at the end of the address.",
  );
  return h("div", { class: "stack" }, push, key, parts);
}
