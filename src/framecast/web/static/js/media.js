// The binary layout of dashboard messages: a header of 32 bytes, then the payload. Little-endian.
//
//   0 u8 version (1)   1 u8 kind   2 u8 codec   3 u8 flags (bit 0: keyframe, bit 1: init segment)
//   4 u16 camera number   6 u16 width (sound: rate in Hz)   8 u16 height (sound: channels)   10 u16 reserved
//   12 u32 epoch   16 u64 frame id   24 i64 capture time, Unix ns   32 payload

export const HEADER_BYTES = 32;
export const VIDEO = 1;
export const SOUND = 2;
export const FRAGMENT = 4;
export const JPEG = 1;
export const H264 = 2;
export const PCM = 3;
export const MP4 = 4;

const KNOWN = new Map([
  [VIDEO, [JPEG, H264]],
  [SOUND, [PCM]],
  [FRAGMENT, [MP4]],
]);
const KEY = 1;
const INIT = 2;

/** One message, or null where it is of a version, kind or codec this page does not know. */
export function unpack(buffer) {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  const kind = view.getUint8(1);
  const codec = view.getUint8(2);
  if (view.getUint8(0) !== 1 || !KNOWN.get(kind)?.includes(codec)) return null;
  const flags = view.getUint8(3);
  const first = view.getUint16(6, true);
  const second = view.getUint16(8, true);
  return {
    kind,
    codec,
    key: (flags & KEY) !== 0,
    init: (flags & INIT) !== 0,
    camera: view.getUint16(4, true),
    ...(kind === SOUND ? { rateHz: first, channels: second } : { width: first, height: second }),
    epoch: view.getUint32(12, true),
    // Kept as a BigInt: ids rise over server restarts and may pass 2^53, and an ack must echo it exactly.
    id: view.getBigUint64(16, true),
    // A double holds Unix nanoseconds to within 256 ns, and milliseconds are what the page reckons in.
    capturedMs: Number(view.getBigInt64(24, true)) / 1e6,
    payload: new Uint8Array(buffer, HEADER_BYTES),
  };
}
