"""Made-up microscopy: touching, textured cells on an uneven, noisy background.

Deterministic: a seed and an index give the same image everywhere. Images have axes (y, x). They come in
conditions (contrast, blur, size, sign of the halo), as a laboratory's images do, and a model that has only seen
some of them has something to learn from corrections of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segwheel.domain.manifest import write_manifest
from segwheel.domain.objects import boundary_distance, cut_touching
from segwheel.errors import FormatError
from segwheel.formats.files import replacing
from segwheel.formats.tiff import write_image, write_mask

Image = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Condition:
    """How images of one group look. Grey values are fractions of the full range."""

    name: str
    radius: float  # mean radius of a cell, pixels
    body: float  # brightness of a cell's inside above the background
    edge: float  # brightness of its rim above the background
    halo: float  # brightness of the glow around it; negative is dark
    blur: float  # standard deviation of the focus blur, pixels
    noise: float  # standard deviation of the camera noise
    coverage: float  # fraction of the image that cells cover, about


CONDITIONS = (
    Condition("sharp", radius=17, body=-0.07, edge=0.17, halo=0.10, blur=0.7, noise=0.030, coverage=0.26),
    Condition("crowded", radius=13, body=-0.05, edge=0.13, halo=0.08, blur=1.0, noise=0.035, coverage=0.36),
    Condition("dim", radius=15, body=-0.06, edge=0.10, halo=0.05, blur=1.3, noise=0.040, coverage=0.24),
    Condition("inverse", radius=14, body=0.09, edge=-0.12, halo=-0.08, blur=1.0, noise=0.035, coverage=0.28),
)
LABELLED_CONDITIONS = 2  # labelled images show the first conditions only


@dataclass(frozen=True)
class CellImage:
    """One image and its truth."""

    name: str
    condition: str
    split: str  # labelled, pool or test
    pixels: npt.NDArray[Any]  # uint8 or uint16
    labels: npt.NDArray[np.int32]  # instance numbers, 0 is background

    @property
    def mask(self) -> npt.NDArray[np.uint8]:
        """Label array of 0 and 1; a gap of two pixels separates touching cells."""
        return cut_touching(self.labels).astype(np.uint8)


def cell_images(
    count: int, size: int, seed: int, bits: int = 8, conditions: tuple[Condition, ...] = CONDITIONS
) -> Iterator[CellImage]:
    """Yield `count` square images of `size` pixels, 8-bit or 16-bit.

    The first quarter (at most six, at least one) is labelled, the last quarter is for testing, the rest is the
    pool. Labelled images show the first LABELLED_CONDITIONS conditions only, pool and test images all of them.
    """
    digits = max(3, len(str(count)))
    for index, (split, condition) in enumerate(_plan(count, conditions)):
        rng = np.random.default_rng([seed, index])
        labels = place_cells(size, condition, rng)
        pixels = _quantise(render(labels, condition, rng), bits)
        yield CellImage(f"cells_{index + 1:0{digits}d}", condition.name, split, pixels, labels)


def write_cells(folder: Path, images: Iterable[CellImage]) -> int:
    """Write a new folder, all or nothing, and return the number of images.

    It holds `images/<name>.tif`, `masks/<name>_mask.tif`, `labels/<name>_labels.tif` (instance numbers) and
    `splits.csv` (name, split, group; groups are conditions). Raises FormatError when the folder has content.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(folder, expected="a new or empty folder", found="something there already")
    rows = []
    with replacing(folder) as beside:
        for image in images:
            write_image(beside / "images" / f"{image.name}.tif", image.pixels)
            write_mask(beside / "masks" / f"{image.name}_mask.tif", image.mask)
            write_image(beside / "labels" / f"{image.name}_labels.tif", image.labels.astype(np.uint16))
            rows.append({"name": image.name, "split": image.split, "group": image.condition})
        write_manifest(beside / "splits.csv", rows)
    return len(rows)


