// The signs on the buttons, drawn as strokes in a square of 20.

const STROKES = {
  soundOff: "M3 8v4h3l4 3.5v-11L6 8zM13.5 8l4 4M17.5 8l-4 4",
  soundOn: "M3 8v4h3l4 3.5v-11L6 8zM13 7.5a3.6 3.6 0 0 1 0 5M15.5 5a7 7 0 0 1 0 10",
  talk: "M10 2.5a2.5 2.5 0 0 1 2.5 2.5v4.5a2.5 2.5 0 0 1-5 0V5A2.5 2.5 0 0 1 10 2.5zM5 9.5a5 5 0 0 0 10 0M10 14.5v3",
  snapshot: "M3 6.5h3l1.5-2h5l1.5 2h3v9H3zM10 8a2.7 2.7 0 1 1 0 5.4A2.7 2.7 0 0 1 10 8z",
  pip: "M2.5 4h15v12h-15zM10 10.5h5v3h-5z",
  full: "M3 7.5V3h4.5M12.5 3H17v4.5M17 12.5V17h-4.5M7.5 17H3v-4.5",
  boxes: "M2.5 6V2.5H6M14 2.5h3.5V6M17.5 14v3.5H14M6 17.5H2.5V14M7 6.5h6v7H7z",
  numbers: "M3 16.5V11M8 16.5V4M13 16.5V8.500M17.500 16.5v-3",
};
const SVG = "http://www.w3.org/2000/svg";

/** An <svg> by its name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  return redraw(svg, name);
}

/** Draws another sign into it. */
export function redraw(svg, name) {
  svg.firstChild.setAttribute("d", STROKES[name]);
  return svg;
}
