// The binary layout of dashboard messages: a header of 32 bytes, then the payload. Little-endian.
//
//   0 u8 version (1)   1 u8 kind   2 u8 codec   3 u8 flags (bit 0: keyframe)
//   4 u16 camera number   6 u16 width   8 u16 height   10 u16 reserved
//   12 u32 epoch   16 u64 frame id   24 i64 capture time, Unix ns   32 payload

export const HEADER_BYTES = 32;
export const VIDEO = 1;
export const JPEG = 1;

/** One frame, or null where the message is of a version or kind this page does not know. */
export function unpack(buffer) {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== 1 || view.getUint8(1) !== VIDEO || view.getUint8(2) !== JPEG) return null;
  return {
    camera: view.getUint16(4, true),
    width: view.getUint16(6, true),
    height: view.getUint16(8, true),
    epoch: view.getUint32(12, true),
    // Kept as a BigInt: ids rise over server restarts and may pass 2^53, and an ack must echo it exactly.
    id: view.getBigUint64(16, true),
    // A double holds Unix nanoseconds to within 256 ns, and milliseconds are what the page reckons in.
    capturedMs: Number(view.getBigInt64(24, true)) / 1e6,
    payload: new Uint8Array(buffer, HEADER_BYTES),
  };
}
