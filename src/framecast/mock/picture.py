"""Synthetic pictures: a slow gradient, drifting shapes, a clock hand, a line of text and the block code.

Everything is drawn straight into YCbCr planes (4:2:0), and only what moves is drawn for each frame: the backdrop is a
crop of a larger one made once, shapes are small sprites, letters come from a cache. A VGA picture takes about
1 ms of one core, half of it libjpeg-turbo's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from framecast.mock.clap import PATCH
from framecast.mock.palette import Palette, for_name, palette
from framecast.mock.text import Glyphs
from framecast.wire import blockcode

Plane = NDArray[np.uint8]

_MARGIN = 0.22
"""How much larger than the picture the backdrop is: the way it has to move."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is written into one picture.

    Attributes:
        frame_id: For the text and the block code.
        time_us: Send time for the block code, Unix microseconds.
        elapsed_s: Since the camera started.
        fps: Measured rate; 0 while it is unknown.
        flash: This picture is a clap's (`clap`).
    """

    frame_id: int
    time_us: int
    elapsed_s: float = 0.0
    fps: float = 0.0
    flash: bool = False


class Pictures(Protocol):
    """Something that makes one JPEG after another."""

    width_px: int
    height_px: int

    def advance(self) -> float:
        """Go on to the next picture; says when it is due, seconds since the first."""

    def draw(self, label: Label) -> bytes:
        """The current picture as a JPEG."""

    def close(self) -> None:
        """Let go of files."""


class Synthetic:
    """Pictures of nothing, pleasant to look at.

    Args:
        width_px: Width, 64 to 4096.
        height_px: Height, 64 to 4096.
        fps: Rate at which they are due, above 0.
        quality: JPEG quality, 1-100.
        name: Written at the left; also settles the colours.
        hue_deg: Colours to take instead, 0 to 360.
        show_frame_id: Write the frame id as well.
        block_code: Draw the block code (only where the picture is at least 160 px wide).
    """

    def __init__(
        self,
        width_px: int,
        height_px: int,
        *,
        fps: float = 30.0,
        quality: int = 80,
        name: str = "mock",
        hue_deg: float | None = None,
        show_frame_id: bool = True,
        block_code: bool = True,
    ) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self._fps = fps
        self._quality = quality
        self._count = -1
        self._caption = Caption(width_px, height_px, name, show_frame_id=show_frame_id)
        self._block_code = block_code and width_px >= blockcode.MIN_WIDTH_PX
        colours = palette(for_name(name) if hue_deg is None else hue_deg)
        self._caption.colour(colours)
        self._backdrop = _backdrop(width_px, height_px, colours)
        self._shapes = _shapes(width_px, height_px, colours)
        self._planes = tuple(np.empty(shape, np.uint8) for shape in _plane_shapes(width_px, height_px))

    def advance(self) -> float:
        """Go on to the next picture; says when it is due, seconds since the first."""
        self._count += 1
        return self._count / self._fps

    def draw(self, label: Label) -> bytes:
        """The current picture as a JPEG."""
        moment_s = max(self._count, 0) / self._fps
        self._draw_backdrop(moment_s)
        for shape in self._shapes:
            shape.draw(self._planes, moment_s)
        if label.flash:
            draw_flash(self._planes)
        self._caption.draw(self._planes, label)
        if self._block_code:
            draw_code(self._planes, label)
        return encode(self._planes, self._quality)

    def close(self) -> None:
        """Nothing to let go of."""

    def _draw_backdrop(self, moment_s: float) -> None:
        room_y = self._backdrop[0].shape[0] - self.height_px
        room_x = self._backdrop[0].shape[1] - self.width_px
        # Even offsets, so that luma and chroma move together.
        top = round((0.5 + 0.5 * math.sin(moment_s * 0.31)) * room_y / 2) * 2
        left = round((0.5 + 0.5 * math.cos(moment_s * 0.23)) * room_x / 2) * 2
        for plane, backdrop, step in zip(self._planes, self._backdrop, (1, 2, 2), strict=True):
            height_px, width_px = plane.shape
            y, x = min(top, room_y) // step, min(left, room_x) // step
            np.copyto(plane, backdrop[y : y + height_px, x : x + width_px])


class Caption:
    """A bar at the foot of a picture: name, frame number, rate and time.

    Args:
        width_px: Width of the picture.
        height_px: Height of the picture.
        name: Written at the left.
        show_frame_id: Write the frame id as well.
    """

    def __init__(self, width_px: int, height_px: int, name: str, *, show_frame_id: bool) -> None:
        self._height_px = min(max(14, 2 * round(height_px * 0.0375)), 2 * (height_px // 4))
        self._pad_px = self._height_px // 2
        self._width_px = width_px
        self._name = name
        self._show_frame_id = show_frame_id
        self.colour(palette(for_name(name)))

    def colour(self, colours: Palette) -> None:
        """Take the bar's colours from ``colours``."""
        self._ground = [round(float(value)) for value in colours.bar]
        self._glyphs = Glyphs(self._height_px, round(float(colours.text[0])), self._ground[0])
        self._name_tile = self._glyphs.line(self._name[:40])

    def draw(self, planes: tuple[Plane, ...], label: Label) -> None:
        """Draw the bar into YCbCr planes (4:2:0), in place."""
        luma = planes[0][-self._height_px :]
        luma[...] = self._ground[0]
        for plane, value in zip(planes[1:], self._ground[1:], strict=True):
            plane[-self._height_px // 2 :] = value
        room_px = self._width_px - 2 * self._pad_px
        numbers = self._numbers(label, room_px)
        left = self._name_tile[:, : max(0, room_px - numbers.shape[1] - self._pad_px)]
        luma[:, self._pad_px : self._pad_px + left.shape[1]] = left
        if numbers.shape[1]:
            luma[:, self._width_px - self._pad_px - numbers.shape[1] :][:, : numbers.shape[1]] = numbers

    def _numbers(self, label: Label, room_px: int) -> Plane:
        """As many of the numbers as fit beside the name, the least important left out first."""
        fields = [_elapsed(label.elapsed_s)]
        if label.fps:
            fields.insert(0, f"{label.fps:.1f} fps")
        if self._show_frame_id:
            fields.insert(0, f"#{label.frame_id:06d}")
        free_px = room_px - self._pad_px - min(self._name_tile.shape[1], room_px // 3)
        while fields:
            tile = self._glyphs.line("    ".join(fields))
            if tile.shape[1] <= free_px:
                return tile
            fields.pop()
        return self._glyphs.line("")


def draw_code(planes: tuple[Plane, ...], label: Label) -> None:
    """Draw the block code into YCbCr planes (4:2:0), in place."""
    blockcode.draw(planes[0], label.frame_id, label.time_us)
    width_px, height_px = blockcode.size(planes[0].shape[1])
    for plane in planes[1:]:
        plane[: (height_px + 1) // 2, : (width_px + 1) // 2] = 128


def draw_flash(planes: tuple[Plane, ...]) -> None:
    """Draw a clap's white patch into YCbCr planes (4:2:0), in place."""
    left, top, right, bottom = PATCH
    for plane, value in zip(planes, (255, 128, 128), strict=True):
        height_px, width_px = plane.shape
        plane[int(height_px * top) : int(height_px * bottom), int(width_px * left) : int(width_px * right)] = value


def encode(planes: tuple[Plane, ...], quality: int) -> bytes:
    """YCbCr planes (4:2:0, full range) as a baseline JPEG."""
    jpeg: bytes = simplejpeg.encode_jpeg_yuv_planes(*planes, quality=quality)
    return jpeg


def _plane_shapes(width_px: int, height_px: int) -> list[tuple[int, int]]:
    chroma = ((height_px + 1) // 2, (width_px + 1) // 2)
    return [(height_px, width_px), chroma, chroma]


def _elapsed(elapsed_s: float) -> str:
    minutes, seconds = divmod(max(0.0, elapsed_s), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{int(seconds):02d}.{int(seconds * 10) % 10}"


def _backdrop(width_px: int, height_px: int, colours: Palette) -> tuple[Plane, ...]:
    """A soft two-colour gradient with a glow, as planes larger than the picture, dithered against banding."""
    wide = 2 * round(width_px * (1 + _MARGIN) / 2) + 2
    high = 2 * round(height_px * (1 + _MARGIN) / 2) + 2
    y, x = np.mgrid[0:1:72j, 0:1:96j]
    slope = np.clip(0.75 * (1 - y) + 0.35 * x, 0, 1)[:, :, None]
    glow = 0.85 * np.exp(-(((x - 0.70) / 0.26) ** 2 + ((y - 0.34) / 0.34) ** 2))[:, :, None]
    dusk = 0.45 * np.exp(-(((x - 0.10) / 0.30) ** 2 + ((y - 1.0) / 0.40) ** 2))[:, :, None]
    colour = colours.low + (colours.high - colours.low) * slope
    colour = colour + (colours.light - colour) * glow
    colour = colour + (colours.far - colour) * dusk
    noise = np.random.default_rng(7)
    planes = []
    for channel, (rows, columns) in enumerate(_plane_shapes(wide, high)):
        small = Image.fromarray(np.ascontiguousarray(colour[:, :, channel], dtype=np.float32))
        large = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC))
        # A sensor's noise, faintly: it hides the steps and gives the JPEG the size a real one has.
        grain = noise.normal(0.0, 1.6 if channel == 0 else 0.4, large.shape)
        planes.append(np.clip(large + grain, 0, 255).astype(np.uint8))
    return tuple(planes)


class _Shape:
    """A sprite on a closed path.

    Args:
        alpha: (H, W) float, 0 to 1, sides even.
        colour: (3,) YCbCr.
        centre: Of the path, as fractions of the picture.
        reach: Of the path, as fractions of the picture.
        rates: Radians a second, across and down.
        phase: Where on the path it begins, radians.
        picture_px: Width and height of the picture.
    """

    def __init__(
        self,
        alpha: NDArray[np.float64],
        colour: NDArray[np.float32],
        *,
        centre: tuple[float, float],
        reach: tuple[float, float],
        rates: tuple[float, float],
        phase: float,
        picture_px: tuple[int, int],
    ) -> None:
        self._centre, self._reach, self._rates, self._phase = centre, reach, rates, phase
        self._picture_px = picture_px
        halved = alpha.reshape(alpha.shape[0] // 2, 2, alpha.shape[1] // 2, 2).mean(axis=(1, 3))
        self._layers = []
        for channel, mask in enumerate((alpha, halved, halved)):
            opacity = np.round(mask * 256).astype(np.uint16)
            self._layers.append((256 - opacity, opacity * np.uint16(round(float(colour[channel])))))

    def draw(self, planes: tuple[Plane, ...], moment_s: float) -> None:
        """Blend the sprite into YCbCr planes (4:2:0), where it is at ``moment_s``."""
        width_px, height_px = self._picture_px
        sprite_h, sprite_w = self._layers[0][0].shape
        across = self._centre[0] + self._reach[0] * math.cos(self._rates[0] * moment_s + self._phase)
        down = self._centre[1] + self._reach[1] * math.sin(self._rates[1] * moment_s + self._phase)
        left = round(across * width_px) - sprite_w // 2
        top = round(down * height_px) - sprite_h // 2
        for plane, (through, added), step in zip(planes, self._layers, (1, 2, 2), strict=True):
            _blend(plane, through, added, left // step, top // step)


def _blend(plane: Plane, through: NDArray[np.uint16], added: NDArray[np.uint16], left: int, top: int) -> None:
    rows, columns = through.shape
    y, x = max(0, -top), max(0, -left)
    y_end = min(rows, plane.shape[0] - top)
    x_end = min(columns, plane.shape[1] - left)
    if y >= y_end or x >= x_end:
        return
    target = plane[top + y : top + y_end, left + x : left + x_end]
    mixed = target * through[y:y_end, x:x_end]
    mixed += added[y:y_end, x:x_end]
    mixed >>= 8
    target[...] = mixed


def _shapes(width_px: int, height_px: int, colours: Palette) -> list[_Shape]:
    side_px = min(width_px, height_px)
    picture_px = (width_px, height_px)

    def disc(share: float, opacity: float, *, hole: float = 0.0) -> NDArray[np.float64]:
        radius = max(3.0, share * side_px / 2)
        half = 2 * math.ceil((radius + 1) / 2)
        y, x = np.mgrid[-half:half, -half:half] + 0.5
        distance = np.hypot(x, y)
        mask = np.clip(radius + 0.5 - distance, 0, 1)
        if hole:
            mask = mask * np.clip(distance - radius * hole + 0.5, 0, 1)
        return np.asarray(mask * opacity)

    # The last one goes round once in two seconds: a frame that is missing or late shows.
    dial = (0.88, 0.74)
    orbit = (0.097 * side_px / width_px, 0.097 * side_px / height_px)
    return [
        _Shape(disc(0.62, 0.34), colours.far, centre=(0.36, 0.60), reach=(0.20, 0.10), rates=(0.29, 0.37),
               phase=0.4, picture_px=picture_px),
        _Shape(disc(0.34, 0.52), colours.near, centre=(0.54, 0.50), reach=(0.26, 0.16), rates=(0.53, 0.41),
               phase=2.1, picture_px=picture_px),
        _Shape(disc(0.16, 0.92), colours.accent, centre=(0.46, 0.46), reach=(0.30, 0.20), rates=(0.71, 0.97),
               phase=4.0, picture_px=picture_px),
        _Shape(disc(0.20, 0.55, hole=0.93), colours.text, centre=dial, reach=(0, 0), rates=(0, 0), phase=0,
               picture_px=picture_px),
        _Shape(disc(0.042, 0.95), colours.text, centre=dial, reach=orbit, rates=(math.pi, math.pi), phase=0,
               picture_px=picture_px),
    ]  # fmt: skip
