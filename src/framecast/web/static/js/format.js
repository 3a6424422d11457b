// Numbers as people read them, each with its unit. "–" stands for what is not known.

export const UNKNOWN = "–";

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** 14.9 fps; 0 fps; 120 fps */
export function fps(value) {
  if (!known(value)) return UNKNOWN;
  return `${value >= 99.95 || value === 0 ? Math.round(value) : value.toFixed(1)} fps`;
}

/** An age or a duration in milliseconds: 48 ms, 1.2 s, 12 s, 3 min, 2 h, 5 d. */
export function duration(ms) {
  if (!known(ms)) return UNKNOWN;
  const value = Math.max(0, ms);
  if (value < 999.5) return `${Math.round(value)} ms`;
  const seconds = value / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7170) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** How long ago: 12 s ago, 3 min ago; whole seconds, since it is read beside a picture that stands still. */
export function ago(ms) {
  if (!known(ms)) return UNKNOWN;
  return `${duration(ms < 9950 ? Math.max(1, Math.round(ms / 1000)) * 1000 : ms).replace(".0 s", " s")} ago`;
}

/** Decimal units, as networks and disks are sold: 950 B, 24.1 kB, 1.2 MB. */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 1000) return `${Math.round(value)} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let rest = value / 1000;
  let index = 0;
  while (rest >= 999.5 && index < units.length - 1) {
    rest /= 1000;
    index += 1;
  }
  return `${rest < 99.95 ? rest.toFixed(1) : Math.round(rest)} ${units[index]}`;
}

/** 640 kbit/s, 2.9 Mbit/s */
export function bitrate(bps) {
  if (!known(bps)) return UNKNOWN;
  if (bps < 999_500) return `${Math.round(bps / 1000)} kbit/s`;
  return `${(bps / 1e6).toFixed(1)} Mbit/s`;
}

/** 12 345, with a narrow space as the thousands mark in any language. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** 1 viewer, 3 viewers */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** 640 × 480 */
export function size(width, height) {
  return width && height ? `${width} × ${height}` : UNKNOWN;
}