def place_cells(size: int, condition: Condition, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Instance labels of cells that grow in clusters: most are put beside an earlier one, some alone."""
    labels = np.zeros((size, size), dtype=np.int32)
    placed: list[tuple[float, float, float]] = []  # y, x, radius
    covered = 0
    for _ in range(40 + size * size // 100):
        if covered >= condition.coverage * labels.size:
            break
        radius = condition.radius * float(np.exp(rng.normal(0, 0.2)))
        y, x = _place(size, radius, placed, rng)
        box, cell = _outline(size, y, x, radius, rng)
        free = cell & (labels[box] == 0)
        if np.count_nonzero(free) > max(0.85 * np.count_nonzero(cell), 0.35 * np.pi * radius**2):
            free = _largest_part(free)
            placed.append((y, x, radius))
            labels[box][free] = len(placed)
            covered += int(np.count_nonzero(free))
    return labels


def render(labels: npt.NDArray[np.int32], condition: Condition, rng: np.random.Generator) -> Image:
    """Grey values (mostly 0..1) of cells: rim, textured body, halo, debris, uneven light, blur and noise."""
    shape = labels.shape
    foreground = labels > 0
    # Each cell has its own rim, so that touching cells show a line between them, more or less clearly.
    depth = boundary_distance(cut_touching(labels))
    strength = rng.uniform(0.6, 1.2, int(labels.max(initial=0)) + 1).astype(np.float32)[labels]
    rim = np.exp(-((depth / 2.5) ** 2)) * foreground
    body = condition.body + 0.05 * _field(shape, 3.0, rng)
    image = strength * (condition.edge * rim + body * (1 - rim) * foreground)
    glow = ndimage.gaussian_filter(foreground.astype(np.float32), condition.radius / 4)
    image += condition.halo * glow * ~foreground
    image += _debris(shape[0], condition, rng)
    image = ndimage.gaussian_filter(image, condition.blur)
    background = 0.45 + 0.08 * _field(shape, shape[0] / 5, rng) + 0.025 * _field(shape, 6.0, rng)
    noise = rng.normal(0, condition.noise, shape).astype(np.float32)
    return (background + image + noise).astype(np.float32)


def _plan(count: int, conditions: tuple[Condition, ...]) -> list[tuple[str, Condition]]:
    """Split and condition of each image."""
    labelled, test = min(6, max(1, count // 4)), count // 4
    splits = ["labelled"] * labelled + ["pool"] * (count - labelled - test) + ["test"] * test
    seen = conditions[:LABELLED_CONDITIONS]
    plan: list[tuple[str, Condition]] = []
    for split in splits:
        choices = seen if split == "labelled" else conditions
        place = sum(other == split for other, _ in plan)
        plan.append((split, choices[place % len(choices)]))
    return plan


def _place(
    size: int, radius: float, placed: list[tuple[float, float, float]], rng: np.random.Generator
) -> tuple[float, float]:
    """Where the next cell goes: anywhere, or so that it touches an earlier one."""
    if not placed or rng.random() < 0.35:
        y, x = rng.uniform(0, size, 2)
        return float(y), float(x)
    y, x, other = placed[rng.integers(len(placed))]
    angle, reach = rng.uniform(0, 2 * np.pi), (radius + other) * rng.uniform(0.85, 1.0)
    return y + reach * float(np.sin(angle)), x + reach * float(np.cos(angle))


def _outline(
    size: int, y: float, x: float, radius: float, rng: np.random.Generator
) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """A cell around (y, x): a box inside the image, and which of its pixels the cell has.

    The cell is an ellipse with a wavy outline.
    """
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.35)
    waves = [(order, rng.normal(0, 0.12 / order), rng.uniform(0, 2 * np.pi)) for order in (2, 3, 4, 5)]
    box, down, right = _window(size, y, x, 2.5 * radius)
    along = right * np.cos(turn) + down * np.sin(turn)
    across = down * np.cos(turn) - right * np.sin(turn)
    angle = np.arctan2(across, along)
    limit = radius * (1 + sum(height * np.cos(order * angle + phase) for order, height, phase in waves))
    inside: npt.NDArray[np.bool_] = np.hypot(along / stretch, across * stretch) < limit
    return box, inside


def _window(size: int, y: float, x: float, reach: float) -> tuple[tuple[slice, slice], Floats, Floats]:
    """The box within `reach` of (y, x) inside the image, and its pixels' distances down and right of it."""
    rows = slice(int(np.clip(y - reach, 0, size)), int(np.clip(y + reach + 1, 0, size)))
    columns = slice(int(np.clip(x - reach, 0, size)), int(np.clip(x + reach + 1, 0, size)))
    down, right = np.mgrid[rows, columns]
    return (rows, columns), down - y, right - x


def _largest_part(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected part: what lies behind another cell must not leave crumbs on its far side."""
    parts, _ = ndimage.label(mask)
    largest: npt.NDArray[np.bool_] = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return largest


def _field(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Image:
    """Smooth random texture of mean 0 and standard deviation 1; `scale` in pixels."""
    field = ndimage.gaussian_filter(rng.normal(size=shape).astype(np.float32), scale, mode="wrap")
    result: Image = (field - field.mean()) / (field.std() + 1e-12)
    return result


def _debris(size: int, condition: Condition, rng: np.random.Generator) -> Image:
    """Specks and out-of-focus spots that look a little like cells and are none."""
    image = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.poisson(size * size / 6000))):
        y, x = (float(value) for value in rng.uniform(0, size, 2))
        width = float(rng.uniform(1.0, 0.35 * condition.radius))
        box, down, right = _window(size, y, x, 4 * width)
        spot = np.exp(-(down**2 + right**2) / (2 * width**2))
        image[box] += (condition.edge * rng.uniform(0.5, 1.0) * spot).astype(np.float32)
    return image


def _quantise(image: Image, bits: int) -> npt.NDArray[Any]:
    assert bits in (8, 16), f"{bits} bits"
    top = 2**bits - 1
    pixels: npt.NDArray[Any] = np.round(np.clip(image, 0, 1) * top).astype(np.uint8 if bits == 8 else np.uint16)
    return pixels
