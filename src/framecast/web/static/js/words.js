// Every text about states and faults, in one place, so that all pages call a thing by the same name.

import { ago } from "./format.js";

// In the order in which a summary names them.
const STATES = {
  live: ["Live", ""],
  stalled: ["Stalled", "The connection is open, but no picture comes."],
  offline: ["Offline", "The camera does not answer."],
  refused: ["Refused", "The camera turned us away."],
  failed: ["Failed", "The camera answers, but sends no usable picture."],
  astray: ["Wrong path?", "The camera is there, but has nothing at this address."],
  waiting: ["Waiting", "The device has sent no picture yet."],
  connecting: ["Connecting", "Waiting for the first picture."],
  idle: ["Idle", "Nobody was watching, so the camera was let go. It starts by itself."],
  gone: ["Server gone", "The Framecast server does not answer. This page returns by itself."],
};

/** What to say where the server answers and no WebSocket gets through: mostly a proxy's configuration. */
export const NO_SOCKET = {
  title: "No WebSocket gets through",
  text:
    "The server answers, but something between this page and it lets no WebSocket through. A reverse proxy has to pass " +
    "on the headers Upgrade and Connection, nginx with proxy_http_version 1.1 besides (docs/proxies.md).",
};

/** States that have a colour of their own. */
export const STATE_NAMES = Object.keys(STATES);

const REFUSALS = /\bstatus (401|403|407)\b/;

const NOTHING_THERE = /\bstatus 404\b/;
const NEVER_PUSHED = /^Waiting for the device to push its first picture/;
const SILENT = / said nothing for \d+ s$/;
const BUSY =
  "Mostly another program is watching, and the camera serves one at a time: close its page in every browser, and let " +
  "other programs watch through Framecast.";

/** The state to show: what its owner can mend at once has a name of its own. */
export function stateOf({ state, reason }) {
  const down = state === "failed" || state === "offline";
  if (state === "failed" && REFUSALS.test(reason)) return "refused";
  if (down && NOTHING_THERE.test(reason)) return "astray";
  return down && NEVER_PUSHED.test(reason) ? "waiting" : state;
}

/** One word for a state. */
export function stateName(state) {
  return STATES[state]?.[0] ?? state;
}

/** What to write over a picture that is not live: {title, text}. */
export function explain(camera, state = stateOf(camera)) {
  const [title, usual] = STATES[state] ?? [state, ""];
  const text = camera.reason || usual;
  return { title, text: SILENT.test(text) ? `${text}. ${BUSY}` : text };
}

/** "Last picture 12 s ago" */
export function lastPicture(ageMs) {
  return `Last picture ${ago(ageMs)}`;
}

