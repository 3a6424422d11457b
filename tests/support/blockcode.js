// Reads the block code (framecast/wire/blockcode.py has the layout) from a canvas's ImageData, so that a browser can
// say which frame it shows and how old it is.
//
// readBlockCode(imageData) -> {frameId: Number, timeUs: Number, timeMs: Number} or null.
// frameId is below 2 ** 48 and so exact; timeUs is exact too until the year 2255.

const COLUMNS = 26;
const ROWS = 7;
const PICTURE_COLUMNS = 80;
const MIN_WIDTH_PX = 160;
const MIN_CONTRAST = 64;

export function readBlockCode(imageData) {
  const { width, height, data } = imageData;
  if (width < MIN_WIDTH_PX || height < edge(ROWS, width)) return null;
  const cellPx = width / PICTURE_COLUMNS;
  const cells = [];
  for (let row = 0; row < ROWS; row++) {
    const line = [];
    for (let column = 0; column < COLUMNS; column++) line.push(meanLuma(data, width, row, column, cellPx));
    cells.push(line);
  }
  const white = [...cells[0], ...cells.slice(1).map((line) => line[0])];
  const black = [...cells[ROWS - 1].slice(1), ...cells.slice(1, -1).map((line) => line[COLUMNS - 1])];
  const whiteLuma = mean(white);
  const blackLuma = mean(black);
  if (whiteLuma - blackLuma < MIN_CONTRAST) return null;

  const threshold = (whiteLuma + blackLuma) / 2;
  const bits = cells.slice(1, -1).flatMap((line) => line.slice(1, -1).map((luma) => (luma > threshold ? 1 : 0)));
  const bytes = [];
  for (let at = 0; at < bits.length; at += 8) bytes.push(bits.slice(at, at + 8).reduce((byte, bit) => byte * 2 + bit, 0));
  if (crc16(bytes.slice(0, 13)) !== number(bytes.slice(13))) return null;
  const timeUs = number(bytes.slice(6, 13));
  return { frameId: number(bytes.slice(0, 6)), timeUs, timeMs: timeUs / 1000 };
}

// What a drawable (video, img, canvas) shows now, or null. Only its corner is copied.
export function readBlockCodeFrom(drawable, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(drawable, 0, 0, width, height);
  const corner = context.getImageData(0, 0, width, Math.min(height, edge(ROWS, width) + 1));
  return readBlockCode(corner);
}

function edge(cell, width) {
  return Math.floor((2 * cell * width + PICTURE_COLUMNS) / (2 * PICTURE_COLUMNS));
}

function meanLuma(data, width, row, column, cellPx) {
  const top = Math.floor((row + 0.25) * cellPx);
  const bottom = Math.ceil((row + 0.75) * cellPx);
  const left = Math.floor((column + 0.25) * cellPx);
  const right = Math.ceil((column + 0.75) * cellPx);
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const at = 4 * (y * width + x);
      sum += 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    }
  }
  return sum / ((bottom - top) * (right - left));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function number(bytes) {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

// CRC-16/CCITT-FALSE
function crc16(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
