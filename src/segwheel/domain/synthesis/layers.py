"""Layers before any fault: reflectivity as a function of relative time, and relative time as a function of place.

Relative time is measured in voxels: it grows by about one per voxel of depth. The layers' shape is one map of depth
over the lateral axes; a layer at time t lies at depth(y, x) + t * stretch(y, x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segwheel.domain.synthesis.fields import FloatArray, smooth_noise, stretched
from segwheel.domain.synthesis.recipe import Range, SeismicRecipe

STEPS = 16  # entries of the reflectivity table per voxel of relative time


@dataclass(frozen=True)
class LateralMap:
    """A function of the two lateral coordinates, sampled at whole voxels and linear between them.

    `values` is (axis 2, axis 3), its first element at the coordinates `origin`. Outside, the border's value holds.
    """

    values: FloatArray
    origin: tuple[int, int]

    def at(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Values at float32 coordinates of any shape."""
        rows, columns = self.values.shape
        y = np.clip(y - np.float32(self.origin[0]), 0, np.float32(rows - 1.001))
        x = np.clip(x - np.float32(self.origin[1]), 0, np.float32(columns - 1.001))
        row, column = y.astype(np.int32), x.astype(np.int32)
        y -= row
        x -= column
        corner = row * np.int32(columns) + column
        flat = self.values.ravel()
        upper = flat.take(corner, mode="clip")
        upper += x * (flat.take(corner + 1, mode="clip") - upper)
        corner += columns
        lower = flat.take(corner, mode="clip")
        lower += x * (flat.take(corner + 1, mode="clip") - lower)
        upper += y * (lower - upper)
        return upper


@dataclass(frozen=True)
class Layers:
    """One package of layers: where they lie, how they reflect, and where erosion cut the package's base."""

    depth: LateralMap
    thickening: float  # layers are this part thicker at the deepest place of `depth` than at the highest
    table: FloatArray  # reflectivity at STEPS per voxel of relative time
    table_start: float  # relative time of the table's first entry
    base: LateralMap | None = None  # depth of the erosion surface below this package; None for the oldest

    def time(self, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Relative time in voxels at coordinates before faulting."""
        depth = self.depth.at(y, x)
        time = z - depth
        if self.thickening:
            low, high = float(self.depth.values.min()), float(self.depth.values.max())
            depth -= np.float32(low)
            depth *= np.float32(self.thickening / max(high - low, 1e-6))
            depth += np.float32(1)
            time /= depth
        return time

    def reflectivity(self, time: FloatArray) -> FloatArray:
        """Reflectivity at relative times, of a voxel's width."""
        entry = (time - np.float32(self.table_start)) * np.float32(STEPS)
        entry += np.float32(0.5)
        return self.table.take(entry.astype(np.int32), mode="clip")


def draw_layers(
    rng: np.random.Generator,
    recipe: SeismicRecipe,
    depths: Range,
    lateral: tuple[Range, Range],
    gentle: float = 1.0,
    base: LateralMap | None = None,
) -> Layers:
    """Layers over coordinates `depths` x `lateral` (both ends included), with relief and slopes times `gentle`."""
    depth, thickening = _draw_relief(rng, recipe, lateral, gentle)
    stretch = (1.0, 1.0 + thickening)
    highest, lowest = depths[0] - float(depth.values.max()), depths[1] - float(depth.values.min())
    start = min(highest / s for s in stretch) - 2
    stop = max(lowest / s for s in stretch) + 2
    return Layers(depth, thickening, _draw_table(rng, recipe, start, stop), start, base)


def _draw_relief(
    rng: np.random.Generator, recipe: SeismicRecipe, lateral: tuple[Range, Range], gentle: float
) -> tuple[LateralMap, float]:
    """Depth of the layer at relative time 0, and the thickening towards deeper places."""
    # At least one voxel beyond each end, so that a section (one voxel wide) is interpolated as a volume is.
    low = [int(np.floor(a)) - 1 for a, _ in lateral]
    shape = [int(np.ceil(b)) + 2 - a for a, (_, b) in zip(low, lateral, strict=True)]
    smoothing = rng.uniform(*recipe.fold_smoothing)
    if rng.random() < recipe.bump_share:
        relief = _bumps(rng, recipe, [np.arange(a, a + n, dtype=np.float32) for a, n in zip(low, shape, strict=True)])
        thickening = rng.uniform(*recipe.bump_thickness_variation)
    else:
        relief = stretched(smooth_noise(rng, shape, [smoothing] * 2), 0, rng.uniform(*recipe.fold_height))
        thickening = rng.uniform(*recipe.thickness_variation)
    secondary = smooth_noise(rng, shape, [smoothing / 5] * 2)
    relief += stretched(secondary, 0, float(np.ptp(relief)) * rng.uniform(*recipe.secondary_relief))
    for axis, length in enumerate(shape):
        slope = np.float32(rng.uniform(*recipe.slope)) * np.arange(length, dtype=np.float32)
        relief += np.expand_dims(slope, 1 - axis)
    relief = (relief - relief.mean()) * np.float32(gentle)
    return LateralMap(np.ascontiguousarray(relief, np.float32), (low[0], low[1])), thickening * abs(gentle)


def _bumps(rng: np.random.Generator, recipe: SeismicRecipe, coordinates: list[FloatArray]) -> FloatArray:
    """Upward Gaussian bumps anywhere over the coordinates, as (negative) depth."""
    highest = rng.uniform(*recipe.bump_height)
    relief = np.zeros([len(c) for c in coordinates], np.float32)
    for _ in range(rng.integers(*recipe.bumps, endpoint=True)):
        profiles = [
            np.exp(-0.5 * ((c - rng.uniform(c[0], c[-1])) / rng.uniform(*recipe.bump_width)) ** 2) for c in coordinates
        ]
        relief -= np.float32(rng.uniform(0, highest)) * np.multiply.outer(*profiles).astype(np.float32)
    return relief


def _draw_table(rng: np.random.Generator, recipe: SeismicRecipe, start: float, stop: float) -> FloatArray:
    """Reflectivity from relative time `start` to `stop` at STEPS per voxel: each interface a triangle two voxels wide.

    Sampled at whole voxels, such a triangle is a spike split between the two voxels next to it.
    """
    thickness = 1 / rng.uniform(1 / recipe.layer_thickness[1], 1 / recipe.layer_thickness[0])
    count = int(np.ceil((stop - start) / thickness)) + 1
    interfaces = start + thickness * (np.arange(count) + rng.uniform(0, recipe.layer_jitter, count) - rng.random())
    coefficients = _amplitudes(rng, recipe, count) * _signs(rng, recipe, count)
    times = start + np.arange(int((stop - start) * STEPS) + 1) / STEPS
    table = np.zeros(len(times))
    for interface, coefficient in zip(interfaces, coefficients, strict=True):
        near = slice(*np.searchsorted(times, [interface - 1, interface + 1]))
        table[near] += coefficient * (1 - np.abs(times[near] - interface))
    return table.astype(np.float32)


def _amplitudes(rng: np.random.Generator, recipe: SeismicRecipe, count: int) -> FloatArray:
    low, high = recipe.amplitude
    if rng.random() < recipe.normal_amplitude_share:
        return stretched(rng.standard_normal(count, np.float32), low, high)
    return rng.uniform(low, high, count).astype(np.float32)


def _signs(rng: np.random.Generator, recipe: SeismicRecipe, count: int) -> FloatArray:
    signs = np.where(np.arange(count) % 2 == 0, np.float32(1), np.float32(-1))
    return signs if rng.random() < recipe.alternating_share else rng.permutation(signs)