/** What a firmware does oddly (we cope) or what was lost: name -> [title, what it means and what to do]. */
const CODES = {
  no_first_boundary: [
    "No boundary before the first picture",
    "The firmware leaves out the opening mark. Framecast finds the first picture anyway.",
  ],
  doubled_boundary: ["The first boundary comes twice", "Harmless: the empty part between is ignored."],
  boundary_with_dashes: [
    "Dashes inside the boundary's name",
    "The header spells the boundary with its leading dashes. Framecast accepts both spellings.",
  ],
  boundary_not_found: [
    "Parts are marked differently than announced",
    "The boundary in the header never occurs. Framecast cuts by the lengths and by the JPEG markers instead.",
  ],
  no_content_length: [
    "Pictures come without a length",
    "Each picture ends only where the next begins, so it may arrive one interval late. A newer firmware usually sends the length.",
  ],
  padded_content_length: ["The length is padded with spaces", "Harmless, and read correctly."],
  wrong_content_length: [
    "The stated length is wrong",
    "Framecast finds the true end by the JPEG markers. A newer firmware usually mends it.",
  ],
  no_timestamp: ["No time stamps", "Capture times are taken from the arrival, so network delays show in them."],
  uptime_timestamp: [
    "Time stamps count from the device's start",
    "Harmless: Framecast maps them to the time of day and follows their drift.",
  ],
  timestamp_jumped: ["Time stamps jumped", "The device's clock was set, or it restarted. Framecast began a new epoch."],
  http10: ["Speaks HTTP/1.0", "Harmless: the stream ends when the connection does."],
  no_length_no_chunking: [
    "Neither length nor chunks",
    "The stream has no frame of its own in HTTP. Framecast reads it until the connection closes.",
  ],
  text_part: [
    "Text between the pictures",
    "The device has no picture at the moment and says so in words. If it goes on, look at the camera module and its cable.",
  ],
  lf_only: ["Short line ends", "Lines end without a carriage return. Accepted."],
  padding_after_eoi: [
    "Bytes after the picture's end",
    "The firmware sends its whole buffer. Framecast trims what is not picture.",
  ],
  exif_thumbnail: [
    "A small picture inside the picture",
    "An EXIF thumbnail has an end mark of its own. Framecast does not mistake it for the end.",
  ],
  fragmented: [
    "Pictures come in many small pieces",
    "Each picture is split over dozens of messages. A larger buffer_size in the sketch costs the device less.",
  ],
  junk_header: ["Header lines that make no sense", "They are skipped."],
  framerate_constant: [
    "The stated frame rate never changes",
    "The header says the same whatever happens. Framecast measures instead.",
  ],
  truncated: [
    "Cut-off pictures",
    "They ended early and were left out. Often weak Wi-Fi or a weak power supply: move the camera closer, or lower its size or quality.",
  ],
  not_jpeg: ["Not a picture", "What came was no JPEG. Check that the address is the stream itself and not a page."],
  not_multipart: [
    "No stream of pictures",
    "What comes is ignored, and the connection is given up when nothing else comes. Check the address: it may lead to a page, or to sound.",
  ],
  protocol_error: [
    "Sent what could not be understood",
    "Framecast connected anew. If it goes on, update the firmware.",
  ],
  device_error: ["Broke off", "Framecast connected anew. If it happens often, look at Wi-Fi and power."],
  too_many_bytes: [
    "Pictures too large",
    "They exceed the size limit for one picture. Lower the size or quality, or raise the limit.",
  ],
  too_many_pixels: [
    "Too many pixels",
    "They exceed the limit of pixels for one picture. Lower the frame size, or raise the limit.",
  ],
  too_many_pictures: [
    "Too many pictures a second",
    "They exceed the limit for one camera, and the rest was left out. Lower its frame rate, or raise the limit.",
  ],
  too_many_scans: [
    "Coded in too many passes",
    "No encoder does that, and showing them would cost far too much, so they were left out.",
  ],
  no_frame_header: [
    "Pictures without a header",
    "The part of the JPEG that states its size is missing; such pictures can't be shown and were left out.",
  ],
  bad_marker: [
    "Damaged pictures",
    "Bytes inside were altered on the way and the pictures were left out. A lower clock (XCLK 10 MHz) or a better power supply helps.",
  ],
  corrupt_scan: [
    "Pictures with torn content",
    "They look whole but do not decode, and were left out. A few in ten thousand are normal; more point to the power supply or an XCLK that is too high.",
  ],
  corrupt_sound: ["Damaged sound", "Some of the sound does not decode and was left out."],
  unencodable: [
    "A size H.264 can't have",
    "The pictures can't be coded as H.264, so they are shown as JPEG. Choose a size of at most 16 384 px a side.",
  ],
  content_length_wrapped: [
    "The sketch's length overflows",
    "It keeps the length in 16 bits, so pictures above 65 535 bytes can't be sent. Change that variable to size_t, or lower the quality.",
  ],
  stall: ["Pauses", "No picture for several seconds, then it went on. Usually Wi-Fi."],
  hang: [
    "Hung connections",
    "The connection stayed open and nothing came, so Framecast reconnected. The firmware's server task is stuck: update it, or let it restart by a watchdog.",
  ],
  reboot: ["Restarts", "The device started anew. If it happens often, look at the power supply first."],
  refused: ["Turned away", "The camera refused the request. Check user name and password; many serve one viewer only."],
  unreachable: ["Out of reach", "No connection could be made. Check power, Wi-Fi and the address."],
  bad_status: [
    "An error instead of a stream",
    "The camera answered with an HTTP error. Check the path of the address.",
  ],
  replaced: [
    "Replaced by another sender",
    "Two devices push to the same camera, and the newer one wins. Give each its own.",
  ],
  duplicate: ["The same picture again", "The device sent a picture twice; the copy was left out."],
};

/** Title and advice for a fault or quirk, {code, title, advice}; a code unknown here is shown as it is. */
export function advise(code) {
  const known = CODES[code];
  return {
    code,
    title: known?.[0] ?? code.replaceAll("_", " "),
    advice: known?.[1] ?? "This page does not know this name yet; the server's log says more.",
  };
}

/** What an ApiError means to the person who pressed the button. */
export function apology(error) {
  if (error.status === 0) return "The server does not answer. Nothing was changed.";
  if (error.status === 401) return "You are not logged in any more. Nothing was changed.";
  // Other refusals (of an address, of another site's page, of a password) say what they are about.
  if (error.status === 403 && error.code === "forbidden") return "You may not do this here. Nothing was changed.";
  return error.message;
}
