"""Pictures that people look at: intensity windows, mask overlays, PNG files.

Grayscale pictures are uint8 (y, x), colour pictures uint8 (y, x, 3) in RGB order. Masks are label arrays (y, x) of
0, 1 and 255 (unlabelled, never painted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from segwheel.formats.files import replacing

Color = tuple[int, int, int]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

# From the palette of Okabe and Ito (2008), "Color universal design". Of its triples, the last three stay furthest apart
# over mid-gray for people without red, green or blue cones (CIELAB distance after the simulation of Machado, 2009).
PREDICTED: Color = (230, 159, 0)
FOUND: Color = (86, 180, 233)  # predicted and true
FALSE: Color = (213, 94, 0)  # predicted, not true
MISSED: Color = (240, 228, 66)  # true, not predicted

_TINT = 0.35  # opacity inside an outline
_SMALLEST, _LARGEST = 256, 2048  # sides of saved pictures, pixels
_LEGEND = ((FOUND, "found"), (FALSE, "false"), (MISSED, "missed"))


@dataclass(frozen=True)
class Window:
    """The intensities that become black (`low`) and white (`high`), in the units of the image; low < high."""

    low: float
    high: float

    @classmethod
    def measure(cls, image: npt.NDArray[np.generic], percentiles: tuple[float, float] = (0.5, 99.5)) -> Window:
        """The window between two percentiles of the finite values.

        Falls back to their minimum and maximum where the percentiles meet, and to the value +- 0.5 for a constant.
        """
        values = np.asarray(image)[np.isfinite(image)]
        if not values.size:
            return cls(0.0, 1.0)
        for low, high in (np.percentile(values, percentiles), (values.min(), values.max())):
            if low < high:
                return cls(float(low), float(high))
        return cls(float(low) - 0.5, float(low) + 0.5)

    def apply(self, image: npt.NDArray[np.generic]) -> Bytes:
        """The image as 8 bits, same shape: linear inside the window, clipped outside, not-a-number as black."""
        scaled = (np.asarray(image, dtype=np.float32) - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        levels: Bytes = np.rint(np.nan_to_num(np.clip(scaled, 0, 255), nan=0.0)).astype(np.uint8)
        return levels


def outline(inside: Bools, width: int = 1) -> Bools:
    """The pixels of `inside` that are at most `width` steps (8 neighbours) from its outside.

    The border of the picture is no outline: what is cut there goes on.
    """
    core = inside
    for _ in range(width):
        padded = np.pad(core, 1, mode="edge")
        rows = padded[:-2] & padded[1:-1] & padded[2:]
        core = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inside & ~core


def overlay(gray: Bytes, mask: Bytes, color: Color = PREDICTED, width: int = 1, tint: float = _TINT) -> Bytes:
    """A grayscale picture with the outlines of `mask` and its inside tinted, as RGB."""
    return _painted(gray, [(mask == 1, color)], width, tint)


def comparison(gray: Bytes, prediction: Bytes, truth: Bytes, width: int = 1, tint: float = _TINT) -> Bytes:
    """A grayscale picture with what was FOUND, FALSE and MISSED, as RGB; where either is unlabelled stays gray."""
    judged = (truth != 255) & (prediction != 255)
    predicted, true = prediction == 1, truth == 1
    areas = [
        (judged & predicted & true, FOUND),
        (judged & predicted & ~true, FALSE),
        (judged & ~predicted & true, MISSED),
    ]
    return _painted(gray, areas, width, tint)


def _painted(gray: Bytes, areas: Sequence[tuple[Bools, Color]], width: int, tint: float) -> Bytes:
    picture = np.repeat(gray[..., None], 3, axis=-1)
    for inside, color in areas:
        assert inside.shape == gray.shape, f"a mask of {inside.shape} over a picture of {gray.shape}"
        tinted = (1 - tint) * gray[inside][:, None] + tint * np.array(color)
        picture[inside] = np.rint(tinted).astype(np.uint8)
        picture[outline(inside, width)] = color
    return picture


def save_overlay(path: Path, image: npt.NDArray[np.generic], prediction: Bytes, truth: Bytes | None = None) -> None:
    """Save an image (y, x) of any type with its predicted mask as PNG, atomically.

    With `truth` the picture compares the two and says in a legend what the colours mean. Small images are enlarged
    and large ones reduced by whole factors, so that the outlines can be seen.
    """
    enlarge = max(1, -(-_SMALLEST // max(image.shape)))
    reduce = max(1, -(-max(image.shape) // _LARGEST))
    gray, mask = _enlarged(Window.measure(image).apply(image), enlarge), _enlarged(prediction, enlarge)
    if truth is None:
        picture = overlay(gray, mask, width=reduce)
    else:
        picture = comparison(gray, mask, _enlarged(truth, enlarge), width=reduce)
    drawn = Image.fromarray(picture).reduce(reduce)
    _save(path, drawn if truth is None else _with_legend(drawn))


def save_png(path: Path, picture: Bytes) -> None:
    """Save a grayscale or RGB picture as PNG, atomically."""
    _save(path, Image.fromarray(picture))


def _save(path: Path, picture: Image.Image) -> None:
    with replacing(path) as beside:
        picture.save(beside, format="PNG")


def _enlarged(pixels: Bytes, factor: int) -> Bytes:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _with_legend(picture: Image.Image) -> Image.Image:
    """The picture with a strip below that names the colours."""
    height = max(18, picture.height // 40)
    framed = Image.new("RGB", (picture.width, picture.height + height), "black")
    framed.paste(picture)
    draw = ImageDraw.Draw(framed)
    font = ImageFont.load_default(size=round(height * 0.7))
    x, y = height // 3, picture.height + height // 2
    for color, word in _LEGEND:
        draw.rectangle((x, y - height // 4, x + height // 2, y + height // 4), fill=color)
        x += height
        draw.text((x, y), word, fill="white", font=font, anchor="lm")
        x += round(draw.textlength(word, font=font)) + height // 2
    return framed
