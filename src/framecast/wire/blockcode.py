"""The block code: a frame id and a time, drawn into a picture as black and white cells.

It is read back from whatever a viewer shows (a decoded JPEG, H.264, a browser's canvas), so that synchrony and
latency can be measured through any output. Layout, version 1:

- The picture's width is 80 cells (``cell = width / 80`` pixels, 8 at 640, 2 at 160) and cells are square.
  The code fills the top left corner: 26 x 7 cells.
- The outermost ring of cells tells white from black. White: the whole top row, and the left column below it.
  Black: the rest of the bottom row, and the rest of the right column.
- Inside lie 24 x 5 cells = 120 bits, row by row from the top left, most significant bit first, white = 1:

      48 bits  frame id, modulo 2**48
      56 bits  time, Unix microseconds
      16 bits  CRC-16/CCITT-FALSE (polynomial 0x1021, initial value 0xFFFF) of the 13 bytes before

- To read: take the mean luma of the middle half of each cell; the threshold lies halfway between the mean of
  the ring's white cells and that of its black cells, which must be at least 64 of 255 apart; the CRC must fit.

It survives JPEG from quality 20 up at widths of 160 and more, scaling of a 640 to 1920 px wide picture down to 160,
and H.264 (x264 ultrafast at its usual rate) at 320 and 640.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 26
ROWS = 7
PICTURE_COLUMNS = 80
"""Cells over the whole width of the picture."""

MIN_WIDTH_PX = 160
"""Below two pixels a cell, scaling and JPEG leave nothing to read."""

_DATA_COLUMNS = COLUMNS - 2
_DATA_ROWS = ROWS - 2
_MIN_CONTRAST = 64.0
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Code:
    """What a block code says.

    Attributes:
        frame_id: Modulo 2**48.
        time_us: Unix microseconds.
    """

    frame_id: int
    time_us: int


def size(width_px: int) -> tuple[int, int]:
    """Width and height, in pixels, of the code in a picture ``width_px`` wide."""
    return _edge(COLUMNS, width_px), _edge(ROWS, width_px)


def draw(image: NDArray[Any], frame_id: int, time_us: int) -> None:
    """Draw the code into the top left corner of ``image``, in place.

    Args:
        image: (H, W, 3) uint8 in any order of channels, or a luma plane, (H, W) uint8. Where it is smaller
            than the code, what fits is drawn.
        frame_id: Drawn modulo 2**48.
        time_us: Unix microseconds, 0 to 2**56 - 1.
    """
    height_px, width_px = image.shape[:2]
    columns, rows = _pixel_cells(width_px, height_px)
    corner = (_cells(frame_id, time_us) * np.uint8(255))[rows][:, columns]
    target = image[: len(rows), : len(columns)]
    target[...] = corner if image.ndim == 2 else corner[:, :, None]


def read(image: NDArray[Any]) -> Code | None:
    """What the code in the top left corner says, or None where none can be read.

    Args:
        image: (H, W, 3) uint8, RGB, or a luma plane, (H, W) uint8.
    """
    height_px, width_px = image.shape[:2]
    code_width_px, code_height_px = size(width_px)
    if width_px < MIN_WIDTH_PX or height_px < code_height_px:
        return None
    corner = image[:code_height_px, :code_width_px].astype(np.float32)
    luma = corner if corner.ndim == 2 else corner @ _LUMA
    average_rows, average_columns = _averages(width_px)
    cells = average_rows @ luma @ average_columns
    white = np.concatenate([cells[0, :], cells[1:, 0]]).mean()
    black = np.concatenate([cells[-1, 1:], cells[1:-1, -1]]).mean()
    if white - black < _MIN_CONTRAST:
        return None
    bits = cells[1:-1, 1:-1] > (white + black) / 2
    data = np.packbits(bits.reshape(-1)).tobytes()
    if binascii.crc_hqx(data[:13], 0xFFFF) != int.from_bytes(data[13:], "big"):
        return None
    return Code(int.from_bytes(data[:6], "big"), int.from_bytes(data[6:13], "big"))


def _cells(frame_id: int, time_us: int) -> Pixels:
    """The code as (ROWS, COLUMNS) uint8, 1 for white."""
    data = (frame_id % (1 << 48)).to_bytes(6, "big") + time_us.to_bytes(7, "big")
    data += binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")
    cells = np.zeros((ROWS, COLUMNS), np.uint8)
    cells[0, :] = 1
    cells[:, 0] = 1
    cells[1:-1, 1:-1] = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(_DATA_ROWS, _DATA_COLUMNS)
    return cells


def _edge(cell: int, width_px: int) -> int:
    """The pixel at which a column (or row) of cells begins."""
    return (2 * cell * width_px + PICTURE_COLUMNS) // (2 * PICTURE_COLUMNS)


@lru_cache(maxsize=64)
def _pixel_cells(width_px: int, height_px: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each column and each row of pixels of the code, the cell it lies in."""

    def cells(count: int, limit_px: int) -> NDArray[np.intp]:
        widths = [_edge(cell + 1, width_px) - _edge(cell, width_px) for cell in range(count)]
        return np.repeat(np.arange(count), widths)[:limit_px]

    return cells(COLUMNS, width_px), cells(ROWS, height_px)


@lru_cache(maxsize=64)
def _averages(width_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrices that take the mean of the middle half of each cell: over rows (from the left), over columns."""
    cell_px = width_px / PICTURE_COLUMNS

    def matrix(count: int) -> NDArray[np.float32]:
        weights = np.zeros((count, _edge(count, width_px)), np.float32)
        for cell in range(count):
            first = int((cell + 0.25) * cell_px)
            last = int(np.ceil((cell + 0.75) * cell_px))
            weights[cell, first:last] = 1 / (last - first)
        return weights

    return matrix(ROWS), np.ascontiguousarray(matrix(COLUMNS).T)
