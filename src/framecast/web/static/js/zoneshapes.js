// Zones and lines as they are: drawn, and kept to the picture.

const SVG = "http://www.w3.org/2000/svg";

export const clamp = (value) => Math.min(1, Math.max(0, value));

/** A point as it is kept. */
export const round = ([x, y]) => [Math.round(clamp(x) * 10_000) / 10_000, Math.round(clamp(y) * 10_000) / 10_000];

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
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
