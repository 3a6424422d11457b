// Where tiles go. Pure arithmetic, so that it can be reasoned about: the size of a tile depends on the window
// and on how many cameras there are, and on nothing that changes while one watches.

export const GAP_PX = 8;
// For text of the usual size; larger text takes more in proportion. Must agree with .tile-bar in wall.css: one line of
// caption on a wide tile, two on a narrow one.
const WIDE_PX = 420;
const CAPTION_WIDE_PX = 36;
const CAPTION_NARROW_PX = 56;
// Narrower than this a picture says little: rather scroll.
const SMALLEST_PX = 220;
const PHONE_PX = 640;
const PHONE_PAIRS_FROM = 5;
const SMALLEST_PAIR_PX = 140;

/** Height of a whole tile, its caption included. */
function heightOf(tilePx, aspect, text) {
  return tilePx / aspect + (tilePx >= WIDE_PX * text ? CAPTION_WIDE_PX : CAPTION_NARROW_PX) * text;
}

function widthFor(columns, width) {
  return Math.floor((width - GAP_PX * (columns - 1)) / columns);
}

/**
 * Columns and tile width for `count` tiles in a box of `width` x `height`.
 *
 * Takes the largest tiles that all fit without scrolling; where those would be too small, columns that scroll.
 * `wished` columns (0: none) override the choice. `text` is the size of the text, 1 the usual one.
 */
export function plan(count, width, height, aspect, wished = 0, text = 1) {
  if (count === 0 || width <= 0) return { columns: 1, tilePx: Math.max(width, 0) };
  if (wished > 0) return { columns: wished, tilePx: widthFor(wished, width) };
  if (width < PHONE_PX) {
    const columns = count < PHONE_PAIRS_FROM || widthFor(2, width) < SMALLEST_PAIR_PX * text ? 1 : 2;
    return { columns, tilePx: widthFor(columns, width) };
  }
  let best = { columns: 1, tilePx: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const rowPx = (height - GAP_PX * (rows - 1)) / rows;
    // The caption's height depends on the width, so try both kinds and keep what is true.
    for (const caption of [CAPTION_WIDE_PX, CAPTION_NARROW_PX]) {
      const tilePx = Math.floor(Math.min(widthFor(columns, width), (rowPx - caption * text) * aspect));
      if (tilePx > best.tilePx && heightOf(tilePx, aspect, text) <= rowPx + 1) best = { columns, tilePx };
    }
  }
  if (best.tilePx >= SMALLEST_PX * text) return best;
  const columns = Math.max(text > 1 ? 1 : 2, Math.floor((width + GAP_PX) / ((SMALLEST_PX + 40) * text + GAP_PX)));
  return { columns, tilePx: widthFor(columns, width) };
}

/** The shape all tiles of a wall share: 16:9 when most cameras are wide, else 4:3; null while none is known. */
export function sharedAspect(cameras) {
  const shapes = cameras.filter((camera) => camera.video).map(({ video }) => video.width / video.height);
  if (shapes.length === 0) return null;
  return shapes.filter((shape) => shape > 1.5).length > shapes.length / 2 ? 16 / 9 : 4 / 3;
}

const LADDER_PX = [160, 240, 320, 480, 640, 800, 1024, 1280, 1600, 1920];
// A scaled picture costs the server an encode, the original costs it nothing: ask only when it pays.
const WORTHWHILE = 0.6;

/** The width to ask for when a picture `sourcePx` wide is shown `shownPx` device pixels wide; 0: the original. */
export function renditionWidth(shownPx, sourcePx) {
  if (!sourcePx || shownPx > sourcePx * WORTHWHILE) return 0;
  const width = LADDER_PX.find((step) => step >= shownPx);
  return width && width < sourcePx ? width : 0;
}
