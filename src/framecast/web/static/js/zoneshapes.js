// Zones and lines as they are: drawn, kept to the picture, and carried over when that is turned.

const SVG = "http://www.w3.org/2000/svg";

export const clamp = (value) => Math.min(1, Math.max(0, value));

/** A point as it is kept. */
export const round = ([x, y]) => [Math.round(clamp(x) * 10_000) / 10_000, Math.round(clamp(y) * 10_000) / 10_000];

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/**
 * The same places of the scene after the picture is turned or mirrored anew, as masks are carried over.
 *
 * @param shapes As the API tells them under `from`. @param from, to {rotate, mirror}
 */
export function carryZones(shapes, from, to) {
  const isMirrored = ({ mirror }) => mirror !== "none";
  return shapes.map(({ name, kind, points }) => {
    const carried = points.map((point) => carryPoint(point, from, to));
    // What was right of a line is left of it in a mirror, unless one walks it the other way.
    if (kind === "line" && isMirrored(from) !== isMirrored(to)) carried.reverse();
    return { name, kind, points: carried };
  });
}

function carryPoint(point, from, to) {
  const mirror = ([x, y], how) => (how === "horizontal" ? [1 - x, y] : how === "vertical" ? [x, 1 - y] : [x, y]);
  const turn = ([x, y], degrees) => {
    if (degrees === 90) return [1 - y, x];
    if (degrees === 180) return [1 - x, 1 - y];
    return degrees === 270 ? [y, 1 - x] : [x, y];
  };
  const plain = turn(mirror(point, from.mirror), (360 - from.rotate) % 360);
  return round(mirror(turn(plain, to.rotate), to.mirror));
}

/** Draws zones without letting anybody change them. @param shapes As the API tells them. */
export function zoneShapes(shapes) {
  const drawing = svg("svg", {
    class: "zone-drawing",
    viewBox: "0 0 1 1",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  for (const { kind, points } of shapes) {
    drawing.append(
      svg(kind === "line" ? "polyline" : "polygon", { class: `zone-shape zone-${kind}`, points: points.join(" ") }),
    );
  }
  return drawing;
}
