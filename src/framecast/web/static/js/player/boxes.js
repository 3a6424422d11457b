// As much of ISO BMFF as a player of fragments has to read: which boxes a stream is made of, when a fragment's picture
// is due, which codecs an init segment names.

const HEADER_BYTES = 8;
const VIDEO_TRACK = 1;
const TIMESCALE_HZ = 90_000;

function name(bytes, at) {
  return String.fromCharCode(bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]);
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Each box in `bytes` from `from` to `to`: {name, at, end}; ends where one is cut off. */
export function* boxes(bytes, from = 0, to = bytes.length) {
  const data = view(bytes);
  let at = from;
  while (at + HEADER_BYTES <= to) {
    const size = data.getUint32(at);
    if (size < HEADER_BYTES || at + size > to) return;
    yield { name: name(bytes, at), at: at + HEADER_BYTES, end: at + size };
    at += size;
  }
}

function child(bytes, parent, wanted) {
  for (const box of boxes(bytes, parent.at, parent.end)) if (box.name === wanted) return box;
  return null;
}

/** The box of a fragment that holds its picture: {head, time, run}, null where it holds none. */
function pictureOf(fragment) {
  const moof = child(fragment, { at: 0, end: fragment.length }, "moof");
  if (!moof) return null;
  const data = view(fragment);
  for (const traf of boxes(fragment, moof.at, moof.end)) {
    if (traf.name !== "traf") continue;
    const [head, time, run] = ["tfhd", "tfdt", "trun"].map((name) => child(fragment, traf, name));
    if (head && time && run && data.getUint32(head.at + 4) === VIDEO_TRACK) return { head, time, run };
  }
  return null;
}

/** When the picture in a fragment is due, in seconds of the media; null where it holds none. */
export function videoTime(fragment) {
  const picture = pictureOf(fragment);
  if (!picture) return null;
  const data = view(fragment);
  const { at } = picture.time;
  const ticks = data.getUint8(at) === 1 ? Number(data.getBigUint64(at + 4)) : data.getUint32(at + 4);
  return ticks / TIMESCALE_HZ;
}

const HAS_OFFSET = 0x1;
const HAS_FIRST_FLAGS = 0x4;
const HAS_DURATION = 0x100;

/**
 * Has the picture of a fragment last longer. How long it will be shown is not known when it is sent, and a browser that
 * finds the next one later than twice what was said takes the stream for broken until the next key picture.
 */
export function stretch(fragment, seconds) {
  const picture = pictureOf(fragment);
  if (!picture) return;
  const data = view(fragment);
  const { at } = picture.run;
  const flags = data.getUint32(at) & 0xffffff;
  if (!(flags & HAS_DURATION)) return;
  const first = at + 8 + (flags & HAS_OFFSET ? 4 : 0) + (flags & HAS_FIRST_FLAGS ? 4 : 0);
  data.setUint32(first, Math.round(seconds * TIMESCALE_HZ));
}

/** The type of an init segment as MediaSource wants it; "" where it holds no H.264. */
export function mimeOf(init) {
  const text = new TextDecoder("latin1").decode(init);
  const at = text.indexOf("avcC") + 4;
  if (at < 4) return "";
  const hex = [1, 2, 3].map((step) => init[at + step].toString(16).padStart(2, "0").toUpperCase());
  return `video/mp4; codecs="avc1.${hex.join("")}${text.includes("mp4a") ? ",mp4a.40.2" : ""}"`;
}

/** Cuts a stream into init segments and fragments. */
export class Cutter {
  #rest = new Uint8Array(0);
  #held = [];

  /** Takes what came; returns [{init, payload}], whole ones only. */
  push(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const whole = [];
    let cut = 0;
    for (const { name: kind, end } of boxes(all)) {
      this.#held.push(all.subarray(cut, end));
      cut = end;
      if (kind !== "moov" && kind !== "mdat") continue;
      whole.push({ init: kind === "moov", payload: joined(this.#held) });
      this.#held = [];
    }
    this.#rest = all.slice(cut);
    return whole;
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
